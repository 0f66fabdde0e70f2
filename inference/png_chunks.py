"""The chunks of a PNG file. Those that nobody reads here are left out, so that Pillow does not fail on them.

Browsers, too, show an image without those of its metadata that are damaged or huge.
"""

import zlib

from PIL import PngImagePlugin

MAX_METADATA = 8 * 2**20  # bytes of a color profile or text, decompressed; browsers ignore larger ones
PngImagePlugin.MAX_TEXT_CHUNK = MAX_METADATA  # color profiles included

_SIGNATURE = 8  # bytes
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"  # the last chunk
_ANCILLARY = 0x20  # the bit of a chunk's type that says so
_TRANSPARENCY = b"tRNS"  # ancillary, but what is seen depends on it
_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")  # hold the orientation, and the date


def without_unread_chunks(content: bytes) -> bytes:
    """A PNG with its first image and, unless they are damaged or huge, its color profile and its EXIF and XMP data.

    It gets the last chunk if that is missing or damaged. What follows that chunk goes.
    """
    view, position = memoryview(content), _SIGNATURE
    kept = [view[:_SIGNATURE]]
    while position + len(_END) <= len(content) and view[position + 4 : position + 8] != _END[4:8]:
        end = position + len(_END) + int.from_bytes(view[position : position + 4])
        if _is_read(view[position:end]):
            kept.append(view[position:end])
        position = end
    if sum(map(len, kept)) == len(content) - len(_END) and content.endswith(_END):
        return content  # a copy would take memory
    return b"".join([*kept, _END])


def _is_read(chunk: memoryview) -> bool:
    """Whether Pillow is to read a chunk.

    :param chunk: length, type, data and checksum.
    """
    kind, data = bytes(chunk[4:8]), chunk[8:-4]
    if not kind or not kind[0] & _ANCILLARY or kind == _TRANSPARENCY:
        return True
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
        return False
    name, _, rest = bytes(data).partition(b"\0")
    if kind == b"iCCP" or (kind == b"zTXt" and name in _TEXTS):
        return rest[:1] == b"\0" and _is_small(rest[1:])
    if kind == b"iTXt" and name in _TEXTS:
        return rest[:1] == b"\0" or _is_small(rest[2:].split(b"\0", 2)[-1])
    return kind == b"eXIf" or (kind == b"tEXt" and name in _TEXTS)


def _is_small(compressed: bytes) -> bool:
    """Whether compressed metadata can be decompressed to ``MAX_METADATA`` at most."""
    try:
        return len(zlib.decompressobj().decompress(compressed, MAX_METADATA + 1)) <= MAX_METADATA
    except zlib.error:
        return False
