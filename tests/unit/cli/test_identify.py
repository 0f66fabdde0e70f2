"""``identify`` in this process, with a classifier that answers by a rule: its options, its output, its exit codes."""

import codecs
import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from flask.cli import FlaskGroup

import settings
from cli import identify, reader_pool
from jobs.errors import UnavailableError
from jobs.pending import PendingJob, Position
from lists import csv_export
from tests.support.photographs import NOT_A_PICTURE
from tests.unit.cli import classifiers
from tests.unit.cli.classifiers import BatchClassifier, Workers

Run = Callable[..., Result]


def invoke(app: Flask, *arguments: str) -> Result:
    """Run ``flask identify`` with an application."""
    return app.test_cli_runner().invoke(FlaskGroup(), ["identify", *arguments])


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application with the command and the default settings, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "")  # Flask's command line sets it for good
    app = Flask("identify")
    app.config.from_mapping(settings.DEFAULTS)
    app.cli.add_command(identify.command)
    return app


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command."""

    def run(*arguments: str, classifier: BatchClassifier | None = None) -> Result:
        found = classifier or BatchClassifier()
        monkeypatch.setattr(identify, "load_classifier", lambda _settings: (found, None))
        return invoke(app, *arguments)

    return run


@pytest.fixture
def run_unloadable(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command where it must not come as far as loading anything."""

    def load_classifier(_settings: settings.Settings) -> None:
        raise AssertionError("a classifier is loaded")

    monkeypatch.setattr(identify, "load_classifier", load_classifier)
    return lambda *arguments: invoke(app, *arguments)


def rows_in(path: str) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def test_there_is_a_line_for_each_photo_and_no_bar_where_nobody_looks(run, photos):
    photos({"b.png": "blue", "a.png": "red"})
    ended = run("b.png", "a.png", "b.png")
    assert ended.stdout == "b.png: blue 100.0 %\na.png: red 100.0 %\n"
    assert (ended.exit_code, ended.stderr) == (0, "")


def test_a_line_has_the_name_of_a_species_whose_label_was_written_for_programs(run, photos, monkeypatch):
    labels = ("001.Red_Bird", "002.Green_Bird", "003.Blue_Bird")
    monkeypatch.setattr(classifiers, "COLORS", labels)
    monkeypatch.setattr(BatchClassifier, "labels", labels)
    photos({"a.png": "red"})
    assert run("a.png").stdout == "a.png: Red Bird 100.0 %\n"
    assert json.loads(run("a.png", "--json").stdout)["label"] == "001.Red_Bird"


def test_species_are_named_in_the_language_that_is_asked_for(run, photos, monkeypatch):
    labels = ("017.Northern_Cardinal", "AMERICAN GOLDFINCH", "073.Blue_Jay")
    monkeypatch.setattr(classifiers, "COLORS", labels)
    monkeypatch.setattr(BatchClassifier, "labels", labels)
    photos({"a.png": "red"})
    assert run("a.png", "--language", "de").stdout == "a.png: Rotkardinal 100.0 %\n"
    answer = json.loads(run("a.png", "--json", "--language", "fr").stdout)
    assert (answer["label"], answer["scientific"]) == (labels[0], "Cardinalis cardinalis")
    assert answer["names"] == {"fr": "Cardinal rouge"}
    run("a.png", "--csv", "list.csv", "--language", "de")
    assert rows_in("list.csv")[1][-2:] == ["Cardinalis cardinalis", "Rotkardinal"]
    assert run("a.png", "--language", "xx").exit_code == 2


def test_as_many_species_as_are_wanted_are_on_the_line_and_in_the_list(run, photos):
    photos({"bird.png": "#ff8000"})
    ended = run("bird.png", "--top", "2", "--csv", "list.csv")
    assert ended.exit_code == 0
    assert ended.stdout == "bird.png: red 66.6 %, green 33.4 %\n"
    assert rows_in("list.csv") == [
        csv_export.header(2),
        ["bird.png", "", "red", "0.6658", "green", "0.3342", *[""] * 5, "red"],
    ]
    assert run("bird.png", "--top", "6").exit_code == 2
    assert run("bird.png", "--top", "0").exit_code == 2


def test_json_says_all_of_it_in_a_line_for_each_photo(run, photos):
    photos({"no extension": "green", "notes.txt": b"a goldfinch"})
    ended = run("--json", "--top", "2", "no extension", "notes.txt")
    photo, notes = map(json.loads, ended.stdout.splitlines())
    assert (photo["file"], photo["taken"], photo["label"]) == ("no extension", None, "green")
    assert photo["candidates"][0] == {
        "label": photo["label"],
        "confidence": photo["confidence"],
        "scientific": None,
        "names": {"en": "green"},
    }
    assert (len(photo["candidates"]), photo["model"], photo["milliseconds"]) == (2, "0" * 64, 10)
    assert notes == {"file": "notes.txt", "error": NOT_A_PICTURE}
    assert ended.exit_code == 1


def test_photos_that_fail_are_repeated_at_the_end_with_the_reason(run, photos):
    photos({"a.png": b"", "b.png": "red", "c.png": b"x"})
    ended = run(".")
    assert ended.stdout.splitlines()[1] == "b.png: red 100.0 %"
    assert ended.stderr == f"Not identified: 2\n  a.png: {NOT_A_PICTURE}\n  c.png: {NOT_A_PICTURE}\n"
    assert ended.exit_code == 1


def test_the_setting_is_named_if_a_photo_has_too_many_pixels(run, app, photos):
    photos({"a.png": "red"})
    app.config["MAX_PIXELS"] = 256
    assert run("a.png").stderr.splitlines()[-1] == "BIRD_MAX_PIXELS=256 is how many pixels a photo may have."


def test_a_list_that_is_there_is_not_written_over(run, photos):
    photos({"bird.png": "red"})
    assert run("bird.png", "--csv", "list.csv").exit_code == 0
    before = Path("list.csv").read_bytes()
    for options, sentence in (
        ([], "list.csv is there already. Add --resume to go on with it, or name another."),
        (["--resume", "--top", "2"], "list.csv is not a list with --top 2 that this command has begun."),
    ):
        ended = run("bird.png", "--csv", "list.csv", *options)
        assert ended.exit_code == 2
        assert sentence in ended.stderr
    assert Path("list.csv").read_bytes() == before
    ended = run("bird.png", "--csv", "list.csv", "--resume")
    assert (ended.exit_code, ended.stdout) == (0, "")


def test_photos_that_failed_in_earlier_runs_count(run, photos):
    photos({"notes.txt": b"a goldfinch"})
    for _ in range(2):
        ended = run("notes.txt", "--csv", "list.csv", "--resume")
        assert ended.exit_code == 1
        assert f"  notes.txt: {NOT_A_PICTURE}" in ended.stderr
    assert len(rows_in("list.csv")) == 2


def test_a_queue_that_does_not_answer_for_long_ends_the_command_with_a_sentence(run, photos, monkeypatch):
    monkeypatch.setattr(reader_pool, "UNAVAILABLE_PATIENCE", 0.05)
    monkeypatch.setattr(reader_pool, "RETRY_INTERVAL", 0.01)
    photos({"bird.png": "red"})
    gone = [UnavailableError("no worker is there")] * 1000
    ended = run("bird.png", classifier=Workers(*gone))
    assert (ended.exit_code, ended.stdout, ended.stderr) == (3, "", "Broken off: no worker is there.\n")
    ended = run("bird.png", "--csv", "list.csv", classifier=Workers(*gone))
    assert ended.stderr == "Broken off: no worker is there. The same command with --resume continues.\n"
    assert run("bird.png", "--csv", "list.csv", "--resume").exit_code == 0


def test_ctrl_c_ends_the_command_with_a_sentence_and_what_is_done_is_in_the_list(run, photos):
    class InterruptedWorkers(Workers):
        def look_up(self, job_id: str) -> tuple[bytes, Position]:
            raise KeyboardInterrupt

    photos({"a.png": "red", "b.png": "red"})
    assert run("a.png", "--csv", "list.csv").exit_code == 0
    ended = run(".", "--csv", "list.csv", "--resume", classifier=InterruptedWorkers(PendingJob("job")))
    assert ended.exit_code == 130
    assert ended.stderr == "Interrupted. The same command with --resume continues.\n"
    assert [row[0] for row in rows_in("list.csv")] == ["file", "a.png"]


# What is not looked at


@pytest.mark.parametrize(
    ("contents", "status"),
    [
        ({"a.png": "red"}, 0),
        ({"a.png": "red", "notes.txt": b"a goldfinch"}, 0),
        ({"a.png": "red", "notes.txt": b"a goldfinch", "b.nef": b"II*\0"}, 5),
        ({"a.png": b"", "b.nef": b"II*\0"}, 1),
        ({"b.nef": b"II*\0"}, 1),
    ],
    ids=["nothing", "notes", "pictures", "pictures and a failure", "pictures and no photo"],
)
def test_the_exit_code_tells_of_pictures_that_were_not_looked_at_and_resume_does_not_change_it(
    run, photos, contents, status
):
    photos(contents)
    for options in ([], ["--json"], ["--csv", "list.csv"], ["--csv", "list.csv", "--resume"]):
        ended = run(".", *options)
        assert ended.exit_code == status
        assert (".nef" in ended.stderr) == ("b.nef" in contents)
        assert (".txt" in ended.stderr) == ("notes.txt" in contents)
        assert ".csv" not in ended.stderr


def test_the_list_begins_with_one_byte_order_mark_and_nothing_in_it_is_a_formula(run, photos):
    photos({"=1+1.png": "red", "白鷺.png": "red"})
    assert run("=1+1.png", "--csv", "list.csv").exit_code == 0
    assert run(".", "--csv", "list.csv", "--resume").stdout == "白鷺.png: red 100.0 %\n"
    assert Path("list.csv").read_bytes().count(codecs.BOM_UTF8) == 1
    assert Path("list.csv").read_bytes().startswith(codecs.BOM_UTF8)
    assert [row[0] for row in rows_in("list.csv")] == ["file", "'=1+1.png", "白鷺.png"]


# What is refused


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["none"], 2, "Path 'none' does not exist."),
        (["bird.png", "none"], 2, "Path 'none' does not exist."),
        (["empty"], 1, "There is no photo (.jpg, .jpeg, "),
        ([".", "--resume"], 2, "--resume goes on with the file that --csv names."),
        ([".", "--json", "--csv", "list.csv"], 2, "Choose one of --csv and --json."),
        ([".", "--csv", "empty"], 2, "File 'empty' is a directory."),
        ([".", "--csv", "none/list.csv"], 2, "none/list.csv cannot be written: No such file or directory."),
        ([".", "--csv", "notes.txt"], 2, "notes.txt is there already."),
        ([".", "--jobs", "0"], 2, "0 is not in the range 1<=x<=64."),
        ([], 2, "Missing argument 'PATHS...'."),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_loaded(run_unloadable, photos, arguments, status, sentence):
    photos({"bird.png": "red", "notes.txt": b"a goldfinch"})
    Path("empty").mkdir()
    ended = run_unloadable(*arguments)
    assert (ended.exit_code, ended.stdout) == (status, "")
    assert sentence in ended.stderr


def test_help_and_a_path_that_does_not_exist_need_no_good_settings(run_unloadable, app):
    app.config["MAX_PIXELS"] = "many"
    assert run_unloadable("--help").exit_code == 0
    assert "Path 'none' does not exist." in run_unloadable("none").stderr


def test_a_setting_that_cannot_be_used_ends_the_command_with_one_line(run_unloadable, app, photos):
    photos({"bird.png": "red"})
    app.config["MAX_PIXELS"] = "many"
    ended = run_unloadable("bird.png")
    assert (ended.exit_code, ended.stdout) == (settings.CANNOT_START, "")
    assert ended.stderr == "identify: BIRD_MAX_PIXELS must be a number of pixels, not 'many'.\n"


def test_a_model_pair_that_cannot_be_used_ends_the_command_with_one_line(app, photos):
    photos({"bird.png": "red"})
    app.config["MODEL"] = "none.h5"
    ended = invoke(app, "bird.png", "--csv", "list.csv")
    assert (ended.exit_code, ended.stdout) == (settings.CANNOT_START, "")
    assert ended.stderr.startswith("identify: none.h5 is missing.")
    assert ended.stderr.count("\n") == 1
    assert not Path("list.csv").exists()  # or the same command would be refused the next time
