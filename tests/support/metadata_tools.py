"""exiv2 and exiftool, as which photo programs read XMP, and EXIF for drawn photos."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

needs_tools = pytest.mark.skipif(
    not (shutil.which("exiv2") and shutil.which("exiftool")), reason="exiv2 or exiftool is not installed"
)
EXIV2_KEYS = {
    "dc": "Xmp.dc.subject",
    "lr": "Xmp.lr.hierarchicalSubject",
    "digiKam": "Xmp.digiKam.TagsList",
    "MicrosoftPhoto": "Xmp.MicrosoftPhoto.LastKeywordXMP",
}


def keywords_by_exiv2(file: Path) -> dict[str, list[str]]:
    """The keywords of a file as digiKam and darktable read them, by the prefix of their property."""
    output = subprocess.run(["exiv2", "-PXkt", file], capture_output=True, text=True, check=True).stdout
    values = dict(line.split(maxsplit=1) for line in output.splitlines())
    return {prefix: values[key].split(", ") for prefix, key in EXIV2_KEYS.items() if key in values}


def tags_by_exiftool(file: Path) -> dict[str, str | list[str]]:
    """All XMP tags of a file by their groups and names; lists as lists.

    :raises AssertionError: exiftool finds a mistake in it.
    """
    command = ["exiftool", "-j", "-G1", "-struct", "-m", "-XMP:all", "-warning", file]
    (tags,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert "ExifTool:Warning" not in tags, tags
    return {name: value for name, value in tags.items() if name != "SourceFile"}


def exif_of(taken: str = "", latitude: float | None = None, longitude: float | None = None) -> Image.Exif:
    """EXIF as a camera writes it.

    :param taken: such as ``2026:05:03 06:01:02``.
    """
    exif = Image.Exif()
    if taken:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    if latitude is not None and longitude is not None:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        gps[ExifTags.GPS.GPSLatitudeRef] = "N" if latitude >= 0 else "S"
        gps[ExifTags.GPS.GPSLatitude] = _rationals(abs(latitude))
        gps[ExifTags.GPS.GPSLongitudeRef] = "E" if longitude >= 0 else "W"
        gps[ExifTags.GPS.GPSLongitude] = _rationals(abs(longitude))
    return exif


def _rationals(degrees: float) -> tuple[IFDRational, ...]:
    minutes = degrees % 1 * 60
    return IFDRational(int(degrees)), IFDRational(int(minutes)), IFDRational(round(minutes % 1 * 60 * 1000), 1000)
