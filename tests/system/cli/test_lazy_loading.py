"""``identify`` loads what it needs when it needs it, and says in one line why it cannot start."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.servers import SMALL_NETWORK

FLASK = ["-m", "flask", "--app", "application"]
BAD_SETTINGS = {
    "PORT": "http",
    "BIRD_UPLOADS": "/dev/null/uploads",
    "BIRD_MAX_PIXELS": "many",
    "BIRD_MODEL": "",
    "BIRD_QUEUE_URL": "nonsense",
    "BIRD_RATE_LIMIT": "60 photos",
}


def run(*arguments: str, python: tuple[str, ...] = (), **options: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the app in a process of its own.

    :param python: options of the interpreter.
    :param options: environment variables.
    """
    environment = servers.environment(5000, Path("/dev/null/uploads")) | options
    return subprocess.run(
        [sys.executable, *python, *FLASK, *arguments],
        cwd=servers.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """The path of a photo."""
    path = tmp_path / "bird.jpg"
    path.write_bytes(encoded(draw_goldfinch(60, 45), "JPEG"))
    return str(path)


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_help_is_shown_whatever_is_wrong_with_the_settings(name):
    ended = run("identify", "--help", **{name: BAD_SETTINGS[name]})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Name the birds in photos" in ended.stdout
    assert "--resume" in ended.stdout


def test_help_loads_no_network_and_comes_soon():
    ended = run("identify", "--help", python=("-X", "importtime"), **BAD_SETTINGS)
    assert ended.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "cli.identify" in imported
    assert not {"tensorflow", "keras", "h5py", "celery"} & imported
    begun = time.monotonic()
    run("identify", "--help", **BAD_SETTINGS)
    assert time.monotonic() - begun < 10  # seconds; TensorFlow's import alone takes that on a busy machine


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["routes"]])
def test_flasks_own_commands_start_nothing_either(arguments):
    ended = run(*arguments, **BAD_SETTINGS)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["none.jpg"], 2, "Path 'none.jpg' does not exist."),
        (["--resume", "."], 2, "--resume goes on with the file that --csv names."),
        (["cli"], 1, "There is no photo (.jpg, .jpeg, "),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_loaded(arguments, status, sentence):
    ended = run("identify", *arguments, **BAD_SETTINGS)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert sentence in ended.stderr


def test_a_missing_model_ends_it_with_one_line(photo, tmp_path):
    ended = run("identify", photo, BIRD_MODEL=str(tmp_path / "none.h5"))
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr == (
        f"identify: {tmp_path}/none.h5 is missing. Put your fine-tuned model there, or run python -m training DATA.\n"
    )


def test_a_setting_that_cannot_be_used_ends_it_with_one_line(photo):
    ended = run("identify", photo, BIRD_MAX_PIXELS="many")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr == "identify: BIRD_MAX_PIXELS must be a number of pixels, not 'many'.\n"


def test_settings_that_only_a_server_needs_make_no_difference(photo):
    ended = run("identify", photo, PORT="http", BIRD_RATE_LIMIT="60 photos", **SMALL_NETWORK)
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"{photo}: bird ")
