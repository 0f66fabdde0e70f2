"""folders.py and the command ``identify``: folders of photographs, named in a terminal."""

import contextlib
import csv
import io
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cli import identify as folders
from web import csv_export as listing
from cli.identify import find_photos
from inference import Candidate, Identification
from web.admission import BusyError, LaterError
from jobs import JobFailedError, JobLostError, UnavailableError, UnknownJobError
from jobs.store import Place
from web.csv_export import AnswerFile, ListError, as_csv

from tests.support import brokers, servers
from tests.support.brokers import Broker
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.fuzz import SMALL_NETWORK
from tests.support.photographs import DAMAGED, NOT_A_PICTURE

IDENTIFY = [sys.executable, "-m", "flask", "--app", "application", "identify"]
PHOTOS = 150  # so many that a command can be stopped amid them
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


#: What is to be found there behind the first day's photographs, in a CSV file, and what is wrong with it.
SECOND_DAY = {
    "trip/day2/caf\\udce9.jpg": "",
    "trip/day2/cut.jpg": DAMAGED,
    "trip/day2/nowhere.jpg": "The file cannot be read: No such file or directory.",
    'trip/day2/two\r\nlines, "quoted".jpg': "",
    "trip/day2/web page.png": NOT_A_PICTURE,
}


@dataclass(frozen=True)
class Ended:
    """What a command has done."""

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
        # Where tests run in the background, the shell has told them to pay no attention to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def end(process: subprocess.Popen[str]) -> Ended:
    output, errors = process.communicate(timeout=LIMIT)
    return Ended(process.returncode, output, errors)


def rows_in(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
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
    """The command that nothing disturbs, and its list."""
    path = trip.parent / "whole.csv"
    return end(start(trip.parent, "trip", "--csv", str(path))), path


def test_every_photo_is_in_the_list_once_in_order_and_hidden_ones_and_other_files_are_not(whole):
    header, *rows = rows_in(whole[1])
    assert header == listing.header()
    expected = [f"trip/day1/IMG_{number:03}.JPG" for number in range(PHOTOS)] + list(SECOND_DAY)
    assert [row[0] for row in rows] == expected
    for row in rows[:PHOTOS]:
        assert (row[1], row[-1]) == ("2026-05-03 06:01:02", "")
        assert 0 < float(row[3]) <= 1


def test_bad_photos_are_listed_at_the_end_with_the_reason_and_the_rest_is_done(whole):
    ended, path = whole
    assert ended.status == 1
    assert {row[0]: row[-1] for row in rows_in(path)[1 + PHOTOS :]} == SECOND_DAY
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


def test_a_command_that_is_killed_leaves_a_whole_list_and_resume_goes_on_to_the_same_one(trip, whole):
    path = trip.parent / "killed.csv"
    process = start(trip.parent, "trip", "--csv", str(path))
    until_it_has_written(path, 20, process)
    process.kill()
    assert end(process).status == -signal.SIGKILL
    begun = rows_in(path)
    assert begun == rows_in(whole[1])[: len(begun)]
    assert len(begun) < PHOTOS

    with open(path, "ab") as file:
        file.write(b'"trip/day1/IMG_')  # what may be left where the machine itself is switched off
    resumed = end(start(trip.parent, "trip", "--csv", str(path), "--resume", FLASK_DEBUG="1"))
    assert path.read_bytes() == whole[1].read_bytes()
    assert resumed.status == 1
    assert len(resumed.output.splitlines()) == PHOTOS + len(SECOND_DAY) - len(begun) + 1


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis, and a worker with the small network."""
    with (
        brokers.started(brokers.redis(tmp_path_factory.mktemp("redis"))) as redis,
        brokers.worker(redis, redis, **SMALL_NETWORK),
    ):
        yield redis


def test_workers_behind_a_queue_give_the_same_list(trip, whole, queue):
    path = trip.parent / "workers.csv"
    ended = end(start(trip.parent, "trip", "--csv", str(path), BIRD_QUEUE_URL=queue.url, BIRD_RESULT_WAIT="0.01"))
    assert ended.status == 1
    assert whole[0].errors.endswith(ended.errors)  # before it TensorFlow has its say
    for row, same in zip(rows_in(path)[1:], rows_in(whole[1])[1:], strict=True):
        assert [*row[:3], row[-1]] == [*same[:3], same[-1]]
        assert not row[3] or float(row[3]) == pytest.approx(float(same[3]), abs=2e-4)


def test_ctrl_c_stops_it_at_once_with_one_sentence(trip, queue):
    path = trip.parent / "interrupted.csv"
    process = start(trip.parent, "trip", "--csv", str(path), BIRD_QUEUE_URL=queue.url)
    until_it_has_written(path, 20, process)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    ended = end(process)
    assert time.monotonic() - begun < 5
    assert (ended.status, ended.errors) == (130, "Interrupted. The same command with --resume goes on.\n")
    assert len(rows_in(path)) < PHOTOS


class Workers:
    """What asks workers, where each of the accidents that they can have happens to one photo after the other."""

    def __init__(self, *accidents: Exception | Place) -> None:
        self.accidents = list(accidents)
        self.forgotten: list[str] = []

    def classify(self, _pixels: np.ndarray) -> Identification:
        return self._next()

    def look_up(self, job: str) -> tuple[bytes, Identification | Place]:
        assert job == "job"
        return b"", self._next()

    def forget(self, job: str) -> None:
        self.forgotten.append(job)

    def _next(self) -> Identification | Place:
        accident = self.accidents.pop(0) if self.accidents else Identification("bird", 1.0, (Candidate("bird", 1.0),))
        if isinstance(accident, Exception):
            raise accident
        return accident


@pytest.fixture
def ask(trip, monkeypatch, capsys):
    """Have some workers look at one photo: the exit code, and what is said."""
    for interval in ("LOOK_INTERVAL", "RETRY_INTERVAL"):
        monkeypatch.setattr(folders, interval, 0.01)
    monkeypatch.setattr(folders, "PATIENCE", 0.2)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), write_through=True))

    def ask(workers: Workers) -> tuple[int, str]:
        photo = [trip / "day1" / "IMG_000.JPG"]
        options = {"max_pixels": 10_000, "jobs": 1, "top": None, "csv_file": None, "as_json": False, "resume": False}
        status = folders.identify(photo, workers, is_remote=True, **options)
        return status, sys.stdout.buffer.getvalue().decode() + capsys.readouterr().err

    return ask


def test_an_answer_that_takes_its_time_is_waited_for_and_those_who_are_busy_are_asked_again(ask):
    busy, gone = BusyError(1, 0.001), UnavailableError("no worker is there")
    busy.retry_after = 0.01
    workers = Workers(gone, busy, LaterError("job"), Place(1, 3), gone, Place(None, 1))
    status, said = ask(workers)
    assert (status, said.endswith("IMG_000.JPG: bird 100.0 %\n")) == (0, True)
    assert workers.forgotten == ["job"]


@pytest.mark.parametrize("accidents", [[JobFailedError()], [JobLostError()], [LaterError("job"), UnknownJobError()]])
def test_a_photo_that_workers_give_up_on_is_a_bad_one(ask, accidents):
    status, said = ask(Workers(*accidents))
    assert (status, said.count("The photo could not be") or said.count("The answer to this photo did not")) == (1, 2)


def test_workers_who_are_not_there_for_long_end_the_command_with_a_sentence(ask):
    status, said = ask(Workers(*[UnavailableError("no worker is there")] * 1000))
    assert (status, said) == (3, "Broken off: no worker is there.\n")


@pytest.fixture
def run(client, tmp_path, monkeypatch) -> Callable[..., Result]:
    """Runs the command with the model that ships, inside this process, in a folder of its own."""
    from application import application

    monkeypatch.chdir(tmp_path)
    runner: CliRunner = application.test_cli_runner()
    return lambda *arguments: runner.invoke(args=["identify", *arguments])


def test_a_file_that_is_named_is_tried_whatever_its_name_and_json_says_all_of_it(run, goldfinch):
    Path("no extension").write_bytes(goldfinch)
    Path("notes.txt").write_text("a goldfinch")
    ended = run("--json", "--top", "3", "no extension", "notes.txt", "no extension")
    photo, notes = map(json.loads, ended.stdout.splitlines())
    assert (photo["file"], photo["taken"], photo["label"]) == ("no extension", None, "American Goldfinch")
    assert len(photo["candidates"]) == 3
    assert photo["candidates"][0] == {"label": photo["label"], "confidence": photo["confidence"]}
    assert len(photo["model"]) == 64
    assert photo["milliseconds"] > 0
    assert notes == {"file": "notes.txt", "error": NOT_A_PICTURE}
    assert ended.exit_code == 1


def test_as_many_species_as_are_wanted_are_on_the_line_and_in_the_list(run, goldfinch):
    Path("bird.jpg").write_bytes(goldfinch)
    ended = run("bird.jpg", "--top", "2", "--csv", "list.csv")
    header, row = rows_in(Path("list.csv"))
    assert header == listing.header(2)
    assert ended.exit_code == 0
    name, species = ended.stdout.strip().split(": ")
    assert name == "bird.jpg"
    assert [each.rpartition(" %")[0].rpartition(" ")[0] for each in species.split(", ")] == [row[2], row[4]]
    assert run("bird.jpg", "--top", "6").exit_code == 2


def test_a_list_that_is_there_is_not_written_over(run, goldfinch):
    Path("bird.jpg").write_bytes(goldfinch)
    assert run("bird.jpg", "--csv", "list.csv").exit_code == 0
    before = Path("list.csv").read_bytes()
    for options, sentence in (
        ([], "list.csv is there already. Add --resume to go on with it, or name another."),
        (["--resume", "--top", "2"], "list.csv is not a list with --top 2 that this command has begun."),
    ):
        ended = run("bird.jpg", "--csv", "list.csv", *options)
        assert ended.exit_code == 2
        assert sentence in ended.stderr
    assert Path("list.csv").read_bytes() == before
    ended = run("bird.jpg", "--csv", "list.csv", "--resume")
    assert (ended.exit_code, ended.stdout) == (0, "")


def test_bad_photos_of_earlier_runs_count(run):
    Path("notes.txt").write_text("a goldfinch")
    for _ in range(2):
        ended = run("notes.txt", "--csv", "list.csv", "--resume")
        assert ended.exit_code == 1
        assert f"  notes.txt: {NOT_A_PICTURE}" in ended.stderr
    assert len(rows_in(Path("list.csv"))) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["none"], 2, "Path 'none' does not exist."),
        (["."], 1, "There is no photo"),
        ([".", "--resume"], 2, "--resume goes on with the file that --csv names."),
        ([".", "--json", "--csv", "list.csv"], 2, "Choose one of --csv and --json."),
        ([".", "--csv", "none/list.csv"], 2, "none/list.csv cannot be written: No such file or directory."),
    ],
)
def test_what_cannot_be_done_is_said_at_once(run, arguments, status, sentence):
    if "none/list.csv" in arguments:
        Path("bird.jpg").touch()
    ended = run(*arguments)
    assert (ended.exit_code, ended.stdout) == (status, "")
    assert sentence in ended.stderr


def test_a_folder_that_cannot_be_opened_is_a_bad_one(tmp_path, monkeypatch):
    # root may open every folder: the refusal stands in for the rights that others lack.
    def refuse(path: Path) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    files, (closed,) = find_photos([tmp_path])
    assert (files, closed.error) == ([], "The folder cannot be opened: Permission denied.")


ROWS = [
    ["plain.jpg", *listing.answered(Identification("bird", 1.0, (Candidate("bird", 1.0),)), None, 1)],
    ['two\r\nlines, "quoted".jpg', *listing.failed("Damaged, they say.", 1)],
    ["last.jpg", *listing.failed("Damaged.", 1)],
]


def test_a_list_that_was_cut_anywhere_is_gone_on_with_to_the_same_one(tmp_path):
    content = as_csv([listing.header(1), *ROWS]).encode()
    path = tmp_path / "list.csv"
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        with AnswerFile(path, 1, resume=True) as answers:
            for row in ROWS:
                if row[0] not in answers.names:
                    answers.add(row)
        assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"a letter", b"a letter\n", b"\xff\xfe\0\n", b"file\n"])
def test_another_file_is_left_as_it_is(tmp_path, content):
    path = tmp_path / "letter"
    path.write_bytes(content)
    with pytest.raises(ListError):
        AnswerFile(path, 1, resume=True)
    assert path.read_bytes() == content


def test_a_disk_that_is_full_leaves_a_whole_list(tmp_path):
    path = tmp_path / "list.csv"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with AnswerFile(path, 1, resume=False) as answers:
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, hard))
        try:
            with pytest.raises(OSError, match="No space left on device"):
                answers.add(ROWS[0])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before


def test_a_terminal_shows_how_long_it_will_take_and_a_full_disk_gets_a_sentence(trip, queue):
    terminal, its_other_end = pty.openpty()
    termios.tcsetwinsize(its_other_end, (24, 80))
    with open("/dev/full", "w") as full:
        process = start(trip.parent, "trip", stdout=full, stderr=its_other_end, BIRD_QUEUE_URL=queue.url)
    os.close(its_other_end)
    said = b""
    with contextlib.suppress(OSError):  # nobody is at the other end any more
        while more := os.read(terminal, 4096):
            said += more
    os.close(terminal)
    assert process.wait(LIMIT) == 3
    assert f"/{PHOTOS + len(SECOND_DAY)} [" in said.decode()
    assert said.decode().endswith("Broken off: No space left on device.\r\n")
