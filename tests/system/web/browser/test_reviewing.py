"""The review page in a browser: by keyboard alone, without a script, on a phone, in the dark."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from feedback.schema import Claim
from tests.support.browsing import Open, Serve, keep_screenshot, serious_faults
from tests.support.corrections import REVIEW_KEY, CorrectionFolder, feedback_settings
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.seam import ColorClassifier


@pytest.fixture
def kept(tmp_path) -> CorrectionFolder:
    """The corrections of the site."""
    return CorrectionFolder(tmp_path)


@pytest.fixture
def sign_in(open_page: Open, serve: Serve, kept: CorrectionFolder) -> Callable[..., Page]:
    """Opens the review page and gives the key; the arguments are Playwright's of a context."""
    address = serve(ColorClassifier(), **feedback_settings(kept.folder))

    def sign_in(**options: object) -> Page:
        page = open_page("/review", address=address, **options)
        page.keyboard.press("Tab")  # the link that skips to the content
        page.get_by_label("Review key").focus()
        page.keyboard.type(REVIEW_KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Review corrections")).to_be_visible()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        page.wait_for_load_state()  # or its script may not listen yet
        return page

    return sign_in


def item(page: Page, number: int):
    """What the page shows of a correction."""
    return page.get_by_role("article", name=f"Correction {number}", exact=True)


def some_corrections(kept: CorrectionFolder) -> list[int]:
    """Corrections in the order in which the page shows them."""
    photo = encoded(draw_goldfinch(), "JPEG")
    first = kept.add(claimed="Goldfinch", confidence=0.95, jpeg=photo, client="someone", region="0.2,0.2,0.5,0.5")
    return [
        first,
        kept.add(claim=Claim.NO_BIRD, confidence=0.9, client="someone", jpeg=photo, duplicate_of=first),
        kept.add(claimed="Stieglitz", confidence=0.85),
        kept.add(claimed="Bluebird", confidence=0.8, verdict="unsure"),
        kept.add(claim=Claim.RIGHT, claimed="Cardinal", confidence=0.99),
    ]


def test_corrections_are_accepted_relabelled_and_rejected_by_keyboard_alone(sign_in, kept):
    one, two, three, four, _five = some_corrections(kept)
    page = sign_in()
    status = page.locator("#done")
    expect(item(page, one)).to_be_focused()

    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    expect(page.locator("#selected")).to_have_text("2")
    page.keyboard.press("a")
    expect(status).to_have_text("Accepted: 2 corrections.")
    expect(item(page, two)).to_contain_text("Accepted as Not a bird")
    expect(item(page, three)).to_be_focused()

    page.keyboard.press("a")
    expect(status).to_contain_text("It needs a label: choose a species.")
    page.keyboard.press("l")
    page.keyboard.type("goldfinch")
    page.keyboard.press("Enter")
    expect(status).to_have_text(f"Accepted: correction {three}.")
    expect(item(page, three)).to_contain_text("Accepted as Goldfinch")
    expect(item(page, four)).to_be_focused()

    page.keyboard.press("r")
    expect(status).to_have_text(f"Rejected: correction {four}.")
    assert [kept.decisions()[number] for number in (one, two, three, four)] == [
        ("accepted", "Goldfinch"),
        ("accepted", "_other"),
        ("accepted", "Goldfinch"),
        ("rejected", ""),
    ]

    page.keyboard.press("u")
    expect(status).to_have_text(f"Back to new: correction {four}.")
    expect(item(page, four)).to_be_focused()
    assert kept.decisions()[four] == ("new", "")
    page.keyboard.press("?")
    expect(page.get_by_text("edit the label")).to_be_visible()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(2)


def test_keys_can_be_switched_off_and_do_nothing_in_a_field(sign_in, kept):
    one, *_others = some_corrections(kept)
    page = sign_in()
    page.keyboard.press("?")
    page.get_by_label("Use these keys").uncheck()
    item(page, one).focus()
    page.keyboard.press("r")
    page.get_by_label("Use these keys").check()
    field = item(page, one).get_by_label("Label")
    field.fill("")
    field.press("r")
    field.press("x")
    expect(field).to_have_value("rx")
    field.press("Escape")
    expect(field).to_have_value("Goldfinch")
    expect(item(page, one)).to_be_focused()
    assert kept.decisions()[one] == ("new", "")


def test_one_label_for_all_that_are_selected(sign_in, kept):
    _one, _two, three, four, _five = some_corrections(kept)
    page = sign_in()
    for number in (three, four):
        item(page, number).get_by_label("Select").check()
    item(page, four).focus()
    page.keyboard.press("l")
    page.keyboard.type("Roter Milan")
    page.keyboard.press("Enter")
    expect(item(page, three)).to_contain_text("Accepted as Roter Milan (a species that the model does not know)")
    assert kept.decisions()[three] == kept.decisions()[four] == ("accepted", "Roter Milan")


def test_without_a_script_buttons_and_boxes_do_the_same(sign_in, kept):
    one, two, three, *_others = some_corrections(kept)
    page = sign_in(java_script_enabled=False)
    for number in (one, two):
        item(page, number).get_by_label("Select").check()
    page.get_by_role("group", name="All that are selected").get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Done: 2 corrections.")).to_be_visible()
    item(page, three).get_by_role("button", name="Accept").click()
    expect(page.get_by_role("alert")).to_contain_text("It needs a label")
    item(page, three).get_by_role("link", name="Delete …").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Done: 1 correction.")).to_be_visible()
    assert three not in kept.decisions()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Review key")).to_be_visible()


def test_the_script_deletes_only_after_asking(sign_in, kept):
    one, two, *_others = some_corrections(kept)
    page = sign_in()
    page.keyboard.press("x")
    page.get_by_role("group", name="All that are selected").get_by_role("button", name="Delete …").click()
    expect(page.get_by_role("heading", name="Delete this correction?")).to_be_visible()
    page.get_by_role("link", name="Keep it").click()
    expect(item(page, two)).to_be_visible()
    assert one in kept.decisions()


def test_photos_are_shown_with_the_part_that_the_answer_is_about(sign_in, kept):
    one, *_others = some_corrections(kept)
    page = sign_in()
    photo = item(page, one).get_by_role("img", name="The photo of correction")
    expect(photo).to_be_visible()
    page.wait_for_function("[...document.querySelectorAll('.item .photo')].every(image => image.naturalWidth > 0)")
    frame = item(page, one).locator("rect").bounding_box()
    assert frame["width"] == pytest.approx(photo.bounding_box()["width"] / 2, rel=0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_the_page_can_be_used_by_everybody_on_a_phone_and_in_the_dark(sign_in, kept, scheme, width):
    one, *_others = some_corrections(kept)
    page = sign_in(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.keyboard.press("?")
    page.keyboard.press("x")
    page.get_by_text("As a table").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_faults(page) == []
    item(page, one).focus()
    keep_screenshot(page, f"review {scheme} {width}")
    item(page, one).get_by_role("link", name="Delete …").click()
    assert serious_faults(page) == []
    page.goto(re.sub(r"/review.*", "/review", page.url))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Review key")).to_be_visible()
    assert serious_faults(page) == []
