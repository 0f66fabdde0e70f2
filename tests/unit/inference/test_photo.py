"""inference/photo.py: from bytes to an upright image, its pixels and its thumbnail."""

import io
import itertools
import struct
from datetime import datetime

import numpy as np
import pytest
from PIL import Image, ImageOps

from inference import IMAGE_SIZE, PICTURE_SIDE
from inference.errors import PhotoError
from inference.photo import Photo, open_photo
from inference.regions import WHOLE, Region
from tests.support.drawings import encoded
from tests.support.photographs import TRANSPOSED_FOR_ORIENTATION, bird, held, transparent


def halves(mode: str = "RGB", left: object = (200, 30, 30), right: object = (30, 30, 200)) -> Image.Image:
    """An image of 60 × 40 pixels in two colors."""
    image = Image.new(mode, (60, 40), left)
    image.paste(right, (30, 0, 60, 40))
    return image


def opened(image: Image.Image, file_format: str, **options: object) -> Image.Image:
    return open_photo(io.BytesIO(encoded(image, file_format, **options))).image


def colors(image: Image.Image) -> list[tuple[int, int, int]]:
    """The color in the middle of the left and of the right half."""
    return [
        image.getpixel((image.width // 4, image.height // 2)),
        image.getpixel((image.width * 3 // 4, image.height // 2)),
    ]


def assert_close(image: Image.Image, expected: list[tuple[int, int, int]]) -> None:
    assert image.mode == "RGB"
    np.testing.assert_allclose(colors(image), expected, atol=4)


@pytest.mark.parametrize("orientation", TRANSPOSED_FOR_ORIENTATION)
def test_a_sideways_phone_photo_is_turned_upright(orientation):
    upright = halves()
    transpose = TRANSPOSED_FOR_ORIENTATION[orientation]
    stored = upright.transpose(transpose) if transpose is not None else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = opened(stored, "JPEG", exif=exif, quality=95, subsampling=0)
    assert image.size == upright.size
    assert_close(image, colors(upright))


def taken_at(date: str | None, file_format: str = "JPEG") -> datetime | None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    if date is not None:
        exif.get_ifd(0x8769)[0x9003] = date
    return open_photo(io.BytesIO(encoded(halves(), file_format, exif=exif))).taken


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_a_photo_knows_when_it_was_taken(file_format):
    assert taken_at("2026:05:03 06:01:02", file_format) == datetime(2026, 5, 3, 6, 1, 2)


@pytest.mark.parametrize(
    "date", [None, "", "    :  :     :  :  ", "0000:00:00 00:00:00", "yesterday", "2026:02:30 00:00:00"]
)
def test_a_photo_without_a_date_or_with_an_impossible_one_has_none(date):
    assert taken_at(date) is None


@pytest.mark.filterwarnings("ignore")  # Pillow's, on damaged EXIF
def test_a_photo_with_damaged_exif_data_is_shown_as_it_is_stored():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    content = bytearray(encoded(halves(), "JPEG", exif=exif, quality=95, subsampling=0))
    tiff = content.index(b"Exif\0\0") + 6
    refusals = 0
    for position, byte in itertools.product(range(tiff, tiff + 60), [b"\0", b"\xff"]):
        damaged = bytes(content[:position] + byte + content[position + 1 :])
        assert open_photo(io.BytesIO(damaged)).image.size in ((60, 40), (40, 60))  # turned if the tag survived
        try:
            ImageOps.exif_transpose(Image.open(io.BytesIO(damaged)))
        except struct.error:
            refusals += 1
    assert refusals  # Pillow alone fails on some of them


@pytest.mark.parametrize(
    ("image", "file_format", "expected"),
    [
        (halves("L", 40, 220), "PNG", [(40, 40, 40), (220, 220, 220)]),
        (halves("1", 0, 1), "PNG", [(0, 0, 0), (255, 255, 255)]),
        (
            Image.fromarray(np.asarray(halves("L", 40, 220)).astype("uint16") * 257),
            "PNG",
            [(40, 40, 40), (220, 220, 220)],
        ),
        (halves().convert("CMYK"), "JPEG", [(200, 30, 30), (30, 30, 200)]),
        (halves().quantize(4), "PNG", [(200, 30, 30), (30, 30, 200)]),
        (halves().quantize(4), "GIF", [(200, 30, 30), (30, 30, 200)]),
        (halves("LA", (40, 255), (40, 0)), "PNG", [(40, 40, 40), (255, 255, 255)]),
    ],
    ids=["grey", "black and white", "16 bit", "CMYK", "palette", "GIF", "grey with alpha"],
)
def test_every_kind_of_color_becomes_rgb(image, file_format, expected):
    assert_close(opened(image, file_format), expected)


def test_transparency_is_shown_on_white():
    assert_close(opened(halves("RGBA", (200, 30, 30, 255), (0, 0, 0, 0)), "PNG"), [(200, 30, 30), (255, 255, 255)])
    palette = halves().quantize(2)
    clear = palette.getpixel((45, 20))
    assert_close(opened(palette, "GIF", transparency=clear), [(200, 30, 30), (255, 255, 255)])


def test_of_an_animation_the_first_frame_is_taken():
    later = [halves(left=(0, 255, 0), right=(0, 255, 0)) for _ in range(3)]
    assert_close(opened(halves(), "GIF", save_all=True, append_images=later), [(200, 30, 30), (30, 30, 200)])


@pytest.mark.parametrize("size", [(1700, 1359), (101, 77)])
def test_a_heic_photo_is_decoded_as_pillow_decodes_it(size):
    content = encoded(halves().resize(size), "HEIF")
    reduction = tuple(max(1, side // (3 * 224)) for side in size)
    plain = Image.open(io.BytesIO(content)).convert("RGB").reduce(reduction)
    np.testing.assert_array_equal(np.asarray(open_photo(io.BytesIO(content)).image), np.asarray(plain))


def test_pixels_are_the_whole_image_squeezed_into_the_networks_square(goldfinch):
    opened_photo = open_photo(io.BytesIO(goldfinch))
    pixels = opened_photo.pixels()
    assert (pixels.shape, pixels.dtype) == ((224, 224, 3), np.uint8)
    plain = Image.open(io.BytesIO(goldfinch)).resize((224, 224), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(pixels, np.asarray(plain))


@pytest.mark.parametrize(
    ("size", "expected"), [((1200, 900), (400, 300)), ((100, 3000), (13, 400)), ((60, 40), (60, 40))]
)
def test_a_thumbnail_keeps_the_aspect_and_is_never_larger_than_400_pixels(size, expected):
    jpeg = open_photo(io.BytesIO(encoded(Image.new("RGB", size), "PNG"))).thumbnail()
    with Image.open(io.BytesIO(jpeg)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", expected)


def test_a_thumbnail_carries_no_metadata_of_the_file():
    exif = Image.Exif()
    exif[0x010F] = "secret camera"
    file = encoded(halves(), "JPEG", exif=exif, comment=b"secret comment", icc_profile=b"secret profile")
    assert file.count(b"secret") == 3
    assert b"secret" not in open_photo(io.BytesIO(file)).thumbnail()


@pytest.mark.parametrize("content", [b"", b"<html>bird</html>", b"\xff\xd8", encoded(halves(), "BMP")])
def test_a_file_that_is_not_an_image_of_an_accepted_format_is_refused(content):
    with pytest.raises(PhotoError, match="not a picture"):
        open_photo(io.BytesIO(content))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF"])
def test_a_file_cut_short_is_refused(file_format):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype="uint8"))
    content = encoded(noise, file_format)
    with pytest.raises(PhotoError, match="damaged or cut short"):
        open_photo(io.BytesIO(content[: len(content) // 2]))


def test_a_gif_may_lack_its_trailer_but_nothing_of_its_image():
    content = encoded(halves(), "GIF")
    np.testing.assert_array_equal(
        np.asarray(open_photo(io.BytesIO(content[:-1])).image), np.asarray(open_photo(io.BytesIO(content)).image)
    )
    with pytest.raises(PhotoError, match="damaged or cut short"):
        open_photo(io.BytesIO(content[:-2]))


def test_an_image_with_too_many_pixels_is_refused_by_its_header():
    content = encoded(halves(), "PNG")
    header_only = content[:60]  # decoding would fail, so it was not tried
    with pytest.raises(PhotoError, match=r"more than 0\.002 million pixels"):
        open_photo(io.BytesIO(header_only), max_pixels=2000)


PART = Region(0.2, 0.1, 0.5, 0.7)


def part_of(content: bytes, region: Region = PART) -> Photo:
    return open_photo(io.BytesIO(content), region=region)


def cropped(content: bytes, region: Region = PART) -> Image.Image:
    """The part of a photo that is small enough to be decoded in full."""
    image = open_photo(io.BytesIO(content)).image
    return image.crop(region.box(*image.size))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", TRANSPOSED_FOR_ORIENTATION)
def test_a_region_is_the_crop_of_the_upright_photo(file_format, orientation):
    content = held(orientation, file_format)
    photo = part_of(content)
    np.testing.assert_array_equal(np.asarray(photo.part), np.asarray(cropped(content)))
    difference = np.asarray(photo.part, "int16") - np.asarray(bird().crop(PART.box(*bird().size)), "int16")
    assert np.abs(difference).mean() < 4  # what the camera saw, but for compression
    resized = photo.part.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(photo.pixels(), np.asarray(resized))


@pytest.mark.parametrize(
    ("image", "file_format"),
    [
        (bird().quantize(64), "PNG"),
        (bird().quantize(64), "GIF"),
        (bird().convert("CMYK"), "JPEG"),
        (bird().convert("L"), "PNG"),
        (transparent("RGB"), "PNG"),
        (transparent("L"), "PNG"),
        (transparent("RGB"), "WEBP"),
    ],
    ids=["palette", "GIF", "CMYK", "gray", "alpha", "gray with alpha", "WebP with alpha"],
)
def test_a_region_of_an_image_of_any_kind_of_color_is_its_crop(image, file_format):
    content = encoded(image, file_format)
    photo = part_of(content)
    assert photo.part.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(photo.part), np.asarray(cropped(content)))


@pytest.mark.parametrize(
    ("file_format", "size", "orientation"),
    [
        ("JPEG", (3600, 2880), 1),  # large ones are decoded at a scale
        ("JPEG", (3600, 2880), 6),
        ("JPEG", (3600, 2880), 7),
        ("PNG", (1900, 1520), 8),
        ("HEIF", (1900, 1520), 5),
    ],
)
def test_a_region_of_a_large_photo_keeps_the_pixels_that_the_network_needs(file_format, size, orientation):
    upright = bird().resize(size, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    transpose = TRANSPOSED_FOR_ORIENTATION[orientation]
    stored = upright if transpose is None else upright.transpose(transpose)
    content = encoded(stored, file_format, exif=exif, quality=95, compress_level=1)
    for region in (Region(0.1, 0.2, 0.5, 0.6), Region(0.7, 0.7, 0.3, 0.3), Region(0.31, 0.4, 0.1, 0.1)):
        photo = part_of(content, region)
        part = upright.crop(region.box(*size))
        assert photo.size == size
        assert min(photo.part.size) >= min(3 * IMAGE_SIZE, *part.size) * 0.98
        expected = part.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS)
        assert np.abs(photo.pixels().astype("int16") - np.asarray(expected, "int16")).mean() < 3


@pytest.mark.parametrize("corner", [(0, 0), (0.98, 0), (0, 0.98), (0.98, 0.98)])
def test_a_region_may_be_a_single_pixel(corner):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype="uint8"))
    region = Region(*corner, 0.02, 0.02)
    photo = part_of(encoded(image, "PNG"), region)
    assert photo.part.size == (1, 1)
    pixel = image.getpixel((round(50 * corner[0]), round(50 * corner[1])))
    assert (photo.pixels() == pixel).all()
    small = part_of(encoded(image.resize((16, 16)), "PNG"), region)  # whose pixels are larger than the region
    assert small.part.size == (1, 1)


def test_the_image_and_the_thumbnail_show_the_whole_photo_whatever_the_region(goldfinch):
    whole, photo = open_photo(io.BytesIO(goldfinch)), part_of(goldfinch)
    assert whole.part is None
    assert part_of(goldfinch, WHOLE).part is None
    assert (photo.size, photo.image.size) == (whole.size, whole.image.size)
    np.testing.assert_array_equal(np.asarray(photo.image), np.asarray(whole.image))
    assert photo.thumbnail() == whole.thumbnail()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((60, 40), (60, 40)),
        ((PICTURE_SIDE, 1000), (PICTURE_SIDE, 1000)),
        ((4000, 3000), (PICTURE_SIDE, 1344)),
        ((3000, 4000), (1344, PICTURE_SIDE)),
        ((6000, 16), (PICTURE_SIDE, 5)),
        ((16, 40_000), (1, PICTURE_SIDE)),
    ],
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_picture_keeps_the_aspect_and_is_never_enlarged(size, expected, file_format):
    content = encoded(Image.new("RGB", size, (10, 200, 30)), file_format)
    picture = open_photo(io.BytesIO(content), for_picture=True).picture()
    assert (picture.shape, picture.dtype) == ((*expected[::-1], 3), np.uint8)
    np.testing.assert_allclose(picture.reshape(-1, 3).mean(axis=0), (10, 200, 30), atol=2)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_picture_has_the_details_of_the_photo(file_format):
    image = bird().resize((3600, 2880), Image.Resampling.BICUBIC)
    image.paste(0, (1000, 1000, 1012, 1012))  # a dot of six pixels of the picture
    picture = open_photo(io.BytesIO(encoded(image, file_format, quality=95)), for_picture=True).picture()
    expected = np.asarray(image.resize(picture.shape[1::-1], Image.Resampling.LANCZOS), "int16")
    assert np.abs(picture.astype("int16") - expected)[490:520, 490:520].mean() < 8
    assert picture[500, 500].max() < 60


def test_a_sideways_picture_is_turned_upright():
    picture = open_photo(io.BytesIO(held(6, "JPEG")), for_picture=True).picture()
    assert np.abs(picture.astype("int16") - np.asarray(bird(), "int16")).mean() < 4
