"""A person downloads lists for eBird and GBIF: the browser writes them, and reads the photos' EXIF data for them."""

import base64

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from playwright.sync_api import Page

import inference.formats  # noqa: F401  registers HEIF and AVIF with Pillow
from tests.support.browsing import Open, Serve
from tests.support.drawings import encoded
from tests.support.seam import ColorClassifier

ZERO = (IFDRational(0), IFDRational(0), IFDRational(0))
#: Tags of 33° 51' 30.6" S, 151° 12' 54" E, known to 6.5 m.
SYDNEY = {
    1: "S",
    2: (IFDRational(33), IFDRational(51), IFDRational(306, 10)),
    3: "E",
    4: (IFDRational(151), IFDRational(12), IFDRational(54)),
    31: IFDRational(65, 10),
}


def exif_of(date: str = "2026:05:03 06:01:02", gps: dict[int, object] = SYDNEY) -> Image.Exif:
    """EXIF data as a camera writes them."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"  # Pillow writes no EXIF data into a PNG file if there is no tag here
    exif.get_ifd(0x8769)[0x9003] = date
    exif.get_ifd(0x8825).update(gps)
    return exif


def photo_with(exif: Image.Exif, file_format: str = "JPEG", color: str = "yellow") -> bytes:
    """A small photo, which the stand-in takes for a goldfinch if it is yellow."""
    return encoded(Image.new("RGB", (64, 48), color), file_format, exif=exif)


@pytest.fixture
def page(open_page: Open, serve: Serve) -> Page:
    """The first page of an app whose model gives verdicts."""
    return open_page(address=serve(ColorClassifier(gives_verdicts=True)))


def exif_read_by(page: Page, photo: bytes) -> dict[str, object]:
    """What the page's script reads from a photo."""
    return page.evaluate(
        """async text => {
            const { readExif } = await import("/static/exif.js");
            return readExif(new Blob([Uint8Array.from(atob(text), c => c.charCodeAt())]));
        }""",
        base64.b64encode(photo).decode(),
    )


def test_the_browser_reads_day_and_place_from_every_format_of_cameras(page):
    for file_format in ("JPEG", "HEIF", "PNG", "WEBP", "AVIF"):
        read = exif_read_by(page, photo_with(exif_of(), file_format))
        assert read["taken"] == "2026-05-03 06:01:02", file_format
        assert read["place"] == pytest.approx({"latitude": -33.8585, "longitude": 151.215, "uncertainty": 6.5}), (
            file_format
        )


def test_a_place_or_day_that_a_photo_does_not_say_or_says_wrongly_is_not_read(page):
    wrong_places = {
        "null island": SYDNEY | {2: ZERO, 4: ZERO},
        "0/0": SYDNEY | {2: (IFDRational(0, 0),) * 3},
        "beyond the pole": SYDNEY | {2: (IFDRational(91), IFDRational(0), IFDRational(0))},
        "half a place": {1: "S", 2: SYDNEY[2]},
        "no place": {},
    }
    photos = {name: photo_with(exif_of("2026:02:30 06:01:02", gps)) for name, gps in wrong_places.items()}
    photos |= {
        "a clock that was never set": photo_with(exif_of("0000:00:00 00:00:00", {})),
        "no EXIF data": encoded(Image.new("RGB", (64, 48)), "GIF"),
        "cut off": photo_with(exif_of())[:60],
        "no photo": b"no photo",
        "nothing": b"",
    }
    for name, photo in photos.items():
        read = exif_read_by(page, photo)
        assert (read.get("taken"), read.get("place")) == (None, None), name


def test_a_place_of_unknown_uncertainty_is_read_without_it(page):
    for gps in ({**SYDNEY, 31: IFDRational(0, 0)}, {tag: SYDNEY[tag] for tag in range(1, 5)}):
        place = exif_read_by(page, photo_with(exif_of(gps=gps)))["place"]
        assert place.get("uncertainty") is None
