"""From the bytes of a file to an upright sRGB image, the network's pixels and the thumbnail."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from . import IMAGE_SIZE, MAX_PIXELS, PICTURE_SIDE
from .color import to_opaque, to_srgb
from .errors import DamagedError, NotAnImageError, PhotoError, TooCostlyError
from .exif import TRANSPOSE_BY_ORIENTATION, Place, read_orientation, read_place, read_taken, region_before
from .formats import DECODERS, check_before_opening, check_is_whole, check_size, has_accepted_signature, tidied
from .heif import decode_heif
from .jpeg import decode_jpeg
from .regions import WHOLE, Region

THUMBNAIL_SIZE = 400  # pixels, the longer side at most
THUMBNAIL_QUALITY = 85  # JPEG quality
COPY_QUALITY = 90  # JPEG quality

# A larger image is first averaged down to between one and two times this: LANCZOS then gives nearly what it
# gives for the whole image. Pillow's documentation of ``reducing_gap`` calls it indistinguishable from 3 on; what it
# changes and what it saves is measured by benchmarks/reduced_decode.py
_KEPT_SIDE = 3 * IMAGE_SIZE
_KEPT_FOR_PICTURE = 6 * IMAGE_SIZE  # a 4:3 image with this shorter side is as large as the picture
# A larger JPEG is decoded at a half of its size at most, however small the region: each pixel takes up to 12 bytes,
# because a progressive JPEG holds its coefficients beside the image.
_MAX_FOR_REGION = 30_000_000
_STRIP = 2**20  # pixels that are converted at a time

Rows = Callable[[int, int], Image.Image]  # the rows of an image, from one number up to another one


@dataclass(frozen=True)
class Photo:
    """A photo, decoded and the right way up.

    :param image: the upright image in mode ``RGB``, sRGB, without metadata. Each side of a large image
        is reduced independently, to at least ``3 * IMAGE_SIZE`` pixels.
    :param size: width and height of the upright image in the file, in pixels.
    :param taken: when it was taken, by the camera's clock and in its time zone; None if EXIF does not say.
    :param part: the region that was asked for, as ``image`` is; None if it was the whole photo.
    :param place: where it was taken; None if EXIF does not say, or if that was not asked for.
    """

    image: Image.Image
    size: tuple[int, int]
    taken: datetime | None = None
    part: Image.Image | None = None
    place: Place | None = None

    def pixels(self, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
        """The whole image, or the region that was asked for, as the network takes it; the aspect is not kept.

        :param size: width and height in pixels.
        :return: ``uint8[size, size, 3]``, RGB, 0 to 255.
        """
        return np.asarray((self.part or self.image).resize((size, size), Image.Resampling.LANCZOS))

    def picture(self, size: int = PICTURE_SIDE) -> NDArray[np.uint8]:
        """The whole image, aspect kept.

        :param size: pixels, the longer side at most.
        :return: ``uint8[height, width, 3]``, RGB, 0 to 255.
        """
        return np.asarray(self._fitted(size))

    def thumbnail(self, size: int = THUMBNAIL_SIZE) -> bytes:
        """A JPEG file without metadata, aspect kept.

        :param size: pixels, the longer side at most.
        """
        # For a person's eye, averaging first is good enough, and takes half of the time.
        return _as_jpeg(self._fitted(size, reducing_gap=1.0), THUMBNAIL_QUALITY)

    def copy(self, size: int = PICTURE_SIDE) -> bytes:
        """A JPEG file without metadata from which a network can learn, aspect kept.

        :param size: pixels, the longer side at most.
        """
        return _as_jpeg(self._fitted(size), COPY_QUALITY)

    def _fitted(self, size: int, reducing_gap: float | None = None) -> Image.Image:
        scale = min(1, size / max(self.size))
        width, height = (max(1, round(scale * side)) for side in self.size)
        return self.image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=reducing_gap)


def open_photo(
    file: str | Path | BinaryIO,
    max_pixels: int = MAX_PIXELS,
    region: Region = WHOLE,
    *,
    for_picture: bool = False,
    with_place: bool = False,
) -> Photo:
    """Decode an image file and turn it upright.

    :param file: a path or an open binary file. The bytes decide the format, not the name.
    :param max_pixels: an image with more is refused by its header, before it is decoded.
    :param region: the part of the upright photo that the network is to see.
    :param for_picture: keep as many pixels as ``Photo.picture`` and ``Photo.copy`` need.
    :param with_place: read where it was taken. That is nobody else's business, so only who asks for it gets it.
    :raises PhotoError: the file is not an image of an accepted format, is damaged, has too many
        pixels, or is thinner than ``MIN_SIDE``.
    """
    content = Path(file).read_bytes() if isinstance(file, str | Path) else file.read()
    if not has_accepted_signature(content):
        raise NotAnImageError
    try:
        content = tidied(content)
        return _decode(content, max_pixels, region, _KEPT_FOR_PICTURE if for_picture else _KEPT_SIDE, with_place)
    except PhotoError:
        raise
    except MemoryError as error:
        raise TooCostlyError from error
    # On a damaged file, decoders raise exceptions of any kind: there is no list of them.
    except Exception as error:
        # Each library has its own words for running out of memory.
        raise (TooCostlyError if "memory" in str(error).lower() else DamagedError) from error


def _as_jpeg(image: Image.Image, quality: int) -> bytes:
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=quality)
    return jpeg.getvalue()


def _decode(content: bytes, max_pixels: int, region: Region, kept_side: int, with_place: bool) -> Photo:
    check_before_opening(content, max_pixels)
    with Image.open(io.BytesIO(content), formats=DECODERS) as file:
        check_size(file.size, file.format or "", max_pixels)
        size = file.size
        decoded_size, rows = _load(file, content, kept_side, region)
        orientation = read_orientation(file, content)
        transposition = TRANSPOSE_BY_ORIENTATION.get(orientation or 1)
        profile = file.info.get("icc_profile")

        def upright(stored: Region) -> Image.Image:
            image = to_srgb(_reduced(rows, stored.box(*decoded_size), kept_side), profile)
            image = image if transposition is None else image.transpose(transposition)
            image.info = {}  # a JPEG comment or a color profile would be written into the thumbnail
            return image

        image = upright(WHOLE)
        part = None
        if region != WHOLE:
            part = upright(region if transposition is None else region_before(transposition, region))
        taken = read_taken(file)
        place = read_place(file) if with_place else None
    is_sideways = transposition is not None and (orientation or 1) >= 5  # the camera was held sideways
    return Photo(image, size[::-1] if is_sideways else size, taken, part, place)


def _load(file: ImageFile.ImageFile, content: bytes, kept_side: int, region: Region) -> tuple[tuple[int, int], Rows]:
    """Width and height of the decoded image, and its rows: of an animation the first frame, of a large JPEG at a scale.

    :param kept_side: pixels that each side of ``region`` keeps at that scale, if it has as many; see ``_least_side``.
    :param region: a part of the image; its smaller share counts, so it does not matter which way up that is.
    :raises Exception: of any kind; the file is damaged, even where the decoder would go on.
    """
    if file.format == "HEIF":
        return decode_heif(content)
    image: Image.Image = file
    if file.format in ("JPEG", "MPO"):  # an MPO is a JPEG with further images behind it
        image = decode_jpeg(file, content, _least_side(file.size, kept_side, region))
    else:
        check_is_whole(content, file.format or "")
        image.load()
    return image.size, lambda top, bottom: image.crop((0, top, image.width, bottom))


def _least_side(size: tuple[int, int], kept_side: int, region: Region) -> int:
    """Pixels that each side of a JPEG keeps, so that each side of a region keeps ``kept_side``; fewer if it is large.

    :param size: its width and height.
    """
    least = ceil(kept_side / min(region.width, region.height))
    return least if size[0] * size[1] <= _MAX_FOR_REGION else min(least, max(kept_side, min(size) // 2))


def _reduced(rows: Rows, box: tuple[int, int, int, int], kept_side: int) -> Image.Image:
    """A part of an image, opaque, with each side divided by a whole number, so that it is just above ``kept_side``.

    It goes strip by strip, because a second copy of 52 million pixels would take too much memory.

    :param box: the left, upper, right and lower edge of the part.
    """
    left, upper, right, lower = box
    width = right - left
    horizontal, vertical = (max(1, side // kept_side) for side in (width, lower - upper))

    def strip(top: int, bottom: int) -> Image.Image:
        whole_rows = rows(top, bottom)
        if width == whole_rows.width:
            return to_opaque(whole_rows)
        return to_opaque(whole_rows.crop((left, 0, right, bottom - top)))

    if (horizontal, vertical) == (1, 1):
        return strip(upper, lower)
    step = max(1, _STRIP // width // vertical) * vertical
    strips = [strip(top, min(top + step, lower)).reduce((horizontal, vertical)) for top in range(upper, lower, step)]
    reduced = Image.new(strips[0].mode, (strips[0].width, sum(strip.height for strip in strips)))
    for number, each in enumerate(strips):
        reduced.paste(each, (0, number * strips[0].height))
    return reduced
