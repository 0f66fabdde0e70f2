"""From bytes to an upright sRGB picture, the model's pixels and the thumbnail."""

import io
import re
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
import simplejpeg
from PIL import AvifImagePlugin, ExifTags, Image, ImageCms, WebPImagePlugin  # noqa: F401  Pillow then knows WebP

from . import IMAGE_SIZE, MAX_PIXELS, MIN_SIDE

#: File name extensions that may be uploaded, each with the Pillow decoder that reads such files.
#: No other decoder is ever tried, whatever the bytes look like.
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".gif": "GIF",
    ".png": "PNG",
    ".webp": "WEBP",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".avif": "AVIF",
}
_DECODERS = sorted(set(FORMATS.values()))

#: Two decoders hold several copies of a picture at a time: 15 and 11 bytes a pixel, where the others take up to 7.
MAX_PIXELS_OF = {"WEBP": 24_000_000, "AVIF": 32_000_000}
THUMBNAIL_SIZE = 400  # pixels, the longer side at most
THUMBNAIL_QUALITY = 85  # JPEG quality

# A larger picture is first averaged down to between one and two times this: then LANCZOS gives nearly what it
# gives of the whole. Pillow's documentation of ``reducing_gap`` calls it indistinguishable from 3 on; what it
# changes and what it saves is measured by benchmarks/reduced_decode.py
_KEPT_SIDE = 3 * IMAGE_SIZE
_STRIP = 2**20  # pixels that are converted at a time
# TurboJPEG's words for what does no harm: a byte or two before the end of a JPEG, which some cameras leave there
# (more are what is left of a damaged picture); stray bytes in its head; a sampling of colours that it does not know.
_HARMLESS = re.compile(
    r": [12] extraneous bytes before marker 0xd9$"
    r"|extraneous bytes before marker 0x(c[02]|d[bd]|e.|fe)$"
    r"|Could not determine subsampling"
)

_SRGB = ImageCms.createProfile("sRGB")
_COLOR_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # Pillow's mode: an ICC profile's, and TurboJPEG's

# EXIF 2.32, tag 0x0112: what turns a picture stored with that orientation upright; 1 is upright.
_TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each further thread takes memory of its own
Image.preinit()  # GIF, JPEG, PNG
Image.MAX_IMAGE_PIXELS = None  # max_pixels does it, with a sentence


class PhotoError(ValueError):
    """The file cannot be used as a photograph; the message is a sentence for the person who sent it."""


class NotAPictureError(PhotoError):
    """The bytes do not begin as a picture of an accepted format does."""

    def __init__(self) -> None:
        super().__init__("The file is not a picture. Please choose another one.")


class DamagedError(PhotoError):
    """The file begins as a picture, but is not a whole one."""

    def __init__(self) -> None:
        super().__init__("The picture is damaged or cut short. Please choose another one.")


class TooManyPixelsError(PhotoError):
    """The picture has more than ``limit`` pixels."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The picture has more than {limit / 1e6:g} million pixels. Please send a smaller one.")


class TooThinError(PhotoError):
    """A side of the picture has fewer than ``MIN_SIDE`` pixels."""

    def __init__(self) -> None:
        super().__init__(f"The picture is less than {MIN_SIDE} pixels wide or high. Please send a larger one.")


class TooCostlyError(PhotoError):
    """Reading the picture takes more memory or time than one may take."""

    def __init__(self) -> None:
        super().__init__("The picture takes too much memory or time to read. Please send a smaller one.")


@dataclass(frozen=True)
class Photo:
    """A photograph as its taker saw it.

    :param image: the upright picture in mode ``RGB``, sRGB, without metadata. Each side of a large picture
        is reduced by itself, to at least ``3 * IMAGE_SIZE`` pixels.
    :param size: width and height of the upright picture in the file.
    :param taken: when, by the camera's clock and in its time zone; None if EXIF does not say.
    """

    image: Image.Image
    size: tuple[int, int]
    taken: datetime | None = None

    def pixels(self, size: int = IMAGE_SIZE) -> np.ndarray:
        """The whole picture as the network takes it; the aspect is not kept.

        :param size: width and height in pixels.
        :return: ``uint8[size, size, 3]``, RGB, 0 to 255.
        """
        return np.asarray(self.image.resize((size, size), Image.Resampling.LANCZOS))

    def thumbnail(self, size: int = THUMBNAIL_SIZE) -> bytes:
        """A JPEG without metadata, aspect kept.

        :param size: pixels, the longer side at most.
        """
        scale = min(1, size / max(self.size))
        sides = [max(1, round(scale * side)) for side in self.size]
        # For a look at it, averaging first is good enough, and takes half of the time.
        small = self.image.resize(sides, Image.Resampling.LANCZOS, reducing_gap=1.0)
        jpeg = io.BytesIO()
        small.save(jpeg, "JPEG", quality=THUMBNAIL_QUALITY)
        return jpeg.getvalue()


def open_photo(file: str | Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a picture file and turn it upright.

    :param file: a path or an open binary file. The bytes decide the format, not the name.
    :param max_pixels: a picture with more is refused by its header, before it is decoded.
    :raises PhotoError: the file is not a picture of an accepted format, is damaged, has too many
        pixels, or is thinner than ``MIN_SIDE``.
    """
    content = Path(file).read_bytes() if isinstance(file, str | Path) else file.read()
    if not _begins_as_a_picture(content):
        raise NotAPictureError
    try:
        return _decode(content, max_pixels)
    except PhotoError:
        raise
    except MemoryError as error:
        raise TooCostlyError from error
    # A decoder that meets damage raises whatever it stumbled over: there is no list of it.
    except Exception as error:
        # Libraries that run out of memory say so each in its own words.
        raise (TooCostlyError if "memory" in str(error).lower() else DamagedError) from error


def _begins_as_a_picture(content: bytes) -> bool:
    return any(Image.OPEN[decoder][1](content[:16]) is True for decoder in _DECODERS)


def _decode(content: bytes, max_pixels: int) -> Photo:
    if content.startswith(b"RIFF"):
        _check_size(_webp_size(content), "WEBP", max_pixels)  # Pillow takes memory for it while opening
    with Image.open(io.BytesIO(content), formats=_DECODERS) as image:
        _check_size(image.size, image.format, max_pixels)
        size = image.size
        reduced = _reduced(_load(image, content))
        orientation = _orientation(image, content)
        taken = _taken(image)
        image = _to_srgb(reduced, image.info.get("icc_profile"))
    if orientation in _TRANSPOSE_BY_ORIENTATION:
        image = image.transpose(_TRANSPOSE_BY_ORIENTATION[orientation])
        size = size[::-1] if orientation >= 5 else size  # the camera lay on its side
    image.info = {}  # a JPEG comment or a colour profile would be written into the thumbnail
    return Photo(image, size, taken)


def _check_size(size: tuple[int, int], decoder: str, max_pixels: int) -> None:
    limit = min(max_pixels, MAX_PIXELS_OF.get(decoder, max_pixels))
    if size[0] * size[1] > limit:
        raise TooManyPixelsError(limit)
    if min(size) < MIN_SIDE:
        raise TooThinError


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height in the header of a WebP file (RFC 9649, sections 2.5 to 2.7)."""
    chunk = content[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = (int.from_bytes(content[start : start + 2], "little") & 0x3FFF for start in (26, 28))
        return width, height
    raise DamagedError


def _load(image: Image.Image, content: bytes) -> Image.Image:
    """The decoded picture, of an animation the first frame; a large JPEG at reduced scale.

    :raises Exception: the file is damaged, even where the decoder would go on.
    """
    if image.format in ("JPEG", "MPO"):  # MPO is a JPEG with further pictures behind it
        return _load_jpeg(image, content)
    if image.format == "PNG":
        with Image.open(io.BytesIO(content), formats=["PNG"]) as unread:
            unread.verify()  # the checksums, which load() does not look at
    if image.format == "GIF":
        _check_gif_is_whole(content)
    image.load()
    return image


def _load_jpeg(image: Image.Image, content: bytes) -> Image.Image:
    """Decode with TurboJPEG: it tells when it goes on over damage, which Pillow keeps to itself.

    It can reduce by any eighths, but is fast at halves, quarters and eighths alone.
    """
    reduction = next((factor for factor in (8, 4, 2) if min(image.size) >= factor * _KEPT_SIDE), 1)
    width, height = (ceil(side / reduction) for side in image.size)
    try:
        pixels = simplejpeg.decode_jpeg(
            content, _COLOR_SPACES[image.mode], min_width=width, min_height=height, strict=True
        )
    except ValueError as error:
        if not _HARMLESS.search(str(error)):
            raise
        image.draft(image.mode, (_KEPT_SIDE, _KEPT_SIDE))
        image.load()
        return image
    if image.mode == "CMYK":
        pixels = 255 - pixels  # Adobe's convention, which everybody follows: 0 is full ink
    return Image.fromarray(pixels.squeeze(), image.mode)


def _check_gif_is_whole(content: bytes) -> None:
    """:raises DamagedError: the blocks of the file do not end with the trailer (GIF89a, appendix A)."""

    def color_table(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    try:
        position = 13 + color_table(content[10])
        while content[position] != 0x3B:
            if content[position] == 0x21:  # extension
                position += 2
            elif content[position] == 0x2C:  # image
                position += 10 + color_table(content[position + 9]) + 1
            else:  # a stray byte, which every decoder skips
                position += 1
                continue
            while content[position]:  # sub-blocks
                position += content[position] + 1
            position += 1
    except IndexError as error:
        raise DamagedError from error


def _orientation(image: Image.Image, content: bytes) -> int | None:
    """EXIF's tag "Orientation", if it is still to be obeyed; nothing if EXIF is damaged."""
    if image.format == "HEIF":
        # libheif has turned the picture by the boxes that say how; EXIF repeats them, or stands alone.
        turned = b"irot" in content or b"imir" in content
        return None if turned else image.info.get("original_orientation")
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # as in open_photo; here the picture is good without it
        return None


def _taken(image: Image.Image) -> datetime | None:
    """EXIF's tag "DateTimeOriginal"; nothing if EXIF is damaged, or the camera's clock was never set."""
    try:
        date = image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
        return datetime.strptime(date.strip(" \0"), "%Y:%m:%d %H:%M:%S")
    except Exception:  # as in open_photo; here the picture is good without it
        return None


def _reduced(image: Image.Image) -> Image.Image:
    """The opaque picture, each side divided by a whole number so that it is just above ``_KEPT_SIDE``.

    It goes strip by strip, for a second copy of 50 million pixels would be too much.
    """
    factors = tuple(max(1, side // _KEPT_SIDE) for side in image.size)
    if factors == (1, 1):
        return _opaque(image)
    height = max(1, _STRIP // image.width // factors[1]) * factors[1]
    strips = [
        _opaque(image.crop((0, top, image.width, min(top + height, image.height)))).reduce(factors)
        for top in range(0, image.height, height)
    ]
    reduced = Image.new(strips[0].mode, (strips[0].width, sum(strip.height for strip in strips)))
    for number, strip in enumerate(strips):
        reduced.paste(strip, (0, number * strips[0].height))
    return reduced


def _opaque(image: Image.Image) -> Image.Image:
    """The picture in mode ``L``, ``RGB`` or ``CMYK``: transparency on white, 16 bits a channel scaled to 8."""
    if image.mode.startswith("I"):  # 16-bit greyscale; convert() alone would clip it to white
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype("uint8"))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode in _COLOR_SPACES else image.convert("RGB")


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """The picture in mode ``RGB`` and sRGB's colours; a profile that is damaged or of another mode is ignored."""
    if icc_profile:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
            is_srgb = ImageCms.getProfileDescription(profile).startswith("sRGB")
            if not is_srgb and profile.profile.xcolor_space.strip() == _COLOR_SPACES[image.mode]:
                return ImageCms.profileToProfile(image, profile, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")
