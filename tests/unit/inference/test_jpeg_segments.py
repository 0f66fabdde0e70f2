"""inference/jpeg_segments.py: what is wrong with a JPEG without any loss of image data, and what is damage."""

import io

import numpy as np
import pytest

from inference.errors import PhotoError
from inference.photo import open_photo
from tests.support.drawings import encoded
from tests.support.photographs import (
    bird,
    padded,
    smashed,
    with_jfif_version,
    with_samsungs_scan_parameters,
)

JPEG = encoded(bird(), "JPEG")
PROGRESSIVE = encoded(bird(), "JPEG", progressive=True)
INKS = encoded(bird().convert("CMYK"), "JPEG")


def image_in(content: bytes) -> np.ndarray:
    return np.asarray(open_photo(io.BytesIO(content)).image)


def assert_damaged(content: bytes) -> None:
    with pytest.raises(PhotoError, match="damaged or cut short"):
        open_photo(io.BytesIO(content))


def with_adobe_transform(jpeg: bytes, transform: int) -> bytes:
    """A JPEG with Adobe's segment, which says how its colors are stored, instead of JFIF's."""
    segment = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((transform,))
    return jpeg[:2] + segment + jpeg[20:]


def behind(jpeg: bytes, marker: bytes, stray: bytes) -> bytes:
    """A JPEG with stray bytes behind the first segment with this marker."""
    start = jpeg.index(marker)
    end = start + 2 + int.from_bytes(jpeg[start + 2 : start + 4])
    return jpeg[:end] + stray + jpeg[end:]


MISTAKES = {
    "Samsung's scan parameters": with_samsungs_scan_parameters(JPEG),
    "JFIF 0.00": with_jfif_version(JPEG, b"\0\0"),
    "JFIF 2.01": with_jfif_version(JPEG, b"\2\1"),
    "an unknown color transform": with_adobe_transform(JPEG, 99),
    "stray bytes in the header": behind(JPEG, b"\xff\xe0", b"stray bytes"),
    "stray bytes before the scan": behind(JPEG, b"\xff\xc0", b"stray bytes"),
    "a comment of less than no length": behind(JPEG, b"\xff\xe0", b"\xff\xfe\0\0"),
    "8 stray bytes before the end": padded(JPEG, b"12345678"),
    "65 bytes before the end": padded(JPEG, b"\x20" * 65),
    "1,403 bytes before the end": padded(JPEG, bytes(1403)),
    "text before the end": padded(JPEG, b"This is no part of the image. " * 40),
    "no end": JPEG[:-2],
    "half an end": JPEG[:-1],
    "zeros for an end": JPEG[:-2] + bytes(4096),
    "other data behind the end": JPEG + b"MotionPhoto_Data" + bytes(4096),
    "all of them": padded(with_samsungs_scan_parameters(with_jfif_version(JPEG, b"\0\0")), bytes(512)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_that_costs_no_image_data_changes_nothing(mistake):
    np.testing.assert_array_equal(image_in(MISTAKES[mistake]), image_in(JPEG))


def test_the_same_is_so_of_progressive_images_and_of_four_inks():
    np.testing.assert_array_equal(image_in(with_jfif_version(PROGRESSIVE, b"\0\0")), image_in(PROGRESSIVE))
    np.testing.assert_array_equal(image_in(PROGRESSIVE[:-2]), image_in(PROGRESSIVE))
    np.testing.assert_array_equal(image_in(padded(INKS, bytes(512))), image_in(INKS))


def test_image_data_that_end_with_a_byte_like_the_padding_are_whole():
    assert JPEG[-3] == 0
    for count in (*range(20), *range(1390, 1410)):
        np.testing.assert_array_equal(image_in(padded(JPEG, bytes(count))), image_in(JPEG))


def without_last_scan(jpeg: bytes) -> bytes:
    return jpeg[: jpeg.rindex(b"\xff\xda")]


HOLE = smashed(JPEG, 0.6, 1000)
DAMAGED = {
    "a hole in a file of Samsung": with_samsungs_scan_parameters(HOLE),
    "a hole in a file of JFIF 0.00": with_jfif_version(HOLE, b"\0\0"),
    "a hole, and stray bytes in the header": behind(HOLE, b"\xff\xe0", b"stray"),
    "a hole, and padding": padded(HOLE, bytes(1403)),
    "half of it, and an end": JPEG[: len(JPEG) // 2] + b"\xff\xd9",
    "half of it, padding, and an end": JPEG[: len(JPEG) // 2] + bytes(len(JPEG) // 2) + b"\xff\xd9",
    "half of it, and zeros": JPEG[: len(JPEG) // 2] + bytes(len(JPEG) // 2),
    "a progressive one without its last scan": without_last_scan(PROGRESSIVE),
    "a progressive one with zeros for its last scan": without_last_scan(PROGRESSIVE) + bytes(500) + b"\xff\xd9",
    "the rest of its data before the end": padded(JPEG, JPEG[-200:-2]),
    "text over the end of its data": JPEG[:-400] + b"text" * 100 + b"\xff\xd9",
    "a table that has been shifted": behind(JPEG, b"\xff\xc4", b"stray"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_lost_image_data_are_noticed_whatever_else_is_wrong(damage):
    assert_damaged(DAMAGED[damage])
