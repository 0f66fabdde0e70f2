"""Decoding HEIC. Pillow would copy the whole image, which takes too much memory if it has 50 million pixels."""

import io
from collections.abc import Callable

import pillow_heif
from PIL import Image


def decode_heif(content: bytes) -> tuple[tuple[int, int], Callable[[int, int], Image.Image]]:
    """Decode the primary image of a HEIC file.

    :return: width and height in pixels, and a function that gives the rows from one number up to another one.
    :raises Exception: of any kind; the file is damaged.
    """
    image = pillow_heif.open_heif(io.BytesIO(content), remove_stride=False)
    data, stride, mode = image.data, image.stride, image.mode
    width, height = image.size  # as decoded; the header may say something else

    def rows(top: int, bottom: int) -> Image.Image:
        strip = data[top * stride : bottom * stride]
        return Image.frombuffer(mode, (width, bottom - top), strip, "raw", mode, stride, 1)

    return (width, height), rows
