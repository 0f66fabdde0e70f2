"""A person marks a part of the photo, sees what the network looked at, and reads about several birds."""

import re
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from inference.regions import Region
from jobs.errors import JobFailedError
from jobs.pending import Position
from tests.support.browsing import PREDICTED, answer, cards, keep_screenshot, photo_field, serious_faults, state_of
from tests.support.drawings import encoded
from tests.support.seam import ColorClassifier, ColorWorkers, HalvesClassifier

PART = re.compile(r"^This answer is about the marked part of the photo")
SMALL_PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def blue_and_yellow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A blue photo with a yellow corner, on the lower right: from 60 % of its width and half of its height."""
    image = Image.new("RGB", (800, 600), "blue")
    image.paste("yellow", (480, 300, 800, 600))
    path = tmp_path_factory.mktemp("photos") / "two.jpg"
    path.write_bytes(encoded(image, "JPEG", quality=95))
    return path


class Recording(ColorClassifier):
    """Records which regions were asked about; None stands for the whole photo."""

    def __init__(self) -> None:
        super().__init__()
        self.regions: list[Region | None] = []

    def classify(self, pixels, wait=None, picture=None, region=None, **options):
        """Name the bird, and record the region."""
        self.regions.append(region)
        return super().classify(pixels, wait, picture, region)


def send(page: Page, photo: Path) -> None:
    """Send a photo and wait for its answer. The page then scrolls at once, not in a movement."""
    page.emulate_media(reduced_motion="reduce")
    photo_field(page).set_input_files(photo)
    expect(answer(page)).to_be_visible()


def choose(page: Page) -> Locator:
    """Begin to choose a part of the photo; the rectangle."""
    page.get_by_role("button", name="Choose the bird yourself").click()
    selection = page.get_by_role("application", name="The part of the photo to look at")
    expect(selection).to_be_focused()
    expect(page.locator(".photo")).to_have_js_property("complete", True)
    return selection


def point(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where in the window a point of the photo is, which is given in shares of its width and height."""
    box = page.locator(".photo").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag the mouse from a point of the photo to another."""
    page.mouse.move(*point(page, *start))
    page.mouse.down()
    page.mouse.move(*point(page, *end), steps=5)
    page.mouse.up()


def shown_region(page: Page) -> list[float]:
    """The rectangle on the photo: left, right, upper and lower edge in percent."""
    text = page.locator(".where").text_content()
    return [int(number) for number in re.findall(r"\d+", text)]


def box_in_photo(page: Page, selector: str) -> list[float]:
    """Where an element lies on the photo: left and upper edge, width and height as shares of the photo's."""
    photo, box = page.locator(".photo").bounding_box(), page.locator(selector).bounding_box()
    return [
        (box["x"] - photo["x"]) / photo["width"],
        (box["y"] - photo["y"]) / photo["height"],
        box["width"] / photo["width"],
        box["height"] / photo["height"],
    ]


def test_a_person_draws_a_rectangle_with_the_mouse_and_its_answer_replaces_the_first(open_page, serve, blue_and_yellow):
    network = Recording()
    page = open_page(address=serve(network))
    send(page, blue_and_yellow)
    expect(page.get_by_role("heading", name="We think this is: Bluebird")).to_be_visible()
    selection = choose(page)
    drag(page, (0.98, 0.97), (0.62, 0.8))  # outside of the rectangle that is there already
    expect(selection).to_be_focused()
    keep_screenshot(page, "choosing a part")
    assert serious_faults(page) == []
    page.get_by_role("button", name="Look at this part").click()
    expect(page.get_by_role("heading", name="We think this is: Goldfinch")).to_be_visible()
    assert astuple(network.regions[-1]) == pytest.approx([0.62, 0.8, 0.36, 0.17], abs=0.01)
    expect(page.get_by_text(PART)).to_be_visible()
    expect(cards(page)).to_have_count(1)
    expect(page.locator(".name")).to_have_text("two.jpg")
    expect(page.get_by_role("article", name="two.jpg")).to_be_focused()
    expect(page.get_by_role("log").locator("p").last).to_have_text(re.compile(r"^two\.jpg Goldfinch, \d+ %$"))
    expect(page).to_have_title("Goldfinch – Which bird is it?")
    assert box_in_photo(page, ".region rect") == pytest.approx([0.62, 0.8, 0.36, 0.17], abs=0.03)
    assert serious_faults(page) == []


def test_the_rectangle_is_moved_by_its_middle_and_resized_by_its_corners(open_page, serve, blue_and_yellow):
    page = open_page(address=serve(ColorClassifier()))
    send(page, blue_and_yellow)
    choose(page)
    assert shown_region(page) == [25, 75, 25, 75]
    drag(page, (0.5, 0.5), (0.6, 0.4))
    assert shown_region(page) == pytest.approx([35, 85, 15, 65], abs=1)
    drag(page, (0.85, 0.65), (0.7, 0.9))
    assert shown_region(page) == pytest.approx([35, 70, 15, 90], abs=1)
    drag(page, (0.35, 0.15), (0.8, 0.2))  # past the other corner
    assert shown_region(page) == pytest.approx([70, 80, 20, 90], abs=1)
    drag(page, (0.75, 0.5), (2.0, 0.5))  # no further than to the edge of the photo
    assert shown_region(page) == pytest.approx([90, 100, 20, 90], abs=1)
    page.mouse.click(*point(page, 0.1, 0.1))  # a click is no rectangle
    assert shown_region(page) == pytest.approx([90, 100, 20, 90], abs=1)
    drag(page, (0.1, 0.1), (0.11, 0.13))
    left, right, upper, lower = shown_region(page)
    assert right - left >= 2
    assert lower - upper >= 2


@pytest.mark.parametrize("size", [(600, 1600), (1600, 300), (60, 40)])
@pytest.mark.parametrize("options", [{}, SMALL_PHONE], ids=["wide", "phone"])
def test_the_marks_cover_the_photo_exactly_whatever_its_shape(open_page, serve, tmp_path, size, options):
    photo = tmp_path / "shape.jpg"
    photo.write_bytes(encoded(Image.new("RGB", size, "yellow"), "JPEG"))
    page = open_page(address=serve(HalvesClassifier()), **options)
    send(page, photo)
    for mark in page.locator(".region").all():
        assert mark.bounding_box() == pytest.approx(page.locator(".photo").bounding_box(), abs=0.5)
    choose(page)
    assert box_in_photo(page, ".stage") == pytest.approx([0, 0, 1, 1], abs=0.01)
    box = page.locator(".photo").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(size[0] / size[1], rel=0.02)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_a_person_marks_a_part_with_the_keyboard_alone(open_page, serve, blue_and_yellow):
    network = Recording()
    page = open_page(address=serve(network))
    send(page, blue_and_yellow)
    button = page.get_by_role("button", name="Choose the bird yourself")
    page.get_by_text("What else it could be").focus()
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    selection = page.get_by_role("application", name="The part of the photo to look at")
    expect(selection).to_be_focused()
    assert selection.evaluate("element => getComputedStyle(element).outlineWidth") == "3px"
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(selection).to_be_hidden()
    page.keyboard.press("Enter")
    offset = page.evaluate("scrollY")
    for key, times in {
        "ArrowRight": 20,
        "ArrowDown": 14,
        "ArrowUp": 1,
        "Shift+ArrowLeft": 5,
        "Shift+ArrowUp": 2,
    }.items():
        for _ in range(times):
            page.keyboard.press(key)
    assert page.evaluate("scrollY") == offset
    expect(page.get_by_text("From 50 to 90 % of the width and 48 to 94 % of the height.")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_text(PART)).to_be_visible()
    assert network.regions[-2:] == [None, Region(0.5, 0.48, 0.4, 0.46)]
    expect(page.get_by_role("article", name="two.jpg")).to_be_focused()
    expect(page.get_by_role("button", name="Look at the whole photo")).to_be_visible()


def test_a_finger_draws_a_rectangle_on_a_small_phone_and_the_page_does_not_scroll(open_page, serve, blue_and_yellow):
    network = Recording()
    page = open_page(address=serve(network), **SMALL_PHONE)
    send(page, blue_and_yellow)
    page.get_by_role("button", name="Choose the bird yourself").tap()
    expect(page.locator(".photo")).to_have_js_property("complete", True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    offset = page.evaluate("scrollY")
    touches = page.context.new_cdp_session(page)
    for kind, place in [
        ("touchStart", (0.97, 0.98)),
        ("touchMove", (0.9, 0.9)),
        ("touchMove", (0.8, 0.6)),
        ("touchMove", (0.65, 0.55)),
        ("touchEnd", None),
    ]:
        fingers = [dict(zip("xy", point(page, *place), strict=True))] if place else []
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    assert page.evaluate("scrollY") == offset
    keep_screenshot(page, "choosing a part on a phone")
    assert serious_faults(page) == []
    page.get_by_role("button", name="Look at this part").tap()
    expect(page.get_by_role("heading", name="We think this is: Goldfinch")).to_be_visible()
    assert astuple(network.regions[-1]) == pytest.approx([0.65, 0.55, 0.32, 0.43], abs=0.02)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert serious_faults(page) == []


def test_after_a_part_the_whole_photo_is_looked_at_again(open_page, serve, blue_and_yellow):
    network = Recording()
    page = open_page(address=serve(network))
    send(page, blue_and_yellow)
    expect(page.get_by_role("button", name="Look at the whole photo")).to_be_hidden()
    choose(page).press("Enter")
    expect(page.get_by_text(PART)).to_be_visible()
    page.get_by_role("button", name="Look at the whole photo").click()
    expect(page.get_by_text(PART)).to_have_count(0)
    expect(page.get_by_role("heading", name="We think this is: Bluebird")).to_be_visible()
    expect(page.get_by_role("button", name="Look at the whole photo")).to_be_hidden()
    assert network.regions[-3:] == [None, Region(0.25, 0.25, 0.5, 0.5), None]


def test_an_error_is_said_and_the_answer_stays(open_page, serve, blue_and_yellow):
    page = open_page(address=serve(ColorClassifier()))
    send(page, blue_and_yellow)
    selection = choose(page)
    page.context.set_offline(True)
    selection.press("Enter")
    expect(state_of(page)).to_have_text("The photo could not be sent. Is there a connection?")
    expect(page.get_by_role("log")).to_contain_text("two.jpg: The photo could not be sent. Is there a connection?")
    expect(page.get_by_role("heading", name="We think this is: Bluebird")).to_be_visible()
    expect(selection).to_be_focused()
    keep_screenshot(page, "no answer about a part")
    assert serious_faults(page) == []
    page.context.set_offline(False)
    page.get_by_role("button", name="Look at this part").click()
    expect(page.get_by_text(PART)).to_be_visible()


def test_a_part_may_have_to_wait_for_a_worker_and_the_first_answer_stays_meanwhile(open_page, serve, blue_and_yellow):
    workers = ColorWorkers()
    page = open_page(address=serve(workers))
    send(page, blue_and_yellow)
    workers.found = Position(2, 3)
    selection = choose(page)
    selection.press("Enter")
    expect(state_of(page)).to_have_text("Your photo is in line.")
    expect(page.get_by_role("heading", name="We think this is: Bluebird")).to_be_visible()
    workers.found = JobFailedError()
    expect(state_of(page)).to_have_text(str(JobFailedError()))
    expect(page.get_by_role("heading", name="We think this is: Bluebird")).to_be_visible()
    workers.found = Position(0, 1)
    selection.press("Enter")
    expect(state_of(page)).to_have_text("Your photo is in line.")
    yellow = np.full((224, 224, 3), (255, 255, 0), "uint8")
    workers.found = ColorClassifier().classify(yellow, region=Region(0.25, 0.25, 0.5, 0.5))
    expect(page.get_by_role("heading", name="We think this is: Goldfinch")).to_be_visible()
    expect(page.get_by_text(PART)).to_be_visible()
    expect(page.get_by_role("button", name="Look at the whole photo")).to_be_visible()


def test_a_photo_that_waits_for_a_worker_offers_its_parts_once_it_is_answered(open_page, serve, blue_and_yellow):
    workers = ColorWorkers()
    workers.found = Position(0, 1)
    page = open_page(address=serve(workers))
    photo_field(page).set_input_files(blue_and_yellow)
    expect(page.get_by_role("heading", name="Your photo is in line.")).to_be_visible()
    expect(page.get_by_role("button", name="Choose the bird yourself")).to_have_count(0)
    workers.found = ColorClassifier().classify(np.zeros((224, 224, 3), "uint8"))
    expect(page.get_by_role("button", name="Choose the bird yourself")).to_be_visible()


def test_of_a_photo_that_was_made_smaller_the_small_one_is_sent_again(open_page, serve, tmp_path):
    noise = np.random.default_rng(3).integers(0, 255, (900, 1200, 3), "uint8")
    photo = tmp_path / "large.jpg"
    photo.write_bytes(encoded(Image.fromarray(noise), "JPEG", quality=100))
    limit = photo.stat().st_size * 3 // 4
    page = open_page(address=serve(ColorClassifier(), BIRD_MAX_CONTENT_LENGTH=str(limit)))
    send(page, photo)
    choose(page).press("Enter")
    expect(page.get_by_text(PART)).to_be_visible()  # the photo itself would be refused


def test_what_it_looked_at_is_shown_over_the_part_that_the_answer_is_about_and_in_words(
    open_page, serve, blue_and_yellow
):
    page = open_page(address=serve(ColorClassifier()))
    send(page, blue_and_yellow)
    expect(page.locator(".heat image")).to_be_hidden()
    page.get_by_text("Show what it looked at").click()
    expect(page.locator(".heat image")).to_be_visible()
    assert box_in_photo(page, ".heat image") == pytest.approx([0, 0, 1, 1], abs=0.01)
    expect(page.get_by_text("It looked at most of the photo.")).to_be_visible()
    page.get_by_text("Show what it looked at").press("Enter")
    expect(page.locator(".heat image")).to_be_hidden()
    choose(page)
    drag(page, (0.98, 0.97), (0.1, 0.8))
    page.get_by_role("button", name="Look at this part").click()
    expect(page.get_by_text(PART)).to_be_visible()
    page.get_by_text("Show what it looked at").click()
    assert box_in_photo(page, ".heat image") == pytest.approx([0.1, 0.8, 0.88, 0.17], abs=0.02)
    keep_screenshot(page, "what it looked at in a part")
    assert serious_faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_two_birds_are_listed_numbered_and_read_aloud(open_page, serve, blue_and_yellow, scheme):
    page = open_page(address=serve(HalvesClassifier()), color_scheme=scheme, **SMALL_PHONE)
    send(page, blue_and_yellow)
    expect(page.get_by_role("heading", name="2 birds found")).to_be_visible()
    expect(page.get_by_role("heading", level=3)).to_have_count(2)
    assert page.locator(".region text").all_text_contents() == ["1", "2"]
    expect(page.get_by_text(PREDICTED)).to_have_count(1)
    said = re.compile(r"^two\.jpg 1\. \w+, \d+ %; 2\. \w+, \d+ %$")
    expect(page.get_by_role("log").locator("p").last).to_have_text(said)
    page.get_by_text("Show what it looked at (2. ").click()
    expect(page.locator(".heat image").first).to_be_hidden()
    expect(page.locator(".heat image").last).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    keep_screenshot(page, f"two birds {scheme}")
    assert serious_faults(page) == []


def test_without_javascript_the_parts_are_marked_and_what_it_looked_at_is_shown(open_page, serve, blue_and_yellow):
    page = open_page(address=serve(HalvesClassifier()), java_script_enabled=False)
    photo_field(page).set_input_files(blue_and_yellow)
    page.get_by_role("button", name="Name the bird").click()
    expect(page.get_by_role("heading", name="2 birds found")).to_be_visible()
    expect(page.locator(".region rect")).to_have_count(2)
    expect(page.locator(".heat image").first).to_be_hidden()
    page.get_by_text("Show what it looked at (1. ").click()
    expect(page.locator(".heat image").first).to_be_visible()
    expect(page.get_by_text("of the marked part").first).to_be_visible()
    expect(page.get_by_role("button", name="Choose the bird yourself")).to_have_count(0)


def test_a_photo_whose_file_the_script_does_not_have_cannot_be_cropped(open_page, serve, blue_and_yellow):
    workers = ColorWorkers()
    workers.found = ColorClassifier().classify(np.zeros((224, 224, 3), "uint8"))
    page = open_page("/identifications/job", address=serve(workers))
    expect(answer(page)).to_be_visible()
    expect(page.get_by_role("button", name="Choose the bird yourself")).to_have_count(0)
