"""The page in a real browser (Debian's Chromium, driven by Playwright)."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from . import servers
from .fuzz import SMALL_NETWORK
from .test_load import slow, until


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    """A browser page; it complains about every error that a script or a request meets."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    return page


def choose_and_send(page: Page, address: str, path: Path | None) -> None:
    page.goto(address)
    if path is not None:
        page.get_by_label("A photo of a bird").set_input_files(path)
    page.get_by_role("button", name="Name the bird").click()


def test_a_person_chooses_a_photo_and_reads_the_species(server, page, goldfinch, tmp_path):
    address, uploads = server
    photo = tmp_path / "goldfinch.jpg"
    photo.write_bytes(goldfinch)
    choose_and_send(page, address, photo)
    expect(page.get_by_text(re.compile(r"^Predicted : \w"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Confidence \[0-100\]% : [\d.]+ %$"))).to_be_visible()
    thumbnail = page.get_by_alt_text("The photo you sent")
    assert thumbnail.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [400, 300]
    expect(page.get_by_label("Another photo")).to_be_visible()
    assert list(uploads.iterdir()) == []


def test_a_person_who_sends_12_megabytes_reads_that_it_is_too_large(server, page, tmp_path):
    photo = tmp_path / "large.jpg"
    photo.write_bytes(bytes(12 * 2**20))
    choose_and_send(page, server[0], photo)
    expect(page.get_by_role("alert")).to_have_text("Uploaded file too large.")


def test_a_person_who_chooses_nothing_or_the_wrong_file_reads_why(server, page, tmp_path):
    choose_and_send(page, server[0], None)
    expect(page.get_by_role("alert")).to_have_text("No file selected to upload.")
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no bird")
    choose_and_send(page, server[0], wrong)
    expect(page.get_by_role("alert")).to_contain_text("The file type you selected: '.txt' is not supported.")
    page.reload()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_person_who_comes_when_the_app_is_busy_reads_when_to_try_again_and_can(page, goldfinch, tmp_path):
    photo = tmp_path / "goldfinch.jpg"
    photo.write_bytes(goldfinch)
    uploads = tmp_path / "uploads"
    with servers.running(servers.GUNICORN, uploads, BIRD_MAX_WAITING="0", **SMALL_NETWORK) as address:
        with ThreadPoolExecutor() as pool:
            page.goto(address)
            page.get_by_label("A photo of a bird").set_input_files(photo)
            other = pool.submit(servers.send_photo, address, slow(), "slow.png")
            until(lambda: list(uploads.iterdir()))
            page.get_by_role("button", name="Name the bird").click()
            expect(page.get_by_role("alert")).to_have_text(
                re.compile(r"^The app is busy: 1 photo is in line. Please try again in .* seconds?\.$")
            )
            assert other.result().status == 200
        page.get_by_label("A photo of a bird").set_input_files(photo)
        page.get_by_role("button", name="Name the bird").click()
        expect(page.get_by_text(re.compile(r"^Predicted : \w"))).to_be_visible()


def test_the_page_asks_nobody_else_for_anything_and_fits_a_small_phone(server, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    complaints = []  # of a style, script or picture that the Content-Security-Policy forbids, too
    page.on("console", lambda message: complaints.append(message.text))
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(server[0], wait_until="networkidle")
    assert len(asked) >= 3  # the page, its style, its icon
    assert all(url.startswith(server[0]) for url in asked)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert complaints == []


def test_a_person_follows_the_link_to_the_report_and_sees_its_charts_in_its_own_style(server, page):
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(server[0])
    page.get_by_role("link", name="How good the model is").click()
    expect(page.get_by_role("heading", name="How good the model is")).to_be_visible()
    chart = page.get_by_alt_text("Loss and accuracy by epoch")
    assert chart.evaluate("image => image.naturalWidth") > 100
    assert page.locator(".figures").evaluate("list => getComputedStyle(list).display") == "flex"
    assert complaints == []
