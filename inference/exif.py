"""EXIF: which way up a photo is, and when and where it was taken."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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


@dataclass(frozen=True)
class Place:
    """Where a photo was taken.

    :param latitude: in decimal degrees, WGS 84; negative in the south.
    :param longitude: in decimal degrees, WGS 84; negative in the west.
    :param uncertainty: how far from there it may have been, in metres; None if that is not known.
    """

    latitude: float
    longitude: float
    uncertainty: float | None = None


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


def read_place(image: Image.Image) -> Place | None:
    """The tags "GPSLatitude" and "GPSLongitude" with their references, and "GPSHPositioningError" (EXIF 2.32, 4.6.6).

    :return: None if they are missing or damaged, or all zero, as cameras write them that have not found satellites.
    """
    try:
        tags = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        latitude = _degrees(tags, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "NS", 90)
        longitude = _degrees(tags, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "EW", 180)
        uncertainty = float(tags.get(ExifTags.GPS.GPSHPositioningError, 0))
    except Exception:  # as in read_orientation
        return None
    if latitude == longitude == 0:
        return None
    return Place(latitude, longitude, uncertainty if math.isfinite(uncertainty) and uncertainty > 0 else None)


def _degrees(tags: Mapping[int, Any], tag: int, reference_tag: int, directions: str, limit: float) -> float:
    """Degrees, minutes and seconds as decimal degrees.

    :param directions: the letters of the positive and the negative direction.
    :raises ValueError: they are no place on earth.
    """
    degrees, minutes, seconds = (float(part) for part in tags[tag])
    value = degrees + minutes / 60 + seconds / 3600
    reference = str(tags[reference_tag]).strip(" \0").upper()
    if reference not in tuple(directions) or not 0 <= value <= limit:  # 0/0, for what is not known, is not a number
        raise ValueError(reference, value)
    return value if reference == directions[0] else -value


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
