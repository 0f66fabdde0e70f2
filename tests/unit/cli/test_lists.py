"""``identify --ebird``, ``--darwin-core`` and ``--xmp``, read back with parsers and with exiv2."""

import csv
import errno
import json
import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from PIL import Image

from cli import identify, list_files, outputs
from inference.verdict import Verdict
from jobs.errors import UnavailableError
from lists import ebird
from lists.xmp import EMPTY
from tests.support.drawings import encoded
from tests.support.metadata_tools import exif_of, keywords_by_exiv2, needs_tools
from tests.support.seam import PHOTO_OF, SHA256, ColorClassifier, HalvesClassifier
from tests.unit.cli.test_identify import app, invoke  # noqa: F401  app is a fixture

#: The stand-in's birds, by their colors.
LABELS = ("Common Blackbird", "Eastern Bluebird", "Northern Cardinal", "Great Tit", "Emerald Thing", "Snow Bunting")
TIT, BLUEBIRD, THING = (255, 255, 0), (0, 0, 255), (0, 255, 0)
ZURICH, CHICAGO = (47.36667, 8.55), (41.85, -87.65)
EBIRD, DARWIN_CORE = ("--ebird", "ebird.csv"), ("--darwin-core", "dwc.csv")


def write_photo(name: str, *halves: tuple[int, int, int], taken: str = "", place: tuple[float, float] | None = None):
    """Write a photo of one color, or of two beside each other, into the current folder."""
    image = Image.new("RGB", (64, 48), halves[0])
    image.paste(halves[-1], (32, 0, 64, 48))
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(image, "JPEG", exif=exif_of(taken, *(place or ()))))


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """Runs the command with a stand-in that gives verdicts."""

    def run(*arguments: str, classifier=None) -> Result:
        found = classifier or ColorClassifier(LABELS, gives_verdicts=True)
        monkeypatch.setattr(identify, "load_classifier", lambda _settings: (found, None))
        return invoke(app, "--jobs", "1", *arguments)

    return run


@pytest.fixture
def trip(app) -> None:  # noqa: F811
    """Photos of two days and two places, and some that cannot be in each list."""
    write_photo("trip/a.jpg", TIT, taken="2026:05:03 06:01:02", place=ZURICH)
    write_photo("trip/b.jpg", TIT, taken="2026:05:03 06:07:00", place=ZURICH)
    write_photo("trip/c.jpg", BLUEBIRD, taken="2026:05:04 18:00:00", place=CHICAGO)
    write_photo("trip/d.jpg", TIT, taken="2026:05:04 18:30:00")
    write_photo("trip/e.jpg", BLUEBIRD)
    write_photo("trip/f.jpg", THING, taken="2026:05:03 06:10:00", place=ZURICH)
    write_photo("trip/g.jpg", PHOTO_OF[Verdict.UNSURE], taken="2026:05:03 06:20:00", place=ZURICH)
    write_photo("trip/h.jpg", PHOTO_OF[Verdict.NO_BIRD], taken="2026:05:03 06:20:00", place=ZURICH)


def rows_of(file: str) -> list[list[str]]:
    with open(file, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream, strict=True))


def occurrences_of(file: str) -> list[dict[str, str]]:
    with open(file, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_a_folder_becomes_checklists_for_ebird(run, trip):
    ended = run("trip", *EBIRD, "--place")
    assert [[*row[:4], *row[6:10]] for row in rows_of("ebird.csv")] == [
        ["", "Parus", "major", "1", "47.36667", "8.55000", "05/03/2026", "06:01"],
        ["Emerald Thing", "", "", "1", "47.36667", "8.55000", "05/03/2026", "06:01"],
        ["", "Sialia", "sialis", "1", "41.85000", "-87.65000", "05/04/2026", "18:00"],
    ]
    assert ended.stderr.splitlines()[-3:] == [
        "ebird.csv: 3 records on 2 checklists for eBird.",
        "Not for eBird, because they do not say when they were taken: 1 photo.",
        "Not for eBird, because they do not say where they were taken: 1 photo. --location can name the place.",
    ]
    assert ended.exit_code == 0


def test_a_folder_becomes_occurrences_in_darwin_core(run, trip):
    ended = run("trip", *DARWIN_CORE, "--place", "--language", "de")
    found = occurrences_of("dwc.csv")
    assert [(each["vernacularName"], each["eventDate"], each["associatedMedia"]) for each in found] == [
        ("Kohlmeise", "2026-05-03", "a.jpg | b.jpg"),
        ("Rotkehl-Hüttensänger", "2026-05-04", "c.jpg"),
        ("Kohlmeise", "2026-05-04", "d.jpg"),
        ("Rotkehl-Hüttensänger", "", "e.jpg"),
    ]
    assert {each["identifiedBy"] for each in found} == {f"machine: model {SHA256[:12]}"}
    assert abs((date.fromisoformat(found[0]["dateIdentified"]) - date.today()).days) <= 1
    assert ended.stderr.splitlines()[-2:] == [
        "dwc.csv: 4 occurrences in Darwin Core.",
        "Not for Darwin Core, because they have no scientific name: Emerald Thing.",
    ]
    Path("dwc.csv").rename("first.csv")
    run("trip", *DARWIN_CORE)
    again = occurrences_of("dwc.csv")
    assert [each["occurrenceID"] for each in again] == [each["occurrenceID"] for each in found]


def test_where_photos_were_taken_is_written_only_with_place(run, trip):
    run("trip", *EBIRD, *DARWIN_CORE, "--location", "Pond", "--csv", "list.csv")
    assert {tuple(row[5:8]) for row in rows_of("ebird.csv")} == {("Pond", "", "")}
    assert {each["locality"] for each in occurrences_of("dwc.csv")} == {"Pond"}
    output = run("trip", "--json").stdout
    for text in (output, *(Path(file).read_text(encoding="utf-8") for file in ("ebird.csv", "dwc.csv", "list.csv"))):
        assert not re.search(r"47\.3|8\.55|41\.8|-87\.6", text)


def test_other_birds_of_a_photo_are_on_its_checklist(run):
    write_photo("a.jpg", TIT, BLUEBIRD, taken="2026:05:03 06:01:02")
    write_photo("b.jpg", TIT, TIT, taken="2026:05:03 06:02:02")
    run(".", *EBIRD, "--location", "Pond", classifier=HalvesClassifier(LABELS, gives_verdicts=True))
    assert [row[1:4] for row in rows_of("ebird.csv")] == [["Parus", "major", "2"], ["Sialia", "sialis", "1"]]


def test_lists_combine_with_other_outputs(run, trip):
    ended = run("trip", *EBIRD, *DARWIN_CORE, "--place", "--xmp", "--json")
    assert len([json.loads(line) for line in ended.stdout.splitlines()]) == 8
    assert Path("ebird.csv").exists()
    assert Path("dwc.csv").exists()
    assert Path("trip/a.jpg.xmp").exists()


def test_a_list_that_is_too_large_for_ebird_becomes_several_and_none_is_written_over(run, trip, monkeypatch):
    monkeypatch.setattr(ebird, "MAX_SIZE", 1)
    Path("ebird-2.csv").write_text("mine")
    ended = run("trip", *EBIRD, "--place")
    assert "ebird.csv, ebird-3.csv: 3 records on 2 checklists for eBird." in ended.stderr
    assert (len(rows_of("ebird.csv")), len(rows_of("ebird-3.csv"))) == (2, 1)
    assert Path("ebird-2.csv").read_text() == "mine"


def test_a_list_is_written_though_nobody_reads_the_lines_any_more(run, trip, monkeypatch):
    def broken(_line):
        raise BrokenPipeError

    monkeypatch.setattr(outputs, "_print", broken)
    ended = run("trip", *EBIRD, "--place")
    assert ended.exit_code == 1
    assert len(rows_of("ebird.csv")) == 1
    assert "The lists lack the photos that were not identified any more." in ended.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--ebird", "ebird.csv"], "eBird wants to know where birds were seen. Add --place"),
        (["--ebird", "ebird.csv", "--location", '"'], "eBird wants to know where birds were seen."),
        (["--place"], "--place and --location say what --ebird and --darwin-core write."),
        (["--location", "Pond", "--xmp"], "--place and --location say what"),
        ([*DARWIN_CORE, "--csv", "list.csv", "--resume"], "--ebird and --darwin-core need all photos of a day."),
        (["--darwin-core", "a.csv", "--csv", "a.csv"], "must name different files."),
        (["--darwin-core", "a.csv", "--ebird", "a.csv", "--place"], "must name different files."),
        (["--darwin-core", "a.csv", "--csv", "./there/../a.csv"], "must name different files."),
        ([*DARWIN_CORE, "--location", "Pond\udcff"], "Invalid value for '--location': This is not text in UTF-8."),
        (["--darwin-core", "mine.csv"], "mine.csv is there already. Name another file."),
        (["--darwin-core", "none/a.csv"], "none/a.csv cannot be written: No such file or directory."),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_identified(run, options, sentence):
    write_photo("bird.jpg", TIT)
    Path("mine.csv").write_text("mine")
    ended = run("bird.jpg", *options, classifier=object())
    assert sentence in re.sub(r"\s+", " ", ended.stderr)
    assert ended.exit_code == 2
    assert sorted(each.name for each in Path().iterdir()) == ["bird.jpg", "mine.csv"]
    assert Path("mine.csv").read_text() == "mine"


def test_a_model_without_verdicts_is_sure_of_nothing_and_the_command_says_so(run):
    write_photo("bird.jpg", TIT, taken="2026:05:03 06:01:02")
    ended = run("bird.jpg", *EBIRD, *DARWIN_CORE, "--xmp", "--location", "Pond", classifier=ColorClassifier(LABELS))
    assert ended.stderr.count("This model gives no verdicts") == 1
    assert "training.calibrate" in ended.stderr
    assert [each.name for each in Path().iterdir()] == ["bird.jpg"]


def test_without_a_sure_bird_no_list_is_written(run):
    write_photo("bird.jpg", PHOTO_OF[Verdict.UNSURE], taken="2026:05:03 06:01:02")
    ended = run("bird.jpg", *EBIRD, *DARWIN_CORE, "--location", "Pond")
    assert "ebird.csv was not written: there is no bird for it." in ended.stderr
    assert "dwc.csv was not written: there is no bird for it." in ended.stderr
    assert [each.name for each in Path().iterdir()] == ["bird.jpg"]


def test_what_was_found_before_an_interruption_is_written_with_a_warning(run, trip, monkeypatch):
    classifier = ColorClassifier(LABELS, gives_verdicts=True)
    classify, answers = classifier.classify_batch, iter(range(2))

    def interrupted(pixels):
        if next(answers, None) is None:
            raise UnavailableError("no worker answers")
        return classify(pixels)

    monkeypatch.setattr(classifier, "classify_batch", interrupted)
    monkeypatch.setattr("cli.reader_pool.UNAVAILABLE_PATIENCE", 0)
    monkeypatch.setattr("cli.reader_pool.RETRY_INTERVAL", 0)
    ended = run("trip", *EBIRD, "--place", "--csv", "list.csv", classifier=classifier)
    assert ended.exit_code == 3
    assert "--resume" not in ended.stderr  # it would not go with --ebird
    assert len(rows_of("ebird.csv")) == 1
    assert ended.stderr.splitlines()[-1].startswith("The lists lack the photos that were not identified any more.")


def test_a_list_that_cannot_be_written_at_the_end_is_a_failure_and_leaves_nothing(run, trip, monkeypatch):
    def full(path, _text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(list_files, "_write_new", full)
    ended = run("trip", *DARWIN_CORE)
    assert "dwc.csv could not be written: No space left on device." in ended.stderr
    assert ended.exit_code == 1
    assert not Path("dwc.csv").exists()


@needs_tools
def test_photos_of_sure_birds_get_sidecars_and_stay_as_they_are(run, trip):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in Path("trip").iterdir()}
    ended = run("trip", "--xmp", "--language", "de")
    sidecars = sorted(Path("trip").glob("*.xmp"))
    assert [each.name for each in sidecars] == [
        f"{name}.xmp" for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg")
    ]
    assert keywords_by_exiv2(sidecars[0]) == {"dc": ["Kohlmeise"], "lr": ["Birds|Passeriformes|Paridae|Kohlmeise"]}
    assert keywords_by_exiv2(sidecars[5]) == {"dc": ["Emerald Thing"], "lr": ["Birds|Emerald Thing"]}
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before}
    assert "Sidecars with new keywords: 6\n" in ended.stderr
    written = [(each.read_bytes(), each.stat().st_mtime_ns) for each in sidecars]
    again = run("trip", "--xmp", "--language", "de")
    assert "Sidecars with new keywords: 0; 6 had theirs already\n" in again.stderr
    assert written == [(each.read_bytes(), each.stat().st_mtime_ns) for each in sidecars]
    assert again.exit_code == 0


def test_a_sidecar_that_is_broken_stays_as_it_is_and_the_others_are_written(run):
    write_photo("a.jpg", TIT)
    write_photo("b.jpg", BLUEBIRD)
    Path("a.jpg.xmp").write_bytes(EMPTY[:-40])
    ended = run("a.jpg", "b.jpg", "--xmp")
    assert ended.stderr.splitlines()[-3:] == [
        "Sidecars with new keywords: 1",
        "Sidecars left as they are: 1",
        "  a.jpg.xmp: It is damaged in line 4.",
    ]
    assert ended.exit_code == 1
    assert Path("a.jpg.xmp").read_bytes() == EMPTY[:-40]
    assert Path("b.jpg.xmp").exists()


def test_a_folder_that_must_not_be_written_to_gets_a_sentence_for_each_photo(run, monkeypatch):
    write_photo("a.jpg", TIT)

    def read_only(_path, _content):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", read_only)
    ended = run("a.jpg", "--xmp")
    assert "  a.jpg.xmp: The keywords could not be written: Permission denied.\n" in ended.stderr
    assert ended.exit_code == 1
