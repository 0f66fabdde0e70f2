"""A person reads how far an answer can be trusted: on a small phone, in the dark, by ear, without JavaScript."""

import csv
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from inference.verdict import Verdict
from inference.verdicts_file import AnsweredGroup, VerdictCurve
from tests.support.browsing import Open, Serve, downloaded_list, keep_screenshot, photo_field, serious_faults
from tests.support.seam import COLORS, PHOTO_OF, SHA256, ColorClassifier, HalvesClassifier
from web.model_info import ModelInfo

HEADINGS = {
    Verdict.SURE: "We think this is: Goldfinch",
    Verdict.UNSURE: "Not sure. It is probably one of these:",
    Verdict.UNKNOWN_BIRD: "This looks like a bird, but probably none of the 6 that we know.",
    Verdict.NO_BIRD: "We see no bird in this photo.",
}
SPOKEN = {
    Verdict.SURE: "Goldfinch, 98 %",
    Verdict.UNSURE: re.compile("Not sure, probably (Goldfinch or Greenfinch|Greenfinch or Goldfinch)$"),
    Verdict.UNKNOWN_BIRD: HEADINGS[Verdict.UNKNOWN_BIRD],
    Verdict.NO_BIRD: HEADINGS[Verdict.NO_BIRD],
}
PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True}
RESEMBLES = "Which of the birds that we know it resembles"
CURVE = VerdictCurve(
    tuple(number / 100 for number in range(51)),
    tuple(
        AnsweredGroup(name, 100, tuple(share * (1 - number / 100) for number in range(51)), (0.0,) * 51)
        for name, share in [("validation", 1.0), ("test", 1.0), ("other birds", 0.4), ("others", 0.1)]
    ),
)
CALIBRATED = ModelInfo(SHA256, tuple(COLORS), strictness=0.05, curve=CURVE)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[Verdict, Path]:
    """A photo for each verdict."""
    folder = tmp_path_factory.mktemp("photos")
    for verdict, color in PHOTO_OF.items():
        Image.new("RGB", (400, 300), color).save(folder / f"{verdict}.png")
    return {verdict: folder / f"{verdict}.png" for verdict in PHOTO_OF}


def send(page: Page, verdict: Verdict, photo: Path) -> None:
    """Send a photo and wait for its answer."""
    photo_field(page).set_input_files(photo)
    expect(page.get_by_role("heading", name=HEADINGS[verdict])).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_fits_a_small_phone_and_can_be_read(
    open_page: Open, serve: Serve, photos: dict[Verdict, Path], verdict: Verdict, scheme: str
) -> None:
    address = serve(ColorClassifier(gives_verdicts=True), model_info=CALIBRATED)
    page = open_page(address=address, color_scheme=scheme, **PHONE)
    send(page, verdict, photos[verdict])
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert serious_faults(page) == []
    for summary in page.locator(".card summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert serious_faults(page) == []


@pytest.mark.parametrize("verdict", Verdict)
def test_a_screen_reader_is_told_the_verdict_and_the_title_names_only_what_is_sure(open_page, serve, photos, verdict):
    page = open_page(address=serve(ColorClassifier(gives_verdicts=True), model_info=CALIBRATED))
    send(page, verdict, photos[verdict])
    expect(page.get_by_role("log").locator("p").last).to_contain_text(SPOKEN[verdict])
    expect(page).to_have_title(("Goldfinch – " if verdict is Verdict.SURE else "") + "Which bird is it?")


def test_an_answer_that_is_not_sure_shows_the_likely_birds_and_the_others_after_a_click(open_page, serve, photos):
    page = open_page(address=serve(ColorClassifier(gives_verdicts=True), model_info=CALIBRATED))
    send(page, Verdict.UNSURE, photos[Verdict.UNSURE])
    expect(page.get_by_role("list", name="What it probably is").get_by_role("listitem")).to_have_count(2)
    others = page.get_by_role("list", name="Less likely species")
    expect(others).to_be_hidden()
    page.get_by_text("Less likely species").press("Enter")
    expect(others.get_by_role("listitem")).to_have_count(3)


def test_a_person_chooses_the_bird_in_a_photo_in_which_none_was_seen(open_page, serve, photos):
    page = open_page(address=serve(ColorClassifier(gives_verdicts=True), model_info=CALIBRATED))
    send(page, Verdict.NO_BIRD, photos[Verdict.NO_BIRD])
    expect(page.get_by_text("Mark it on the photo: “Choose the bird yourself”.")).to_be_visible()
    expect(page.get_by_text("Cut the photo down to the bird")).to_be_hidden()
    page.get_by_role("button", name="Choose the bird yourself").click()
    page.get_by_role("button", name="Look at this part").click()
    expect(page.get_by_role("heading", name="We see no bird in the marked part of the photo.")).to_be_visible()
    expect(page.get_by_text("Mark it on the photo: “Choose the bird yourself”.")).to_be_visible()


@pytest.mark.parametrize("verdict", Verdict)
def test_without_a_script_the_verdict_is_on_the_page_and_the_candidates_are_one_click_away(
    open_page: Open, serve: Serve, photos: dict[Verdict, Path], verdict: Verdict
) -> None:
    address = serve(ColorClassifier(gives_verdicts=True), model_info=CALIBRATED)
    page = open_page(address=address, java_script_enabled=False)
    page.locator("#bird_image").set_input_files(photos[verdict])
    page.get_by_role("button", name="Name the bird").click()
    expect(page.get_by_role("heading", name=HEADINGS[verdict])).to_be_visible()
    if verdict in (Verdict.UNKNOWN_BIRD, Verdict.NO_BIRD):
        candidates = page.get_by_role("list", name="What it resembles")
        expect(candidates).to_be_hidden()
        page.get_by_text(RESEMBLES).click()
        expect(candidates.get_by_role("listitem")).to_have_count(5)
    if verdict is Verdict.NO_BIRD:
        expect(page.get_by_text("Cut the photo down to the bird, and send that.")).to_be_visible()
        expect(page.get_by_text("Choose the bird yourself")).to_be_hidden()


def test_each_of_two_birds_has_its_verdict_and_the_list_that_of_the_first(open_page, serve, photos, tmp_path):
    halves = Image.new("RGB", (400, 300), PHOTO_OF[Verdict.UNSURE])
    halves.paste(PHOTO_OF[Verdict.NO_BIRD], (200, 0, 400, 300))
    halves.save(tmp_path / "halves.png")
    page = open_page(address=serve(HalvesClassifier(gives_verdicts=True), model_info=CALIBRATED))
    photo_field(page).set_input_files(tmp_path / "halves.png")
    expect(page.get_by_role("heading", name="2 parts of the photo looked at")).to_be_visible()
    expect(page.get_by_role("heading", level=3)).to_have_text(
        ["1. Not sure. It is probably one of these:", "2. We see no bird in the marked part of the photo."]
    )
    assert serious_faults(page) == []
    said = "1. Not sure, probably Goldfinch or Greenfinch; 2. We see no bird in the marked part of the photo."
    expect(page.get_by_role("log").locator("p").last).to_contain_text(said)
    keep_screenshot(page, "two verdicts")
    photo_field(page).set_input_files(photos[Verdict.NO_BIRD])
    expect(page.get_by_role("heading", name="1. We see no bird in the marked part of the photo.")).to_be_visible()
    rows = csv.DictReader(downloaded_list(page).read_text(encoding="utf-8-sig").splitlines())
    assert [row["verdict"] for row in rows] == ["unsure", "no_bird"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_about_the_verdicts_on_a_small_phone(open_page, serve, scheme):
    address = serve(ColorClassifier(gives_verdicts=True), model_info=CALIBRATED)
    page = open_page("/about", address=address, color_scheme=scheme, **PHONE)
    expect(page.get_by_role("row", name="5 %, as here 95.0 95.0 38.0 9.5")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert serious_faults(page) == []
