"""EXIF: which way up a photo is, and when it was taken."""

from datetime import datetime

from PIL import ExifTags, Image

#: The transposition that turns an image upright, by EXIF's orientation (EXIF 2.32, tag 0x0112). 1 is upright already.
TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
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
