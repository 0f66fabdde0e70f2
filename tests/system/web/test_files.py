"""Every kind of file that people send, posted to the running app, and how much memory and time each may take."""

import re
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.support import servers
from tests.support.drawings import encoded
from tests.support.fuzz import files_of_each_format, fuzz
from tests.support.pages import species_on, thumbnail_file_on, thumbnail_on
from tests.support.photographs import TRANSPOSED_FOR_ORIENTATION, bad, bird, display_p3, good, held

GOOD = {what: (name, content) for what, name, content in good()}
ALPHA = Image.linear_gradient("L").resize(bird().size)
BAD = {what: (name, content, sentence) for what, name, content, sentence in bad()}


def clean_thumbnail_on(page: str) -> Image.Image:
    """The thumbnail on a page, which holds nothing but an image: no place, no camera, no color profile."""
    assert b"secret" not in thumbnail_file_on(page)
    thumbnail = thumbnail_on(page)
    assert not {"exif", "icc_profile", "comment", "xmp", "photoshop"} & set(thumbnail.info)
    return thumbnail


def difference(image: Image.Image, expected: Image.Image) -> float:
    """The mean difference of two images, seen from a distance: 0 to 255."""
    near, far = (np.asarray(each.convert("RGB").resize((32, 32)), dtype="float32") for each in (image, expected))
    return float(abs(near - far).mean())


@pytest.mark.parametrize("what", GOOD)
def test_a_good_file_is_answered(server, what):
    address, uploads = server
    name, content = GOOD[what]
    status, page = servers.post_photo(address, content, name)
    assert status == 200
    assert species_on(page)
    expected = bird().convert("L") if "gray" in what else bird()
    if "alpha" in what:
        expected = Image.composite(expected, Image.new(expected.mode, expected.size, "white"), ALPHA)
    if not any(word in what for word in ("panorama", "small", "unusually")):
        # P3's colors are stronger than sRGB's by about this much; CMYK's and a palette's are rounded
        assert difference(clean_thumbnail_on(page), expected) < (12 if "P3" in what else 6)
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_with_its_sentence(server, what):
    address, uploads = server
    name, content, sentence = BAD[what]
    begun = time.monotonic()
    status, page = servers.post_photo(address, content, name)
    assert status == 200  # of the form, after the redirect
    assert re.findall(r'role="alert">(.*?)<', page) == [sentence]
    assert time.monotonic() - begun < 20
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_whichever_way_the_camera_was_held_the_bird_is_upright_and_the_same(server, file_format):
    address, _uploads = server
    name = f"bird.{file_format.lower()}".replace("heif", "heic")
    pages = [servers.post_photo(address, held(way, file_format), name)[1] for way in TRANSPOSED_FOR_ORIENTATION]
    assert len({species_on(page) for page in pages}) == 1
    for page in pages:
        assert difference(clean_thumbnail_on(page), bird()) < 4


def test_wide_gamut_colors_are_converted_to_srgb(server):
    stored = np.array([200, 120, 90])
    linear = (stored / 255) ** 2.2
    # CSS Color Module Level 4, section 17: Display P3 to XYZ, and XYZ to sRGB
    p3_to_srgb = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    in_srgb = p3_to_srgb @ linear
    expected = 255 * (1.055 * in_srgb ** (1 / 2.4) - 0.055)
    image = Image.new("RGB", (300, 200), tuple(int(level) for level in stored))
    for file_format in ("JPEG", "PNG", "WEBP", "HEIF", "AVIF"):
        content = encoded(image, file_format, icc_profile=display_p3(), quality=95)
        name = f"bird.{file_format.lower()}".replace("heif", "heic")
        shown = clean_thumbnail_on(servers.post_photo(server[0], content, name)[1]).getpixel((150, 100))
        np.testing.assert_allclose(shown, expected, atol=4)
    assert abs(expected - stored).max() > 10  # or this test would not see the difference


def peak_memory_while(address: str, post: Callable[[], object]) -> int:
    """The most memory that the app takes at any moment until ``post`` returns, in bytes."""
    samples, done = [], threading.Event()

    def sample() -> None:
        while not done.wait(0.003):
            samples.append(servers.memory_at(address))

    watcher = threading.Thread(target=sample)
    watcher.start()
    post()
    done.set()
    watcher.join()
    return max(samples)


LARGE = {
    "JPEG of 51 megapixels": lambda: GOOD["JPEG of 51 megapixels"][1],
    "progressive JPEG of 52 megapixels": lambda: encoded(
        bird().resize((8320, 6240)), "JPEG", progressive=True, subsampling=0
    ),
    "transparent PNG of 52 megapixels": lambda: encoded(Image.new("RGBA", (8320, 6240), (90, 120, 60, 128)), "PNG"),
    "WebP of 24 megapixels": lambda: encoded(bird().resize((6000, 4000)), "WEBP", method=0),
    "AVIF of 32 megapixels": lambda: encoded(bird().resize((6400, 5000)), "AVIF", speed=10),
    "JPEG of 5,000 empty scans": lambda: BAD["a JPEG of 5,000 empty scans"][1],
    "progressive JPEG in four inks": lambda: BAD["a progressive JPEG of 49 megapixels in four inks"][1],
    "PNG of 10 gigapixels": lambda: BAD["a PNG of 10 gigapixels"][1],
}


@pytest.mark.parametrize("what", LARGE)
def test_no_file_costs_more_than_its_share(server, what):
    address, _uploads = server
    content = LARGE[what]()
    for _ in range(2):  # the first may start the decoder process that an earlier file has ended
        servers.post_photo(address, GOOD["JPEG"][1])
    idle, used = servers.memory_at(address), servers.processor_time_at(address)
    peak = peak_memory_while(address, lambda: servers.post_photo(address, content))
    assert peak - idle < 400e6
    # Up to 2.5 s for the photo, and as much to read it once more if the network is not sure; the rest to look closer.
    assert servers.processor_time_at(address) - used < 8


def test_2000_damaged_files_get_an_answer_each_and_leave_nothing(tmp_path):
    found = fuzz(2000, seed=3, uploads=tmp_path / "uploads")
    assert found.sent == 2000
    assert found.answered + found.refused == 2000
    assert found.answered > 100
    assert found.refused > 500
    assert found.left == []
    assert found.peak_memory - found.memory_before < 400e6
    assert found.slowest < 10


def test_the_files_that_are_damaged_for_this_are_good_ones(server):
    for name, content in files_of_each_format():
        assert "Predicted : " in servers.post_photo(server[0], content, name)[1]
