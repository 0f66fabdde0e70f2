"""A person says what an answer should have been, lets a photo be kept or not, and deletes both again."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from PIL import Image
from playwright.sync_api import Page, expect

from inference import Candidate, Identification
from jobs.pending import Position
from tests.support.browsing import Open, Serve, cards, photo_field, serious_faults
from tests.support.seam import SHA256, ColorClassifier, ColorWorkers, HalvesClassifier, served

ServeFeedback = Callable[..., str]
KEEP = "You may keep this photo and use it to train the model."
FORM_ELSEWHERE = """<form method="post" action="{{ to }}">
  <input name="answer" value="{{ answer }}"><button name="claim" value="right">Win a prize</button>
</form>"""
LINK = re.compile("^http:.+feedback")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder with the database and the photos."""
    return tmp_path / "kept"


@pytest.fixture
def serve_feedback(serve: Serve, kept: Path) -> ServeFeedback:
    """Serves an app that takes corrections."""

    def serve_feedback(classifier: ColorClassifier | None = None) -> str:
        return serve(
            classifier or ColorClassifier(),
            BIRD_FEEDBACK="1",
            BIRD_DATABASE_URL=f"sqlite:///{kept / 'feedback.db'}",
            BIRD_PHOTO_STORE=str(kept / "photos"),
        )

    return serve_feedback


@pytest.fixture
def yellow(tmp_path: Path) -> Path:
    """A photo that the stand-in takes for a goldfinch."""
    path = tmp_path / "yellow.png"
    Image.new("RGB", (900, 600), "yellow").save(path)
    return path


def corrections(kept: Path) -> list[tuple[str, str, str]]:
    """What has been kept: the claim, the species, whether there is a photo."""
    with sqlite3.connect(kept / "feedback.db") as database:
        rows = database.execute("select claim, claimed, photo <> '' from corrections order by id").fetchall()
    database.close()
    return rows


def photos(kept: Path) -> list[Path]:
    """The photos that have been kept."""
    return list((kept / "photos").iterdir())


def size_of_photo(kept: Path) -> tuple[int, int]:
    """The width and height of the only photo that has been kept."""
    (photo,) = photos(kept)
    with Image.open(photo) as image:
        return image.size


def send(page: Page, photo: Path, number: int = 1) -> None:
    """Send a photo and wait for its answer."""
    page.locator("#bird_image").set_input_files(photo)
    if not page.locator("html.scripted").count():
        page.get_by_role("button", name="Name the bird").click()
    expect(cards(page).get_by_role("button", name="Right", exact=True)).to_have_count(number)


def correct(page: Page, species: str) -> None:
    """Say that the bird is another one."""
    page.get_by_text("No, it is …").click()
    page.get_by_label("Which bird is it?").fill(species)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text(f"You said that it is: {species}.")).to_be_visible()


@pytest.mark.parametrize("site", ["127.0.0.1", "birds.example"])  # only to the first Chromium sends Sec-Fetch-Site
@pytest.mark.parametrize("has_script", [True, False])
def test_a_person_corrects_an_answer_lets_the_photo_be_kept_and_deletes_both(
    open_page: Open, serve_feedback: ServeFeedback, kept: Path, yellow: Path, has_script: bool, site: str
) -> None:
    address = serve_feedback().replace("127.0.0.1", site)
    page = open_page(address=address, java_script_enabled=has_script)
    send(page, yellow)
    page.get_by_label(KEEP).check()
    correct(page, "Snow Bunting")
    assert corrections(kept) == [("species", "Snow Bunting", 1)]
    assert size_of_photo(kept) == ((900, 600) if has_script else (400, 267))
    assert page.context.cookies() == []
    link = page.get_by_role("link", name=LINK)
    if has_script:
        expect(cards(page)).to_have_count(1)  # in the place of the form
        expect(cards(page).get_by_role("button", name="Right")).to_have_count(0)
        expect(page.locator(".outcome")).to_be_focused()
    later = open_page(link.get_attribute("href"), address=address, java_script_enabled=has_script)
    expect(later.get_by_text("You said that it is: Snow Bunting.")).to_be_visible()
    assert serious_faults(later) == [] if has_script else True
    later.get_by_role("button", name="Delete it").click()
    expect(later.get_by_role("heading", name="Deleted")).to_be_visible()
    assert corrections(kept) == photos(kept) == []
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("There is nothing at this address, or it has been deleted.")).to_be_visible()


def test_one_click_sends_nothing_of_the_photo_and_the_other_cards_stay(open_page, serve_feedback, kept, yellow):
    page = open_page(address=serve_feedback())
    sent = []
    page.on("request", lambda request: sent.append(request))
    send(page, yellow)
    send(page, yellow, 2)
    page.get_by_role("button", name="Right", exact=True).last.click()
    expect(cards(page).last.get_by_role("status")).to_contain_text("You said that the answer is right.")
    expect(cards(page).first.get_by_role("button", name="Right", exact=True)).to_be_visible()
    (post,) = [request for request in sent if request.url.endswith("/feedback")]
    assert len(post.post_data_buffer) < 2000
    assert corrections(kept) == [("right", "Goldfinch", 0)]
    page.get_by_role("button", name="Delete it").click()
    expect(cards(page).last.get_by_role("status")).to_contain_text("What you told us has been deleted")
    assert corrections(kept) == []


@pytest.mark.parametrize("has_script", [True, False])
def test_the_enter_key_sends_what_was_typed_and_nothing_if_nothing_was(
    open_page: Open, serve_feedback: ServeFeedback, kept: Path, yellow: Path, has_script: bool
) -> None:
    page = open_page(address=serve_feedback(), java_script_enabled=has_script)
    send(page, yellow)
    page.get_by_text("No, it is …").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Which bird is it?")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("Serin")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You said that it is: Serin.")).to_be_visible()
    assert corrections(kept) == [("species", "Serin", 0)]


@pytest.mark.parametrize("name", ["Not a bird", "I don’t know"])
def test_a_person_says_that_there_is_no_bird_or_that_nobody_knows(open_page, serve_feedback, kept, yellow, name):
    page = open_page(address=serve_feedback())
    send(page, yellow)
    page.get_by_text("No, it is …").click()
    page.get_by_role("button", name=name).click()
    expect(page.get_by_role("button", name="Delete it")).to_be_visible()
    assert corrections(kept) == [({"Not a bird": "no_bird"}.get(name, "unknown"), "", 0)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360])
def test_the_form_fits_a_small_phone_and_can_be_used_by_everybody(
    open_page: Open, serve_feedback: ServeFeedback, yellow: Path, width: int, scheme: str
) -> None:
    phone = {"viewport": {"width": width, "height": 640}, "has_touch": True, "color_scheme": scheme}
    page = open_page(address=serve_feedback(HalvesClassifier()), **phone)
    photo_field(page).set_input_files(yellow)
    expect(page.get_by_role("button", name="Right about bird 2")).to_be_visible()

    def check() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious_faults(page) == []

    check()
    page.get_by_text("No, it is …").first.click()
    check()
    page.get_by_label("Which bird is it?").first.fill(100 * "W")
    page.get_by_role("button", name="Send", exact=True).first.click()
    expect(page.get_by_role("link", name=LINK)).to_be_visible()
    check()


def test_the_field_suggests_the_species_that_the_model_knows(open_page, serve_feedback, yellow):
    page = open_page(address=serve_feedback())
    send(page, yellow)
    field = page.get_by_label("Which bird is it?")
    assert "Snow Bunting" in field.evaluate("field => [...field.list.options].map(option => option.value)")


@pytest.mark.parametrize("site", ["127.0.0.1", "birds.example"])
def test_a_form_on_another_site_is_refused(open_page, serve_feedback, kept, yellow, site):
    address = serve_feedback().replace("127.0.0.1", site)
    page = open_page(address=address)
    send(page, yellow)
    other = Flask("other")
    fields = {"to": f"{address}/feedback", "answer": page.locator("[name=answer]").input_value()}
    other.add_url_rule("/", "form", lambda: render_template_string(FORM_ELSEWHERE, **fields))
    with served(other) as elsewhere:
        for host in (elsewhere, elsewhere.replace("127.0.0.1", "others.example")):
            evil = open_page(address=host)
            evil.get_by_role("button").click()
            expect(evil.get_by_text("This can only be sent from a page of this site.")).to_be_visible()
    assert corrections(kept) == []


def test_what_cannot_be_kept_is_said_in_the_card_and_can_be_sent_again(open_page, serve_feedback, kept, yellow):
    page = open_page(address=serve_feedback())
    send(page, yellow)
    answer = page.locator("[name=answer]").input_value()
    page.locator("[name=answer]").evaluate("field => { field.value = 'forged'; }")
    right = page.get_by_role("button", name="Right", exact=True)
    right.click()
    expect(page.get_by_role("status")).to_contain_text("This answer is more than a day old")
    page.context.set_offline(True)
    right.click()
    expect(page.get_by_role("status")).to_have_text("It could not be sent. Is there a connection?")
    page.context.set_offline(False)
    expect(right).to_be_focused()
    page.locator("[name=answer]").evaluate("(field, value) => { field.value = value; }", answer)
    right.click()
    expect(page.get_by_role("status")).to_contain_text("You said that the answer is right.")
    assert corrections(kept) == [("right", "Goldfinch", 0)]


def test_a_double_click_sends_and_does_not_delete_what_it_sent(open_page, serve_feedback, kept, yellow):
    page = open_page(address=serve_feedback())
    send(page, yellow)
    page.get_by_role("button", name="Right", exact=True).click()
    delete = page.get_by_role("button", name="Delete it")
    delete.hover()
    assert serious_faults(page) == []
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    expect(delete).to_be_visible()
    assert corrections(kept) == [("right", "Goldfinch", 0)]
    delete.click()
    expect(page.get_by_text("What you told us has been deleted")).to_be_visible()


def test_the_link_to_delete_a_correction_stays_when_a_part_of_the_photo_is_looked_at(open_page, serve_feedback, yellow):
    page = open_page(address=serve_feedback())
    send(page, yellow)
    correct(page, "Serin")
    page.get_by_role("button", name="Choose the bird yourself").click()
    page.get_by_role("button", name="Look at this part").click()
    expect(page.get_by_role("button", name="Right", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("What you told us has been deleted")).to_be_visible()


@pytest.mark.parametrize("knows_photo", [True, False])
def test_the_answer_of_a_worker_is_corrected_where_it_appears(open_page, serve_feedback, kept, yellow, knows_photo):
    workers = ColorWorkers()
    workers.found = Position(0, 1)
    address = serve_feedback(workers)
    page = open_page(address=address)
    photo_field(page).set_input_files(yellow)
    own_page = page.get_by_role("link", name="A page of its own").get_attribute("href")
    workers.found = Identification("Cardinal", 0.75, (Candidate("Cardinal", 0.75),), SHA256)
    if not knows_photo:  # somebody has opened the link
        page = open_page(own_page, address=address)
    page.get_by_label(KEEP).check()
    correct(page, "Goldfinch")
    assert corrections(kept) == [("species", "Goldfinch", 1)]
    assert size_of_photo(kept) == ((900, 600) if knows_photo else (400, 267))
