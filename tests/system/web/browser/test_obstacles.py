"""A photo that is too large, an app that is busy or being started, a proxy that refuses, no connection."""

import base64
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
from playwright.sync_api import Page, Route, expect

from inference.photo import open_photo
from tests.support import servers
from tests.support.browsing import PREDICTED, Open, cards, keep_screenshot, photo_field, serious_faults, state_of
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.photographs import display_p3, slow_photo
from tests.support.servers import SMALL_NETWORK, until




def test_a_photo_that_is_too_large_is_made_smaller_and_stays_upright_dated_and_in_its_colours(open_page, tmp_path):
    # A phone's photo, held upright: in the file it lies on its side, and its colours are Display P3's.
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
    photo_field(page).set_input_files(photo)
    expect(page.get_by_text(PREDICTED)).to_be_visible()
    thumbnail = page.get_by_alt_text("The photo you sent")
    assert thumbnail.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [300, 400]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(thumbnail.get_attribute("src").partition(",")[2]))))
    for rows in (slice(20, 180), slice(220, 380)):
        np.testing.assert_allclose(shown[rows].mean((0, 1)), upright[rows].mean((0, 1)), atol=4)
    assert page.locator(".card").get_attribute("data-row").startswith('["2026-05-03 06:01:02"')


def test_a_photo_of_too_many_pixels_is_made_smaller_too(open_page, bird, tmp_path):
    photo = tmp_path / "many.jpg"
    Image.open(bird).resize((8400, 6300)).save(photo, quality=70)
    assert photo.stat().st_size < 10 * 2**20
    page = open_page()
    photo_field(page).set_input_files(photo)
    expect(page.get_by_text("Predicted : American Goldfinch")).to_be_visible()


def test_what_is_too_large_and_cannot_be_made_smaller_is_not_sent(open_page, tmp_path):
    photo = tmp_path / "large.jpg"
    photo.write_bytes(bytes(12 * 2**20))
    page = open_page()
    sent = []
    page.on("request", lambda request: sent.append(request.method))
    photo_field(page).set_input_files(photo)
    expect(cards(page).get_by_role("alert")).to_have_text("Uploaded file too large.")
    assert "POST" not in sent
    assert serious_faults(page) == []


def test_a_person_who_comes_when_the_app_is_busy_is_told_so_and_answered_in_the_end(open_page, bird, tmp_path):
    uploads = tmp_path / "uploads"
    with servers.running(servers.GUNICORN, uploads, BIRD_MAX_WAITING="0", **SMALL_NETWORK) as address:
        page = open_page(address=address)
        with ThreadPoolExecutor() as pool:
            other = pool.submit(servers.send_photo, address, slow(), "slow.png")
            until(lambda: list(uploads.iterdir()))
            photo_field(page).set_input_files(bird)
            sentence = (
                r"^The app is busy: 1 photo is in line. Please try again in .* seconds?\. The page does so by itself\.$"
            )
            expect(page.locator(".state")).to_have_text(re.compile(sentence))
            keep_screenshot(page, "busy")
            assert other.result().status == 200
        expect(page.get_by_text(PREDICTED)).to_be_visible()


def test_a_photo_that_found_no_connection_can_be_sent_again(open_page, bird):
    page = open_page()
    page.context.set_offline(True)
    photo_field(page).set_input_files(bird)
    expect(page.get_by_text("The photo could not be sent. Is there a connection?", exact=True)).to_be_visible()
    keep_screenshot(page, "no connection")
    assert serious_faults(page) == []
    page.context.set_offline(False)
    page.get_by_role("button", name="Send it again").press("Enter")
    expect(page.get_by_role("article")).to_be_focused()
    expect(page.get_by_text(PREDICTED)).to_be_visible()
