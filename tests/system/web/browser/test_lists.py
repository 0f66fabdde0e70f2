"""A person downloads lists for eBird and GBIF: the browser writes them, and reads the photos' EXIF data for them."""

import base64
import csv
import hashlib
import io
import uuid
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from PIL.TiffImagePlugin import IFDRational
from playwright.sync_api import Locator, Page, expect

import inference.formats  # noqa: F401  registers HEIF and AVIF with Pillow
from lists import darwin_core, ebird
from lists.checklists import checklists
from lists.csv_export import time_taken
from lists.record import Place, Record
from tests.support.browsing import Open, Serve, photo_field, serious_faults
from tests.support.drawings import encoded
from tests.support.seam import ColorClassifier
from tests.unit.lists.birds import JAY, KIWI, TIT, ZURICH, records
from web.cards import record_json

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


def photo_with(exif: Image.Exif, file_format: str = "JPEG", color: str = "red") -> bytes:
    """A small photo, which the stand-in takes for a cardinal if it is red."""
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
            return readExif(Uint8Array.from(atob(text), c => c.charCodeAt()).buffer);
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
        "no direction": SYDNEY | {1: "up"},
        "no place": {},
    }
    photos = {name: photo_with(exif_of("2026:02:30 06:01:02", gps)) for name, gps in wrong_places.items()}
    photos |= {
        "a clock that was never set": photo_with(exif_of("0000:00:00 00:00:00", {})),
        "the year 0": photo_with(exif_of("0000:01:01 00:00:00", {})),
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


def as_the_script_has_them(records: list[Record], language: str) -> list[dict[str, object]]:
    """Records as the page's script makes them of a card and its photo."""
    return [
        record_json(record, language)
        | {
            "photo": {
                "file": record.photo.file,
                "sha256": record.photo.sha256,
                "taken": time_taken(record.photo.taken),
                "place": asdict(record.photo.place) if record.photo.place else None,
            }
        }
        for record in records
    ]


def lists_written_by(page: Page, records: list[Record], language: str, location: str) -> list[object]:
    """The files for eBird and the one of Darwin Core that the page's script writes."""
    return page.evaluate(
        """async ([records, terms, location]) => {
            const { checklistsOf } = await import("/static/checklists.js");
            const { ebirdFiles, hasPlace } = await import("/static/ebird.js");
            const { darwinCore } = await import("/static/darwin_core.js");
            const photos = new Map(records.map(({ photo }) => [photo.file, photo]));
            for (const record of records) record.photo = photos.get(record.photo.file); // as on the page
            const checklists = checklistsOf(records);
            const listed = checklists.filter((each) => each.started && hasPlace(each, location));
            return [ebirdFiles(listed, location), await darwinCore(checklists, terms, "2026-05-09", location)];
        }""",
        [as_the_script_has_them(records, language), darwin_core.TERMS, location],
    )


A_DAY = [
    *records("late.jpg", "2026-05-03 18:00:59", ZURICH, TIT, JAY),
    *records("early.jpg", "2026-05-03 06:01", ZURICH, TIT, TIT),
    *records("near.jpg", "2026-05-03 07:00", Place(47.37, 8.555), KIWI),
    *records("far.jpg", "2026-05-03 07:00", Place(47.5, 8.55, 3.0), TIT),
    *records("nowhere.jpg", "2026-05-03 07:00", None, TIT),
]
#: The name of a location, and records.
CASES = {
    "nothing": ("", []),
    "several places": ("", A_DAY),
    "several places with a name": ("Zürichberg", A_DAY),
    "midnight": (
        "-",
        [*records("a.jpg", "2026-05-03 23:59:59", None, TIT), *records("b.jpg", "2026-05-04", None, TIT)],
    ),
    "no date": ("home", [*records("a.jpg", "", ZURICH, TIT, JAY), *records("b.jpg", "", ZURICH, TIT)]),
    "copies and an old clock": (
        "home",
        [
            *records("a.jpg", "", ZURICH, TIT, JAY),
            *(replace(each, photo=replace(each.photo, file="b.jpg")) for each in records("a.jpg", "", ZURICH, TIT)),
            *records("c.jpg", "0850-01-02 03:04:05", ZURICH, TIT),
        ],
    ),
    "the date line": (
        "",
        [
            *records("a.jpg", "2026-12-31 00:00", Place(-0.000001, 180.0, 0.2), TIT),
            *records("b.jpg", "2026-12-31 00:00", Place(0.0, -180.0), TIT),
        ],
    ),
    "no scientific name": ("home", records("a.jpg", "2026-05-03 06:01", ZURICH, "Purple Rain", '=cmd, "a";b')),
    "odd names": (
        " = My garden, at 'home'; \"north\"\t",
        [
            *records('=1+1,"a";b\n.jpg', "2026-05-03 06:01", None, TIT),
            *records("🐦" * 150 + ".jpg", "2026-05-03 06:02", None, TIT),
            *records("ü\u200b\u00a0x.jpg", "2026-05-03 06:03", None, TIT),
            *records("-last.jpg", "2026-05-03 06:04", None, TIT),
        ],
    ),
    "more than a file": (
        "ä" * 50_000,
        [each for day in range(1, 29) for each in records(f"{day}", f"2026-02-{day:02}", ZURICH, TIT)],
    ),
}


def test_the_page_and_the_command_line_write_the_same_lists(page):
    for name, (location, case) in CASES.items():
        grouped = checklists(case)
        files = ebird.files([each for each in grouped if ebird.can_be_listed(each, location)], location)
        assert (len(files) > 1) == (name == "more than a file")
        expected = [files, darwin_core.text(grouped, date(2026, 5, 9), "de", location)]
        assert lists_written_by(page, case, "de", location) == expected, name


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two photos of one morning, one that does not say when or where it was taken, and one of which nobody is sure."""
    contents = {
        "first.jpg": photo_with(exif_of()),
        "second.heic": photo_with(exif_of("2026:05:03 07:30:00"), "HEIF"),
        "undated.png": encoded(Image.new("RGB", (64, 48), "blue"), "PNG"),
        "unsure.jpg": photo_with(exif_of(), color="#82ff00"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def opened_lists(page: Page, photos: list[Path]) -> Locator:
    """Send photos and open the lists."""
    photo_field(page).set_input_files(photos)
    expect(page.locator(".answer")).to_have_count(len(photos))
    page.get_by_text("Lists for eBird and GBIF").click()
    return page.locator("#lists")


def saved(page: Page, button: str) -> tuple[str, str]:
    """The name and the text of the file that a button saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.suggested_filename, download.value.path().read_bytes().decode()


def test_a_person_saves_lists_with_the_place_and_reads_what_is_left_out(page, photos):
    panel = opened_lists(page, photos)
    requested: list[tuple[str, str]] = []
    page.on("request", lambda request: requested.append((request.method, request.url)))
    panel.get_by_label("Write where the photos were taken").check()
    name, text = saved(page, "eBird (CSV)")
    assert name == "ebird.csv"
    [row] = csv.reader(io.StringIO(text, newline=""))
    assert row[1:4] == ["Cardinalis", "cardinalis", "1"]
    assert row[5:10] == ["-33.85850 151.21500", "-33.85850", "151.21500", "05/03/2026", "06:01"]
    expect(panel.get_by_role("status")).to_have_text(
        "Sightings on the list: 1. Photos left out, because they do not say when they were taken: 1. "
        "Photos that do not say where they were taken: 1. Answers left out, because we are not sure: 1."
    )
    name, text = saved(page, "Darwin Core (CSV)")
    assert name == "darwin-core.csv"
    [cardinal] = csv.DictReader(io.StringIO(text, newline=""))
    assert (cardinal["scientificName"], cardinal["associatedMedia"]) == (
        "Cardinalis cardinalis",
        "first.jpg | second.heic",
    )
    assert (cardinal["decimalLatitude"], cardinal["coordinateUncertaintyInMeters"]) == ("-33.85850", "7")
    digest = hashlib.sha256(photos[0].read_bytes()).hexdigest()
    assert cardinal["occurrenceID"] == str(uuid.uuid5(darwin_core.NAMESPACE, f"{digest}:Cardinalis cardinalis"))
    assert cardinal["dateIdentified"] == date.today().isoformat()
    expect(panel.get_by_role("status")).to_contain_text(
        "Sightings left out, because their scientific name is not known: 1."
    )
    sent = [(method, url) for method, url in requested if not url.startswith("blob:")]
    assert sent
    assert all(method == "GET" and url.endswith(".js") for method, url in sent)


def test_without_the_persons_wish_no_place_is_written_and_ebird_asks_for_a_name_of_it(page, photos):
    panel = opened_lists(page, photos)
    page.get_by_role("button", name="eBird (CSV)").click()
    expect(panel.get_by_role("status")).to_have_text(
        "There is nothing for this list. Photos left out, because they do not say when they were taken: 1. "
        "Photos left out, because eBird needs the name of the place: 2. Answers left out, because we are not sure: 1."
    )
    panel.get_by_label("Name of the place").fill("Botanic Garden")
    ebird_row = saved(page, "eBird (CSV)")[1].split(",")
    assert ebird_row[5:8] == ["Botanic Garden", "", ""]
    for text in (",".join(ebird_row), saved(page, "Darwin Core (CSV)")[1]):
        assert "33.8" not in text
        assert "151." not in text


def test_what_a_photo_says_counts_even_if_a_smaller_copy_without_it_was_sent(open_page, serve, tmp_path):
    noise = np.random.default_rng(1).integers(0, 20, (150, 150, 3), np.uint8)
    image = ImageChops.difference(Image.new("RGB", (150, 150), "red"), Image.fromarray(noise))
    large = tmp_path / "large.png"
    image.save(large, exif=exif_of())
    page = open_page(address=serve(ColorClassifier(gives_verdicts=True), BIRD_MAX_CONTENT_LENGTH="20000"))
    panel = opened_lists(page, [large])
    panel.get_by_label("Write where the photos were taken").check()
    assert ",-33.85850,151.21500,05/03/2026,06:01," in saved(page, "eBird (CSV)")[1]


def test_lists_are_offered_once_an_answer_is_sure_and_fit_a_small_phone(open_page, serve, photos):
    page = open_page(address=serve(ColorClassifier(gives_verdicts=True)), viewport={"width": 320, "height": 640})
    photo_field(page).set_input_files(photos[3])
    expect(page.locator(".answer")).to_have_count(1)
    expect(page.locator("#lists")).to_be_hidden()
    opened_lists(page, photos[:1])
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert serious_faults(page) == []


def test_a_list_that_cannot_be_written_is_said_to_be_so(page, photos):
    panel = opened_lists(page, photos[:1])
    page.context.set_offline(True)
    page.get_by_role("button", name="Darwin Core (CSV)").click()
    expect(panel.get_by_role("status")).to_contain_text("The list could not be made. Is there a connection")
    page.context.set_offline(False)
    assert saved(page, "Darwin Core (CSV)")[0] == "darwin-core.csv"
