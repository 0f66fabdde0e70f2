"""From the bytes of a file to an upright sRGB image, the network's pixels and the thumbnail."""

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from . import IMAGE_SIZE, MAX_PIXELS
from .color import to_opaque, to_srgb
from .errors import DamagedError, NotAnImageError, PhotoError, TooCostlyError
from .exif import TRANSPOSE_BY_ORIENTATION, read_orientation, read_taken
from .formats import DECODERS, check_before_opening, check_is_whole, check_size, has_accepted_signature, tidied
from .jpeg import decode_jpeg

THUMBNAIL_SIZE = 400  # pixels, the longer side at most
THUMBNAIL_QUALITY = 85  # JPEG quality

# A larger image is first averaged down to between one and two times this: LANCZOS then gives nearly what it
# gives for the whole image. Pillow's documentation of ``reducing_gap`` calls it indistinguishable from 3 on; what it
# changes and what it saves is measured by benchmarks/reduced_decode.py
_KEPT_SIDE = 3 * IMAGE_SIZE
_STRIP = 2**20  # pixels that are converted at a time


@dataclass(frozen=True)
class Photo:
    """A photo, decoded and the right way up.

    :param image: the upright image in mode ``RGB``, sRGB, without metadata. Each side of a large image
        is reduced independently, to at least ``3 * IMAGE_SIZE`` pixels.
    :param size: width and height of the upright image in the file, in pixels.
    :param taken: when it was taken, by the camera's clock and in its time zone; None if EXIF does not say.
    """

    image: Image.Image
    size: tuple[int, int]
    taken: datetime | None = None

    def pixels(self, size: int = IMAGE_SIZE) -> NDArray[np.uint8]:
        """The whole image as the network takes it; the aspect is not kept.

        :param size: width and height in pixels.
        :return: ``uint8[size, size, 3]``, RGB, 0 to 255.
        """
        return np.asarray(self.image.resize((size, size), Image.Resampling.LANCZOS))

    def thumbnail(self, size: int = THUMBNAIL_SIZE) -> bytes:
        """A JPEG file without metadata, aspect kept.

        :param size: pixels, the longer side at most.
        """
        scale = min(1, size / max(self.size))
        width, height = (max(1, round(scale * side)) for side in self.size)
        # For a person's eye, averaging first is good enough, and takes half of the time.
        small = self.image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=1.0)
        jpeg = io.BytesIO()
        small.save(jpeg, "JPEG", quality=THUMBNAIL_QUALITY)
        return jpeg.getvalue()


def open_photo(file: str | Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode an image file and turn it upright.

    :param file: a path or an open binary file. The bytes decide the format, not the name.
    :param max_pixels: an image with more is refused by its header, before it is decoded.
    :raises PhotoError: the file is not an image of an accepted format, is damaged, has too many
        pixels, or is thinner than ``MIN_SIDE``.
    """
    content = Path(file).read_bytes() if isinstance(file, str | Path) else file.read()
    if not has_accepted_signature(content):
        raise NotAnImageError
    try:
        content = tidied(content)
        return _decode(content, max_pixels)
    except PhotoError:
        raise
    except MemoryError as error:
        raise TooCostlyError from error
    # On a damaged file, decoders raise exceptions of any kind: there is no list of them.
    except Exception as error:
        # Each library has its own words for running out of memory.
        raise (TooCostlyError if "memory" in str(error).lower() else DamagedError) from error


def _decode(content: bytes, max_pixels: int) -> Photo:
    check_before_opening(content, max_pixels)
    with Image.open(io.BytesIO(content), formats=DECODERS) as file:
        check_size(file.size, file.format or "", max_pixels)
        size = file.size
        reduced = _reduced(_load(file, content))
        orientation = read_orientation(file, content)
        taken = read_taken(file)
        image = to_srgb(reduced, file.info.get("icc_profile"))
    if orientation in TRANSPOSE_BY_ORIENTATION:
        image = image.transpose(TRANSPOSE_BY_ORIENTATION[orientation])
        size = size[::-1] if orientation >= 5 else size  # the camera was held sideways
    image.info = {}  # a JPEG comment or a color profile would be written into the thumbnail
    return Photo(image, size, taken)


def _load(file: ImageFile.ImageFile, content: bytes) -> Image.Image:
    """The decoded image: of an animation the first frame, of a large JPEG one at reduced scale.

    :raises Exception: of any kind; the file is damaged, even where the decoder would go on.
    """
    if file.format in ("JPEG", "MPO"):  # an MPO is a JPEG with further images behind it
        return decode_jpeg(file, content, _KEPT_SIDE)
    check_is_whole(content, file.format or "")
    file.load()
    return file


def _reduced(image: Image.Image) -> Image.Image:
    """An opaque image with each side divided by a whole number, so that it is just above ``_KEPT_SIDE``.

    It goes strip by strip, because a second copy of 52 million pixels would take too much memory.
    """
    horizontal, vertical = (max(1, side // _KEPT_SIDE) for side in image.size)
    if (horizontal, vertical) == (1, 1):
        return to_opaque(image)
    height = max(1, _STRIP // image.width // vertical) * vertical
    strips = [
        to_opaque(image.crop((0, top, image.width, min(top + height, image.height)))).reduce((horizontal, vertical))
        for top in range(0, image.height, height)
    ]
    reduced = Image.new(strips[0].mode, (strips[0].width, sum(strip.height for strip in strips)))
    for number, strip in enumerate(strips):
        reduced.paste(strip, (0, number * strips[0].height))
    return reduced
