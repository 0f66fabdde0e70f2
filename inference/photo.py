"""From bytes to an upright RGB picture, the model's pixels and the thumbnail."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

#: File name extensions that may be uploaded, each with the Pillow decoder that reads such files.
#: No other decoder is ever tried, whatever the bytes look like.
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".gif": "GIF", ".png": "PNG"}

IMAGE_SIZE = 224  # pixels, both sides of the square that the network sees
MAX_PIXELS = 50_000_000  # ~ a 50 MP camera; larger is refused before decoding
THUMBNAIL_SIZE = 400  # pixels, the longer side at most
THUMBNAIL_QUALITY = 85  # JPEG quality

# What Pillow's decoders raise for files that are damaged or are something else.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError)


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


class PhotoError(ValueError):
    """The file cannot be used as a photograph; the message is a sentence for the person who sent it."""


class TooManyPixelsError(PhotoError):
    """The picture has more than ``MAX_PIXELS`` pixels."""

    def __init__(self) -> None:
        super().__init__(
            f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels. Please send a smaller one."
        )


@dataclass(frozen=True)
class Photo:
    """A photograph as its taker saw it.

    :param image: the upright picture in mode ``RGB``, without metadata.
    """

    image: Image.Image

    def pixels(self, size: int = IMAGE_SIZE) -> np.ndarray:
        """The whole picture as the network takes it; the aspect is not kept.

        :param size: width and height in pixels.
        :return: ``uint8[size, size, 3]``, RGB, 0 to 255.
        """
        return np.asarray(self.image.resize((size, size), Image.Resampling.LANCZOS))

    def thumbnail(self) -> bytes:
        """A JPEG of at most ``THUMBNAIL_SIZE`` pixels a side, aspect kept, without metadata."""
        small = self.image.copy()
        small.thumbnail((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.LANCZOS)
        jpeg = io.BytesIO()
        small.save(jpeg, "JPEG", quality=THUMBNAIL_QUALITY)
        return jpeg.getvalue()


def open_photo(file: str | Path | BinaryIO) -> Photo:
    """Read a picture file and turn it upright.

    :param file: a path or an open binary file. The bytes decide the format, not the name.
    :raises PhotoError: the file is not a picture of an accepted format, is damaged, or has more
        than ``MAX_PIXELS`` pixels.
    """
    try:
        with Image.open(file, formats=sorted(set(FORMATS.values()))) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TooManyPixelsError
            image.load()  # of an animation, the first frame
            return Photo(_to_rgb(_upright(image)))
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError from error
    except Image.UnidentifiedImageError as error:
        raise PhotoError("The file is not a picture. Please choose another one.") from error
    except _DECODER_ERRORS as error:
        raise PhotoError("The picture is damaged or cut short. Please choose another one.") from error


def _upright(image: Image.Image) -> Image.Image:
    """The picture as the camera was held, by EXIF's tag "Orientation"; as it is stored if EXIF is damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        transpose = _TRANSPOSE_BY_ORIENTATION.get(orientation)
    except (*_DECODER_ERRORS, struct.error, TypeError):
        transpose = None
    return image if transpose is None else image.transpose(transpose)


def _to_rgb(image: Image.Image) -> Image.Image:
    """The picture in mode ``RGB``: transparency on white, 16 bits a channel scaled to 8."""
    if image.mode.startswith("I"):  # 16-bit greyscale; convert() alone would clip it to white
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype("uint8"))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    image.info = {}  # a JPEG comment or a colour profile would be written into the thumbnail
    return image
