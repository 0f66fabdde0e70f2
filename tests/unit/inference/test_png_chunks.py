"""inference/png_chunks.py: metadata of a PNG that no browser minds."""

import io
import zlib
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from inference.errors import PhotoError
from inference.photo import open_photo
from inference.png_chunks import MAX_METADATA
from tests.support.drawings import encoded
from tests.support.photographs import bird, chunk, display_p3, large_xmp, with_chunks

PNG = encoded(bird(), "PNG")


def image_in(content: bytes) -> np.ndarray:
    return np.asarray(open_photo(io.BytesIO(content)).image)


def broken(intact: bytes) -> bytes:
    """A chunk with a wrong checksum."""
    return intact[:-4] + bytes(4)


def color_profile(profile: bytes, method: bytes = b"\0") -> bytes:
    return chunk(b"iCCP", b"profile\0" + method + zlib.compress(profile))


METADATA = {
    "XMP of 1.4 MB": large_xmp(),
    "a text that grows to 100 MB": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8))),
    "XMP that grows to 100 MB": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(10**8))),
    "70 MB of texts": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**6))) * 70,
    "a profile that grows to 100 MB": color_profile(bytes(10**8)),
    "a profile that is none": color_profile(b"none"),
    "a profile compressed in an unknown way": color_profile(display_p3(), method=b"\7"),
    "a profile that is not compressed": chunk(b"iCCP", b"profile\0\0none"),
    "a profile without anything": chunk(b"iCCP", b"profile"),
    "a text with a wrong checksum": broken(chunk(b"tEXt", b"Comment\0bird")),
    "EXIF data with a wrong checksum": broken(chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0")),
    "a resolution cut short": chunk(b"pHYs", b"\0\0"),
    "a gamma cut short": chunk(b"gAMA", b"\0\0"),
    "a text named like the profile": chunk(b"tEXt", b"icc_profile\0none"),
    "an animation without frames": chunk(b"acTL", bytes(8)),
}


@pytest.mark.parametrize("metadata", METADATA)
def test_metadata_that_are_huge_or_damaged_change_nothing(metadata):
    np.testing.assert_array_equal(image_in(with_chunks(PNG, METADATA[metadata])), image_in(PNG))


def test_a_large_color_profile_is_applied():
    profile = display_p3() + bytes(MAX_METADATA - 10_000)
    in_p3 = image_in(with_chunks(PNG, color_profile(display_p3())))
    np.testing.assert_array_equal(image_in(with_chunks(PNG, color_profile(profile))), in_p3)
    assert (in_p3 != image_in(PNG)).any()


def test_exif_data_that_imagemagick_writes_as_text_are_read():
    exif = bytes.fromhex("4d4d002a00000008 0001 8769 0004 00000001 0000001a 00000000")
    exif += bytes.fromhex("0001 9003 0002 00000014 0000002c 00000000") + b"2026:05:03 06:01:02\0"
    text = f"\nexif\n{len(exif) + 6:8}\n" + (b"Exif\0\0" + exif).hex() + "\n"
    content = with_chunks(PNG, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text.encode())))
    assert open_photo(io.BytesIO(content)).taken == datetime(2026, 5, 3, 6, 1, 2)


@pytest.mark.parametrize("end", [PNG[:-12], PNG[:-5], broken(PNG), PNG + b"IDAT" * 9], ids=range(4))
def test_what_is_behind_the_image_data_does_not_matter(end):
    np.testing.assert_array_equal(image_in(end), image_in(PNG))


def test_a_file_that_ends_with_a_whole_chunk_but_lacks_others_is_damaged():
    content = encoded(Image.effect_noise((300, 300), 60), "PNG")
    assert content.count(b"IDAT") > 1
    with pytest.raises(PhotoError, match="damaged or cut short"):
        image_in(content[: content.rindex(b"IDAT") - 4])


@pytest.mark.parametrize("kind", [b"IDAT", b"PLTE", b"tRNS"])
def test_image_data_with_a_wrong_checksum_are_damage(kind):
    image = bird().quantize(200)
    content = bytearray(encoded(image, "PNG", transparency=3))
    start = content.index(kind) - 4
    content[start + 8 + int.from_bytes(content[start : start + 4])] ^= 1
    with pytest.raises(PhotoError, match="damaged or cut short"):
        image_in(bytes(content))
