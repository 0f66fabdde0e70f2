"""Decoding JPEG with TurboJPEG, which reports damage that Pillow silently ignores."""

import re
from collections.abc import Callable
from functools import partial
from math import ceil

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile

from .color import COLOR_SPACES
from .jpeg_segments import with_end_marker, without_padding

Decoder = Callable[[bytes], NDArray[np.uint8]]

# What TurboJPEG says of files that may be whole: they have bytes before the end marker, or none; or an unusual color
# subsampling.
_PADDED = re.compile(r": (\d+) extraneous bytes before marker 0xd9$")
_ENDLESS = "Premature end of JPEG file"
_UNUSUALLY_SAMPLED = "Could not determine subsampling"


def decode_jpeg(file: ImageFile.ImageFile, content: bytes, min_side: int) -> Image.Image:
    """Decode a JPEG, a large one at a half, a quarter or an eighth of its size.

    TurboJPEG can scale to any number of eighths, but only these are fast.

    :param file: the JPEG or MPO as Pillow has opened it.
    :param content: the same file.
    :param min_side: pixels; no side is reduced to fewer.
    :return: an image in mode ``L``, ``RGB`` or ``CMYK``.
    :raises Exception: of any kind; the file is damaged.
    """
    reduction = next((factor for factor in (8, 4, 2) if min(file.size) >= factor * min_side), 1)
    width, height = (ceil(side / reduction) for side in file.size)
    decode = partial(
        simplejpeg.decode_jpeg, colorspace=COLOR_SPACES[file.mode], min_width=width, min_height=height, strict=True
    )
    try:
        pixels = _decode_whole(content, decode)
    except ValueError as error:
        if _UNUSUALLY_SAMPLED not in str(error):
            raise
        file.draft(file.mode, (min_side, min_side))
        file.load()
        return file
    if file.mode == "CMYK":
        pixels = 255 - pixels  # Adobe's convention, which every program follows: 0 is full ink
    return Image.fromarray(pixels.squeeze(), file.mode)


def _decode_whole(content: bytes, decode: Decoder) -> NDArray[np.uint8]:
    """Decode a JPEG that has all of its image data, if not its end marker.

    :raises ValueError: TurboJPEG's first warning of damage.
    """
    try:
        return _decode_padded(content, decode)
    except ValueError as error:
        if str(error) != _ENDLESS:
            raise
    return _decode_padded(with_end_marker(content), decode)


def _decode_padded(content: bytes, decode: Decoder) -> NDArray[np.uint8]:
    """Decode a JPEG that may have padding between its image data and its end marker.

    :raises ValueError: TurboJPEG's first warning of anything else.
    """
    try:
        return decode(content)
    except ValueError as error:
        padded = _PADDED.search(str(error))
        if not padded:
            raise
    return _decode_padded(without_padding(content, int(padded[1])), decode)
