"""EXIF: which way up a photo is, and when it was taken."""

from datetime import datetime

from PIL import ExifTags, Image
from PIL.Image import Transpose

from .regions import Region

#: The transposition that turns an image upright, by EXIF's orientation (EXIF 2.32, tag 0x0112). 1 is upright already.
TRANSPOSE_BY_ORIENTATION = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def read_orientation(image: Image.Image, content: bytes) -> int | None:
    """The tag "Orientation" if it still has to be applied; None if it does not, or if the EXIF data are damaged.

    :param image: the file as Pillow has opened it.
    :param content: the same file.
    """
    if image.format == "HEIF":
        # libheif has applied the boxes that rotate or mirror the image. EXIF repeats them, or is used instead of them.
        is_turned = b"irot" in content or b"imir" in content
        return None if is_turned else image.info.get("original_orientation")
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises many kinds on damaged EXIF data; the image is usable without them
        return None


def read_taken(image: Image.Image) -> datetime | None:
    """The tag "DateTimeOriginal"; None if it is missing or damaged, or the camera's clock was never set."""
    try:
        date = image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
        return datetime.strptime(date.strip(" \0"), "%Y:%m:%d %H:%M:%S")
    except Exception:  # as in read_orientation
        return None


def region_before(transposition: Transpose, region: Region) -> Region:
    """The part of an image that Pillow's ``transpose`` would move to a region."""
    x, y, width, height = region.x, region.y, region.width, region.height
    right, lower = 1 - x - width, 1 - y - height
    match transposition:
        case Transpose.FLIP_LEFT_RIGHT:
            return Region(right, y, width, height)
        case Transpose.FLIP_TOP_BOTTOM:
            return Region(x, lower, width, height)
        case Transpose.ROTATE_180:
            return Region(right, lower, width, height)
        case Transpose.TRANSPOSE:
            return Region(y, x, height, width)
        case Transpose.TRANSVERSE:
            return Region(lower, right, height, width)
        case Transpose.ROTATE_90:
            return Region(lower, x, height, width)
    return Region(y, right, height, width)  # ROTATE_270
