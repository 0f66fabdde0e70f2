"""benchmarks/: every module can be imported, and the smallest ones run; with a small network, to be fast."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import parts
from benchmarks.compared import WITHOUT_CLOSER_LOOK, is_found_by_a_closer_look, milliseconds
from benchmarks.load import put_load_on
from benchmarks.memory import memory_at
from benchmarks.photos import phone_jpeg
from tests.support import servers

IMPORTS = (
    "import importlib, pkgutil, benchmarks\nfor module in pkgutil.iter_modules(benchmarks.__path__, 'benchmarks.'):"
)
TENSORFLOW = {"BIRD_ENGINE": "tensorflow"}


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the processes that a benchmark starts."""
    for name, value in (servers.SMALL_NETWORK | TENSORFLOW).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BIRD_UPLOADS", str(tmp_path / "uploads"))
    monkeypatch.setenv("PLAIN_URL", "redis://127.0.0.1:9/0")  # where nothing listens


def run(*arguments: str) -> str:
    """What Python prints."""
    ended = subprocess.run([sys.executable, *arguments], cwd=servers.ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_module_can_be_imported(monkeypatch):
    monkeypatch.setenv("BIRD_QUEUE_URL", "redis://127.0.0.1:9/0")  # likewise
    run("-c", f"{IMPORTS} importlib.import_module(module.name)")


def test_every_part_of_an_answer_runs(tmp_path, goldfinch):
    photo = tmp_path / "goldfinch.jpg"
    photo.write_bytes(goldfinch)
    parts_of_it = [("unfolded",), ("folded",), ("network",), ("classify",), ("decode", str(photo))]
    assert {"predict", *(name for name, *_arguments in parts_of_it)} == set(parts.PARTS)
    with servers.together(*(parts.running(*each) for each in parts_of_it)) as times:
        for each in times:
            assert len(each(3)) == 3


def test_plain_keras_is_measured_with_the_model_that_ships(monkeypatch):
    for name in servers.SMALL_NETWORK:  # Keras alone cannot load that one
        monkeypatch.delenv(name)
    with parts.running("predict") as times:
        assert len(times(3)) == 3
    assert float(run("-m", "benchmarks.parts", "start")) > 0


def test_a_part_that_fails_says_why(monkeypatch):
    monkeypatch.setenv("BIRD_MODEL", "nowhere.h5")
    with pytest.raises(RuntimeError, match="nowhere"), parts.running("classify"):
        pass


def test_engines_and_precisions_are_compared_on_labelled_photos(tmp_path, goldfinch):
    (tmp_path / "American Goldfinch").mkdir()
    (tmp_path / "American Goldfinch" / "1.jpg").write_bytes(goldfinch)
    found = json.loads(run("-m", "benchmarks.precision", str(tmp_path)))
    assert found["photos"] == 1
    assert found["engines"]["TensorFlow, float32"]["labels changed"] == 0


def test_a_server_is_measured(tmp_path, goldfinch):
    with servers.running(servers.GUNICORN, tmp_path / "uploads", **servers.SMALL_NETWORK) as address:
        idle = memory_at(address)
        assert 0 < idle.proportional <= idle.resident
        large = phone_jpeg()
        assert milliseconds(address, large, WITHOUT_CLOSER_LOOK) > 0
        assert not is_found_by_a_closer_look(address, goldfinch)
        with ThreadPoolExecutor(1) as thread:  # Playwright's event loop is in this one, if browser tests have run
            assert thread.submit(put_load_on, address, goldfinch, 2, seconds=0.5).result().rate > 0
