"""A photo that is too large, an app that is busy or being started, a proxy that refuses, no connection."""

import io
import re
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Page, Request, Route, expect

from inference.photo import open_photo
from tests.support import servers
from tests.support.browsing import answer, cards, keep_screenshot, photo_field, serious_faults, state_of
from tests.support.drawings import encoded
from tests.support.pages import thumbnail_on
from tests.support.photographs import display_p3, slow_photo
from tests.support.servers import SMALL_NETWORK, until


def test_a_photo_that_is_too_large_is_made_smaller_and_stays_upright_dated_and_in_its_colors(open_page, tmp_path):
    # A phone's photo, held upright: in the file it lies on its side, and its colors are Display P3's.
    rng = np.random.default_rng(5)
    halves = np.zeros((3000, 4000, 3), "uint8")
    halves[:, :2000], halves[:, 2000:] = (200, 60, 60), (60, 60, 200)
    noisy = Image.fromarray((halves + rng.integers(0, 50, halves.shape)).clip(0, 255).astype("uint8"))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    photo = tmp_path / "phone.jpg"
    noisy.save(photo, quality=97, exif=exif, icc_profile=display_p3(), subsampling=0)
    assert photo.stat().st_size > 10 * 2**20
    plain = io.BytesIO(encoded(noisy.resize((400, 300)), "JPEG", exif=exif, icc_profile=display_p3(), quality=97))
    upright = np.asarray(open_photo(plain).image)  # the server's own way from P3 to sRGB
    page = open_page()
    with page.expect_response("**/cards") as card:
        photo_field(page).set_input_files(photo)
    expect(answer(page)).to_be_visible()
    thumbnail = thumbnail_on(card.value.text())
    assert thumbnail.size == (300, 400)
    shown = np.asarray(thumbnail)
    for rows in (slice(20, 180), slice(220, 380)):
        np.testing.assert_allclose(shown[rows].mean((0, 1)), upright[rows].mean((0, 1)), atol=4)
    assert page.locator(".card").get_attribute("data-taken") == "2026-05-03 06:01:02"


def test_a_photo_of_too_many_pixels_is_made_smaller_too(open_page, bird, tmp_path):
    photo = tmp_path / "many.jpg"
    Image.open(bird).resize((8400, 6300)).save(photo, quality=70)
    assert photo.stat().st_size < 10 * 2**20
    page = open_page()
    photo_field(page).set_input_files(photo)
    expect(page.get_by_text("Predicted : American Goldfinch")).to_be_attached()


def test_a_photo_that_cannot_be_made_smaller_gets_the_servers_card_and_is_not_sent(open_page, tmp_path):
    photo = tmp_path / "large.jpg"
    photo.write_bytes(bytes(12 * 2**20))
    page = open_page()
    sent = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    photo_field(page).set_input_files(photo)
    expect(cards(page).get_by_role("alert")).to_have_text("Uploaded file too large.")
    expect(page.locator(".name")).to_have_text("large.jpg")
    (question,) = sent
    assert question.headers["x-body-too-large"] == "1"
    assert question.sizes()["requestBodySize"] < 1000
    assert serious_faults(page) == []


# An app that is busy, or being started


def test_a_person_who_comes_when_the_app_is_busy_is_told_so_and_answered_in_the_end(open_page, bird, tmp_path):
    uploads = tmp_path / "uploads"
    with servers.running(servers.GUNICORN, uploads, BIRD_MAX_WAITING="0", **SMALL_NETWORK) as address:
        page = open_page(address=address)
        with ThreadPoolExecutor() as pool:
            other = pool.submit(servers.send_photo, address, slow_photo(), "slow.png")
            until(lambda: list(uploads.iterdir()))
            photo_field(page).set_input_files(bird)
            sentence = r"^The app is busy: 1 photo is in line\. Please try again in .* seconds?\. The page will do so"
            expect(state_of(page)).to_have_text(re.compile(sentence))
            keep_screenshot(page, "busy")
            assert other.result().status == 200
        expect(answer(page)).to_be_visible()


@contextmanager
def gunicorn(port: int, uploads: Path) -> Iterator[str]:
    """The app with a small network at a port, which may not answer yet."""
    process = subprocess.Popen(
        servers.GUNICORN, cwd=servers.ROOT, env=servers.environment(port, uploads, **SMALL_NETWORK)
    )
    try:
        until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=40)


def listens(port: int) -> bool:
    """Whether connections to a port are accepted."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_a_photo_that_is_sent_while_the_app_is_being_started_is_sent_again(open_page, bird, tmp_path):
    port = servers.free_port()
    with gunicorn(port, tmp_path / "uploads") as address:
        page = open_page(address=address)
    with gunicorn(port, tmp_path / "uploads"), ThreadPoolExecutor(20) as early:
        # As many requests as may wait for the model do so, and a few more, which are refused.
        statuses = []
        for _ in range(20):
            early.submit(lambda: statuses.append(requests.get(address, timeout=60).status_code))
        until(lambda: 503 in statuses)
        photo_field(page).set_input_files(bird)
        sentence = "The app is being started. Please try again in a few seconds. The page will do so by itself."
        expect(state_of(page)).to_have_text(sentence)
        expect(page.get_by_role("log")).to_contain_text(f"goldfinch.jpg: {sentence}")
        expect(answer(page)).to_be_visible()
    assert set(statuses) == {200, 503}


# A proxy, whose answers are not the app's

REFUSAL = "<!doctype html><title>Refused</title><h1>nginx</h1>"


def put_proxy_before(page: Page, *statuses: int, retry_after: str = "") -> list[Request]:
    """Let a proxy answer photos that the page sends with these statuses, one after the other; then the app answers.

    :param retry_after: the header, if the proxy sends it.
    :return: what the page has sent.
    """
    sent: list[Request] = []
    headers = {"Retry-After": retry_after} if retry_after else {}

    def answer(route: Route) -> None:
        sent.append(route.request)
        if len(sent) <= len(statuses):
            route.fulfill(status=statuses[len(sent) - 1], headers=headers, content_type="text/html", body=REFUSAL)
        else:
            route.continue_()

    page.route("**/cards", answer)
    return sent


def test_a_503_without_a_card_is_tried_again_when_its_retry_after_is_over(open_page, bird):
    page = open_page()
    sent = put_proxy_before(page, 503, 503, retry_after="1")
    photo_field(page).set_input_files(bird)
    expect(state_of(page)).to_have_text(
        "The app is busy or being started. Please try again in a few seconds. The page will do so by itself."
    )
    expect(answer(page)).to_be_visible()
    assert len(sent) == 3


def test_a_proxy_that_refuses_again_and_again_is_not_asked_for_ever(open_page, bird):
    page = open_page()
    sent = put_proxy_before(page, *[503] * 11, retry_after="0.01")
    photo_field(page).set_input_files(bird)
    expect(page.get_by_role("button", name="Send it again")).to_be_visible()
    expect(state_of(page)).to_have_text("The app is busy or being started. Please try again in a few seconds.")
    assert len(sent) == 10


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_answer_without_a_card_and_without_retry_after_leaves_it_to_the_person_to_try_again(open_page, bird, status):
    page = open_page()
    sent = put_proxy_before(page, status)
    photo_field(page).set_input_files(bird)
    expect(state_of(page)).to_have_text("The server could not answer. Please try again later.")
    assert len(sent) == 1
    page.get_by_role("button", name="Send it again").click()
    expect(answer(page)).to_be_visible()


def test_a_photo_that_is_too_large_for_a_proxy_gets_the_servers_card(open_page, bird):
    page = open_page()
    sent = put_proxy_before(page, 413)
    photo_field(page).set_input_files(bird)
    expect(cards(page).get_by_role("alert")).to_have_text("Uploaded file too large.")
    assert ["x-body-too-large" in request.headers for request in sent] == [False, True]


def test_a_photo_that_found_no_connection_is_sent_again_when_there_is_one(open_page, bird):
    page = open_page()
    page.context.set_offline(True)
    photo_field(page).set_input_files(bird)
    expect(page.get_by_text("The photo could not be sent. Is there a connection?", exact=True)).to_be_visible()
    page.context.set_offline(False)
    expect(answer(page)).to_be_visible()


def test_a_photo_that_could_not_be_sent_can_be_sent_again(open_page, bird):
    page = open_page()
    page.route("**/cards", lambda route: route.abort())
    photo_field(page).set_input_files(bird)
    expect(page.get_by_text("The photo could not be sent. Is there a connection?", exact=True)).to_be_visible()
    keep_screenshot(page, "no connection")
    assert serious_faults(page) == []
    page.unroute("**/cards")
    page.get_by_role("button", name="Send it again").press("Enter")
    expect(page.get_by_role("article")).to_be_focused()
    expect(answer(page)).to_be_visible()
