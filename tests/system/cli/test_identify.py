"""``flask --app application identify`` with a real network: folders of photos, identified in a terminal."""

import contextlib
import csv
import json
import os
import pty
import re
import signal
import string
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from flask.cli import FlaskGroup
from PIL import Image

import settings
from cli import identify
from inference.photo import open_photo
from lists import csv_export
from tests.support import brokers, servers
from tests.support.brokers import Broker
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.photographs import DAMAGED, NOT_A_PICTURE
from tests.support.servers import SMALL_NETWORK
from web.services import PhotoClassifier, load_classifier

IDENTIFY = [sys.executable, "-m", "flask", "--app", "application", "identify"]
PHOTOS = 150  # enough for a command to be stopped amid them
LIMIT = 60  # seconds
TAKEN = "2026:05:03 06:01:02"


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it comes from a camera, by way of other people's computers."""
    trip = tmp_path_factory.mktemp("home") / "trip"
    (trip / "day1").mkdir(parents=True)
    (trip / "day2" / ".trash").mkdir(parents=True)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = TAKEN
    photo = encoded(draw_goldfinch(60, 45), "JPEG", exif=exif)
    for number in range(PHOTOS):
        (trip / "day1" / f"IMG_{number:03}.JPG").write_bytes(photo)
    (trip / "day1" / "._IMG_000.JPG").write_bytes(b"what a Mac leaves")
    (trip / "day1" / "notes.txt").write_text("a goldfinch")
    (trip / "day2" / ".trash" / "deleted.jpg").write_bytes(photo)
    (trip / "day2" / "cut.jpg").write_bytes(photo[:-10])
    (trip / "day2" / 'two\r\nlines, "quoted".jpg').write_bytes(photo)
    (trip / "day2" / "web page.png").write_text("<html></html>")
    Path(os.fsdecode(bytes(trip) + b"/day2/caf\xe9.jpg")).write_bytes(photo)
    (trip / "day2" / "again.jpg").symlink_to(trip / "day1" / "IMG_000.JPG")
    (trip / "day2" / "nowhere.jpg").symlink_to(trip / "none.jpg")
    (trip / "day3").symlink_to(trip)
    return trip


ERROR = csv_export.header().index("error")
#: The rows of the CSV list after those of the first day: the file, and why it was not identified.
SECOND_DAY = {
    "trip/day2/caf\\udce9.jpg": "",
    "trip/day2/cut.jpg": DAMAGED,
    "trip/day2/nowhere.jpg": "The file cannot be read: No such file or directory.",
    'trip/day2/two\r\nlines, "quoted".jpg': "",
    "trip/day2/web page.png": NOT_A_PICTURE,
}


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    output: str
    errors: str


def start(
    where: Path, *arguments: str, stdout: object = subprocess.PIPE, stderr: object = subprocess.PIPE, **settings: str
) -> subprocess.Popen[str]:
    """Start the command, with a small network, in a folder."""
    return subprocess.Popen(
        [*IDENTIFY, *arguments],
        cwd=where,
        env=servers.environment(5000, where / "uploads", PYTHONPATH=str(servers.ROOT), **SMALL_NETWORK, **settings),
        stdout=stdout,
        stderr=stderr,
        text=True,
        # A shell that runs tests in the background has them ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def end(process: subprocess.Popen[str]) -> Ended:
    output, errors = process.communicate(timeout=LIMIT)
    return Ended(process.returncode, output, errors)


def rows_in(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def until_it_has_written(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait for so many lines in a file."""
    deadline = time.monotonic() + LIMIT
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(trip: Path) -> tuple[Ended, Path]:
    """A command that nothing disturbs, and its list."""
    path = trip.parent / "whole.csv"
    return end(start(trip.parent, "trip", "--csv", str(path))), path


def test_every_photo_is_in_the_list_once_in_order_and_hidden_and_other_files_are_not(whole):
    header, *rows = rows_in(whole[1])
    assert header == csv_export.header()
    expected = [f"trip/day1/IMG_{number:03}.JPG" for number in range(PHOTOS)] + list(SECOND_DAY)
    assert [row[0] for row in rows] == expected
    for row in rows[:PHOTOS]:
        assert (row[1], row[ERROR]) == ("2026-05-03 06:01:02", "")
        assert 0 < float(row[3]) <= 1


def test_photos_that_fail_are_listed_at_the_end_with_the_reason_and_the_others_are_identified(whole):
    ended, path = whole
    assert ended.status == 1
    assert {row[0]: row[ERROR] for row in rows_in(path)[1 + PHOTOS :]} == SECOND_DAY
    bad = [f"  {name}: {reason}" for name, reason in SECOND_DAY.items() if reason]
    assert ended.errors.splitlines()[-len(bad) - 1 :] == [f"Not identified: {len(bad)}", *bad]


def test_there_is_a_line_for_each_photo_and_no_bar_where_nobody_looks(whole):
    ended, path = whole
    lines = ended.output.splitlines()
    species, confidence = rows_in(path)[1][2:4]
    assert len(lines) == PHOTOS + len(SECOND_DAY)
    assert lines[0].startswith(f"trip/day1/IMG_000.JPG: {species} {100 * float(confidence):.0f}"[:-2])
    assert lines[0].endswith(" %")
    assert 'trip/day2/two??lines, "quoted".jpg: ' in ended.output
    assert "%|" not in ended.errors


def test_a_command_that_is_killed_leaves_a_complete_list_and_resume_continues_it_to_the_same_one(trip, whole):
    path = trip.parent / "killed.csv"
    process = start(trip.parent, "trip", "--csv", str(path))
    until_it_has_written(path, 20, process)
    process.kill()
    assert end(process).status == -signal.SIGKILL
    begun = rows_in(path)
    assert begun == rows_in(whole[1])[: len(begun)]
    assert len(begun) < PHOTOS

    with open(path, "ab") as file:
        file.write(b'"trip/day1/IMG_')  # what a machine may leave that is switched off amid a row
    resumed = end(start(trip.parent, "trip", "--csv", str(path), "--resume", FLASK_DEBUG="1"))
    assert resumed.status == 1, resumed.errors
    assert path.read_bytes() == whole[1].read_bytes()
    assert len(resumed.output.splitlines()) == PHOTOS + len(SECOND_DAY) - len(begun) + 1


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis whose password must be escaped, and a worker with the small network."""
    with (
        brokers.started(brokers.redis(tmp_path_factory.mktemp("redis"), password=string.punctuation)) as redis,
        brokers.worker(redis, redis, **SMALL_NETWORK),
    ):
        yield redis


def test_workers_behind_a_queue_give_the_same_list(trip, whole, queue):
    path = trip.parent / "workers.csv"
    ended = end(start(trip.parent, "trip", "--csv", str(path), BIRD_QUEUE_URL=queue.url, BIRD_RESULT_WAIT="0.01"))
    assert ended.status == 1
    assert whole[0].errors.endswith(ended.errors)  # before it TensorFlow has its say
    for row, same in zip(rows_in(path)[1:], rows_in(whole[1])[1:], strict=True):
        assert [*row[:3], row[ERROR]] == [*same[:3], same[ERROR]]
        assert not row[3] or float(row[3]) == pytest.approx(float(same[3]), abs=2e-4)


def test_ctrl_c_stops_it_at_once_with_one_sentence(trip, queue):
    path = trip.parent / "interrupted.csv"
    process = start(trip.parent, "trip", "--csv", str(path), BIRD_QUEUE_URL=queue.url)
    until_it_has_written(path, 20, process)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    ended = end(process)
    assert time.monotonic() - begun < 5
    assert (ended.status, ended.errors) == (130, "Interrupted. The same command with --resume continues.\n")
    assert len(rows_in(path)) < PHOTOS


@pytest.fixture(scope="module")
def classifier() -> PhotoClassifier:
    """The model that ships, loaded once for all runs of the command inside this process."""
    classifier, _sha256 = load_classifier(settings.from_environment())
    return classifier


@pytest.fixture
def run(classifier: PhotoClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command inside this process, with the model that ships, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "")  # Flask's command line sets it for good
    monkeypatch.setattr(identify, "load_classifier", lambda _settings: (classifier, None))
    app = Flask("identify")
    app.config.from_mapping(settings.DEFAULTS)
    app.cli.add_command(identify.command)
    return lambda *arguments: app.test_cli_runner().invoke(FlaskGroup(), ["identify", *arguments])


def test_json_is_what_the_network_says_of_the_photo(run, classifier, goldfinch):
    Path("no extension").write_bytes(goldfinch)
    Path("notes.txt").write_text("a goldfinch")
    ended = run("--json", "--top", "3", "no extension", "notes.txt", "no extension")
    photo, notes = map(json.loads, ended.stdout.splitlines())
    assert (photo["file"], photo["taken"], photo["label"]) == ("no extension", None, "American Goldfinch")
    assert photo["confidence"] == pytest.approx(
        classifier.classify(open_photo("no extension").pixels()).confidence, abs=1e-3
    )
    assert len(photo["candidates"]) == 3
    assert photo["candidates"][0].items() <= photo.items()  # label, names and confidence
    assert len(photo["model"]) == 64
    assert photo["milliseconds"] > 0
    assert notes == {"file": "notes.txt", "error": NOT_A_PICTURE}
    assert ended.exit_code == 1


def test_as_many_species_as_are_asked_for_are_on_the_line_and_in_the_list(run, goldfinch):
    Path("bird.jpg").write_bytes(goldfinch)
    ended = run("bird.jpg", "--top", "2", "--csv", "list.csv")
    header, row = rows_in(Path("list.csv"))
    assert header == csv_export.header(2)
    assert ended.exit_code == 0
    name, species = ended.stdout.strip().split(": ")
    assert name == "bird.jpg"
    assert species.startswith("a bird, but probably none of the known species")
    assert re.findall(r"(\w+ \w+) [\d.]+ %", species) == [row[2], row[4]]
    assert run("bird.jpg", "--top", "6").exit_code == 2


def test_a_terminal_shows_the_progress_and_a_full_disk_ends_the_command_with_a_sentence(trip, queue):
    terminal, its_other_end = pty.openpty()
    termios.tcsetwinsize(its_other_end, (24, 80))
    with open("/dev/full", "w") as full:
        process = start(trip.parent, "trip", stdout=full, stderr=its_other_end, BIRD_QUEUE_URL=queue.url)
    os.close(its_other_end)
    said = b""
    with contextlib.suppress(OSError):  # the command has ended
        while more := os.read(terminal, 4096):
            said += more
    os.close(terminal)
    assert process.wait(LIMIT) == 3
    assert f"/{PHOTOS + len(SECOND_DAY)} [" in said.decode()
    assert said.decode().endswith("Broken off: No space left on device.\r\n")
