"""The accepted image formats. To add one, add its extensions and its decoder here, and its limit and checks if any."""

import io
from pathlib import Path

import pillow_heif
from PIL import AvifImagePlugin, Image, WebPImagePlugin  # noqa: F401  importing it registers WebP with Pillow

from . import MIN_SIDE
from .errors import DamagedError, TooManyPixelsError, TooThinError
from .jpeg_segments import tidied as tidied_jpeg
from .png_chunks import without_unread_chunks

#: The usual extensions of the accepted formats, each with the Pillow decoder that reads such files.
#: No other decoder is ever tried. The bytes of a file decide which one, whatever its name says.
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
DECODERS = sorted(set(FORMATS.values()))
#: These, and what browsers and cameras call files of these formats now and then.
EXTENSIONS = (
    *FORMATS,
    ".jfif",
    ".jif",
    ".jfi",
    ".jpe",
    ".pjpeg",
    ".pjp",
    ".jpg_large",
    ".apng",
    ".hif",
    ".heics",
    ".avifs",
)

#: Two decoders hold several copies of an image at a time: 15 and 11 bytes a pixel, where the others take up to 7.
MAX_PIXELS_OF = {"WEBP": 24_000_000, "AVIF": 32_000_000}

pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each further thread takes memory of its own
Image.preinit()  # registers GIF, JPEG and PNG
Image.MAX_IMAGE_PIXELS = None  # check_size does this, with our own sentence

SIGNATURE = 16  # bytes at the beginning of a file, by which it is recognised


def is_photo_file(path: Path) -> bool:
    """Whether a file in a folder is to be read as a photo: its name says so, or its first bytes do.

    A file that is merely named like a photo counts, so that whoever reads it can say what is wrong with it. Folders
    and hidden files are left to the caller.

    :raises OSError: its name says nothing, and it cannot be read.
    """
    if path.suffix.lower() in EXTENSIONS:
        return True
    if not path.is_file():  # opening a named pipe would wait for a writer
        return False
    with path.open("rb") as file:
        return has_accepted_signature(file.read(SIGNATURE))


def has_accepted_signature(content: bytes) -> bool:
    """Whether a file begins like an image of an accepted format.

    :param content: the file, or at least its first ``SIGNATURE`` bytes.
    """
    accepts = [Image.OPEN[decoder][1] for decoder in DECODERS]
    return any(accept is not None and accept(content[:SIGNATURE]) is True for accept in accepts)


def tidied(content: bytes) -> bytes:
    """A file without what Pillow or TurboJPEG fail on, or report as damage, although every browser shows the image.

    :param content: a file with an accepted signature.
    """
    if content.startswith(b"\xff\xd8"):
        return tidied_jpeg(content)
    if content.startswith(b"\x89PNG"):
        return without_unread_chunks(content)
    return content


def check_before_opening(content: bytes, max_pixels: int) -> None:
    """Check the size of a WebP file from its header: Pillow allocates memory for the image when it opens one.

    :raises PhotoError: as ``check_size``.
    """
    if content.startswith(b"RIFF"):
        check_size(_webp_size(content), "WEBP", max_pixels)


def check_size(size: tuple[int, int], decoder: str, max_pixels: int) -> None:
    """Check the size of an image before it is decoded.

    :param size: width and height in pixels.
    :param decoder: Pillow's name of the format, for ``MAX_PIXELS_OF``.
    :raises TooManyPixelsError: it has more than ``max_pixels``, or more than its decoder may take.
    :raises TooThinError: a side is shorter than ``MIN_SIDE``.
    """
    limit = min(max_pixels, MAX_PIXELS_OF.get(decoder, max_pixels))
    if size[0] * size[1] > limit:
        raise TooManyPixelsError(limit)
    if min(size) < MIN_SIDE:
        raise TooThinError


def check_is_whole(content: bytes, decoder: str) -> None:
    """Look for damage that Pillow's decoder would silently ignore.

    :raises Exception: of any kind; the file is damaged or cut short.
    """
    if decoder == "PNG":
        with Image.open(io.BytesIO(content), formats=["PNG"]) as unread:
            unread.verify()  # the checksums, which load() does not look at
    if decoder == "GIF":
        _check_gif_blocks(content)


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


def _check_gif_blocks(content: bytes) -> None:
    """Walk through the blocks of a GIF file to its end (GIF89a, appendix A), which may lack its trailer.

    :raises DamagedError: one of them is cut short.
    """

    def color_table(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    try:
        position = 13 + color_table(content[10])
        while position < len(content) and content[position] != 0x3B:
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
