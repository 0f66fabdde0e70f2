"""Everybody can use every page: on a small phone, in the dark, with the keyboard, with a screen reader."""

import re

import pytest
from playwright.sync_api import expect

from tests.support import servers
from tests.support.browsing import PREDICTED, answer, photo_field, serious_faults
from tests.support.servers import SMALL_NETWORK


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/species", "/species?q=tern", "/about", "/api", "/offline", "/nothing"])
def test_everybody_can_use_every_page_in_the_light_and_in_the_dark_on_a_small_phone(open_page, path, scheme):
    page = open_page(path, color_scheme=scheme, viewport={"width": 320, "height": 640}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground))) < 64) is (scheme == "dark")
    assert serious_faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_answer_fits_a_small_phone_and_can_be_read_in_the_light_and_in_the_dark(open_page, bird, scheme):
    page = open_page(color_scheme=scheme, viewport={"width": 320, "height": 640})
    photo_field(page).set_input_files(bird)
    expect(answer(page)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert serious_faults(page) == []


def test_the_first_page_loads_at_most_a_hundred_kilobytes_and_nothing_that_is_for_later(open_page):
    page = open_page()
    sizes = page.evaluate(
        """() => Object.fromEntries(performance.getEntries()
            .filter((each) => "decodedBodySize" in each).map((each) => [each.name, each.decodedBodySize]))"""
    )
    assert all(sizes.values())
    assert {"photos.js", "regions.js", "style.css"} <= {address.rpartition("/")[2] for address in sizes}
    assert sum(sizes.values()) <= 100_000
    assert not [address for address in sizes if re.search("exif|lists", address)]


def test_a_person_gets_everywhere_with_the_keyboard_alone(open_page, bird):
    page = open_page()
    page.on("filechooser", lambda _chooser: None)  # Playwright needs a while until it catches choosers
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(photo_field(page)).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([bird, bird])
    expect(page.get_by_text(PREDICTED)).to_have_count(2)
    expect(photo_field(page)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("link", name="Download the list (CSV)")).to_be_focused()
    with page.expect_download():
        page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Choose the bird yourself").last).to_be_focused()
    for species in reversed(page.get_by_role("list", name="What it probably is").last.get_by_role("link").all()):
        page.keyboard.press("Shift+Tab")
        expect(species).to_be_focused()


def test_a_model_that_is_not_sure_shows_what_it_may_be_as_equals(open_page, bird, tmp_path):
    settings = {"BIRD_UNSURE_BELOW": "1", **SMALL_NETWORK}
    with servers.running(servers.FLASK, tmp_path / "uploads", **settings) as address:
        page = open_page(address=address)
        photo_field(page).set_input_files(bird)
        expect(page.get_by_text("Not sure. It may be any of these:")).to_be_visible()
        expect(page.get_by_role("list", name="What it may be").get_by_role("listitem")).to_have_count(5)
        expect(answer(page)).to_be_visible()
        expect(page.get_by_role("log")).to_contain_text("goldfinch.jpg Not sure, perhaps bird")
        expect(page).to_have_title("Which bird is it?")
        assert serious_faults(page) == []


def test_the_first_page_is_light_and_asks_nobody_else_for_anything(open_page):
    page = open_page("/about")
    asked = []
    page.on("requestfinished", lambda request: asked.append(request))
    page.context.clear_cookies()
    page.goto(page.url.removesuffix("about"), wait_until="networkidle")
    assert len(asked) >= 6  # the page, two styles, scripts, its icon
    assert all(request.url.startswith(page.url) for request in asked)
    assert {request.response().status for request in asked} <= {200, 304}
    sizes = [request.sizes() for request in asked]
    assert sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes) < 100_000


def test_a_person_looks_for_a_species(open_page):
    page = open_page("/species")
    expect(page.get_by_role("row")).to_have_count(122)
    page.get_by_label("Part of a name").fill("yellowthroat common")
    page.keyboard.press("Enter")
    expect(page.get_by_role("rowheader")).to_have_text([re.compile("Common Yellowthroat\\s+Geothlypis trichas")])
    expect(page.get_by_text("1 of 121 found.")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("row")).to_have_count(122)


def test_a_person_follows_the_link_to_the_report_and_sees_its_charts_in_its_own_style(open_page):
    page = open_page()
    page.get_by_role("link", name="How good the model is").click()
    expect(page.get_by_role("heading", name="How good the model is")).to_be_visible()
    chart = page.get_by_alt_text("Loss and accuracy by epoch")
    assert chart.evaluate("image => image.naturalWidth") > 100
    assert page.locator(".figures").evaluate("list => getComputedStyle(list).display") == "flex"


def test_whoever_changes_the_language_is_told_first_that_the_answers_go(open_page, bird):
    page = open_page()
    photo_field(page).set_input_files(bird)
    expect(answer(page)).to_be_visible()
    said = []

    def decide(dialog):
        said.append(dialog.message)
        dialog.dismiss() if len(said) == 1 else dialog.accept()

    page.on("dialog", decide)
    page.get_by_label("Language").select_option("de")
    page.get_by_role("button", name="Change").click()
    expect(answer(page)).to_be_visible()
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_role("heading", name="Vogelfoto senden, Namen erfahren")).to_be_visible()
    assert said == ["Changing the language removes the answers from this page. Your photos stay where they are."] * 2
    page.get_by_role("button", name="Ändern").click()  # there are no answers any more
    expect(page.get_by_role("heading", name="Vogelfoto senden, Namen erfahren")).to_be_visible()
    assert len(said) == 2
