"""Decoding JPEG with TurboJPEG, which reports damage that Pillow silently ignores."""

import re
from math import ceil

import simplejpeg
from PIL import Image, ImageFile

from .color import COLOR_SPACES

# TurboJPEG's warnings about files that are whole: a byte or two before the end of a JPEG, which some cameras leave
# there (more than two are the rest of a damaged image); stray bytes in its header; an unknown color subsampling.
_ACCEPTED_WARNINGS = re.compile(
    r": [12] extraneous bytes before marker 0xd9$"
    r"|extraneous bytes before marker 0x(c[02]|d[bd]|e.|fe)$"
    r"|Could not determine subsampling"
)


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
    try:
        pixels = simplejpeg.decode_jpeg(
            content, COLOR_SPACES[file.mode], min_width=width, min_height=height, strict=True
        )
    except ValueError as error:
        if not _ACCEPTED_WARNINGS.search(str(error)):
            raise
        file.draft(file.mode, (min_side, min_side))
        file.load()
        return file
    if file.mode == "CMYK":
        pixels = 255 - pixels  # Adobe's convention, which every program follows: 0 is full ink
    return Image.fromarray(pixels.squeeze(), file.mode)
