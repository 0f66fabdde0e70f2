"""inference/exif.py: where a photo was taken, which only the command line may ask for."""

import io
import re

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from inference import decoder
from inference.exif import Place, read_place
from inference.sandbox import Sandbox
from tests.support.drawings import encoded
from tests.support.metadata_tools import exif_of

GPS = ExifTags.GPS


def photo_with(exif: Image.Exif) -> bytes:
    return encoded(Image.new("RGB", (64, 48), "yellow"), "JPEG", exif=exif)


def place_with(**changes: object) -> Place | None:
    """The place of a photo in Zürich with other tags, or without those that are None."""
    exif = exif_of(latitude=47.36667, longitude=8.55)
    tags = exif.get_ifd(ExifTags.IFD.GPSInfo)
    for name, value in changes.items():
        if value is None:
            del tags[GPS[name]]
        else:
            tags[GPS[name]] = value
    with Image.open(io.BytesIO(photo_with(exif))) as image:
        return read_place(image)


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(47.36667, 8.55), (-33.9, 18.4), (41.85, -87.65), (-54.8, -68.3), (0, 9.5), (90, 180)]
)
def test_a_place_is_in_decimal_degrees_with_the_sign_of_its_half_of_the_globe(latitude, longitude):
    with Image.open(io.BytesIO(photo_with(exif_of("", latitude, longitude)))) as image:
        place = read_place(image)
    assert (place.latitude, place.longitude) == (pytest.approx(latitude, abs=1e-6), pytest.approx(longitude, abs=1e-6))
    assert place.uncertainty is None


def test_a_phone_says_how_sure_it_is_of_the_place():
    assert place_with(GPSHPositioningError=IFDRational(13, 2)).uncertainty == 6.5
    assert place_with(GPSHPositioningError=IFDRational(0, 1)).uncertainty is None
    assert place_with(GPSHPositioningError=IFDRational(0, 0)).uncertainty is None


@pytest.mark.parametrize(
    "changes",
    [
        {"GPSLatitude": (IFDRational(0, 0),) * 3},
        {"GPSLatitude": (IFDRational(91), IFDRational(0), IFDRational(0))},
        {"GPSLongitude": (IFDRational(180), IFDRational(0), IFDRational(1))},
        {"GPSLatitude": (IFDRational(47), IFDRational(22))},
        {"GPSLatitude": None},
        {"GPSLatitudeRef": None},
        {"GPSLatitudeRef": "X"},
        {"GPSLatitudeRef": "NS"},
        {"GPSLongitudeRef": ""},
        {"GPSLatitude": (IFDRational(0),) * 3, "GPSLongitude": (IFDRational(0),) * 3},
    ],
)
def test_a_place_that_is_damaged_or_was_never_found_is_none(changes):
    assert place_with() is not None
    assert place_with(**changes) is None


def test_a_photo_without_exif_has_no_place():
    assert read_place(Image.new("RGB", (8, 8))) is None


def test_the_place_of_an_upload_never_leaves_the_decoder_process(tmp_path, monkeypatch):
    photo = photo_with(exif_of("2026:05:03 06:01:02", 47.36667, 8.55))
    (tmp_path / "a.jpg").write_bytes(photo)
    for wanted in decoder.Wanted:
        reply = decoder._reply_to(photo, False, 10**6, wanted, decoder.Region(0, 0, 1, 1))
        line = reply.partition(b"\n")[0]
        assert bool(re.search(rb"47\.3", line)) == (wanted is decoder.Wanted.PIXELS_AND_PLACE)
    sandbox = Sandbox()
    try:
        assert sandbox.read(io.BytesIO(photo)).place is None
        assert sandbox.read_path(tmp_path / "a.jpg").place is None
        assert sandbox.read_path(tmp_path / "a.jpg", with_place=True).place.longitude == pytest.approx(8.55)
    finally:
        sandbox.stop()
