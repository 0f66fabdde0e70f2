"""inference/sandbox.py: the process in which uploads are read, and what becomes of it."""

import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from inference.photo import DamagedError, PhotoError, TooCostlyError, open_photo
from inference.sandbox import Sandbox

from .drawings import encoded
from .photographs import progressive_bomb
from .servers import ROOT


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox that has been started."""
    sandbox = Sandbox()
    sandbox.start()
    yield sandbox
    sandbox.process.kill()
    sandbox.process.communicate()


def test_it_gives_what_open_photo_gives(sandbox, goldfinch):
    reading = sandbox.read(io.BytesIO(goldfinch))
    photo = open_photo(io.BytesIO(goldfinch))
    np.testing.assert_array_equal(reading.pixels, photo.pixels())
    assert reading.thumbnail == photo.thumbnail()
    assert reading.taken is None
    assert reading.seconds["decode"] > 0
    assert reading.seconds["thumbnail"] > 0


def test_it_gives_the_time_at_which_a_photo_was_taken(sandbox):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:03 06:01:02"
    photo = encoded(Image.new("RGB", (60, 40)), "JPEG", exif=exif)
    assert sandbox.read(io.BytesIO(photo)).taken == datetime(2026, 5, 3, 6, 1, 2)


def test_a_file_of_this_machine_is_read_by_its_path_and_needs_no_thumbnail(sandbox, goldfinch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bird.jpg").write_bytes(goldfinch)
    reading = sandbox.read_path("bird.jpg")
    np.testing.assert_array_equal(reading.pixels, open_photo("bird.jpg").pixels())
    assert reading.thumbnail == b""


def test_a_path_that_cannot_be_read_gets_a_sentence_and_the_next_one_is_read(sandbox, goldfinch, tmp_path):
    for path in (tmp_path, tmp_path / "none.jpg"):
        with pytest.raises(PhotoError, match=r"^The file cannot be read: .+\.$"):
            sandbox.read_path(path)
    sandbox.read(io.BytesIO(goldfinch))


def test_a_process_that_is_stopped_lets_go_of_what_it_reads(sandbox):
    threading.Timer(0.5, sandbox.stop).start()
    with pytest.raises(PhotoError):
        sandbox.read(io.BytesIO(progressive_bomb(5000)))


def test_a_file_is_read_from_its_start(sandbox, goldfinch):
    file = io.BytesIO(goldfinch)
    file.seek(1000)
    sandbox.read(file)


def test_photographs_that_come_at_once_are_read_one_after_the_other(sandbox, goldfinch):
    read = []
    threads = [threading.Thread(target=lambda: read.append(sandbox.read(io.BytesIO(goldfinch)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({reading.thumbnail for reading in read}) == 1
    assert len(read) == 8


def test_a_file_that_would_take_minutes_is_given_up(sandbox, goldfinch):
    sandbox.read(io.BytesIO(goldfinch))
    reader = sandbox.process
    with pytest.raises(TooCostlyError):
        sandbox.read(io.BytesIO(progressive_bomb(5000)))
    assert reader.returncode == -signal.SIGPROF
    sandbox.read(io.BytesIO(goldfinch))


def test_a_crash_in_a_decoder_is_a_damaged_file_and_the_next_one_is_read(sandbox, goldfinch):
    sandbox.read(io.BytesIO(goldfinch))
    # No file is known that crashes today's decoders: the signal that a crash would raise stands in for it.
    threading.Timer(0.5, sandbox.process.send_signal, [signal.SIGSEGV]).start()
    with pytest.raises(DamagedError):
        sandbox.read(io.BytesIO(progressive_bomb(5000)))
    sandbox.read(io.BytesIO(goldfinch))


def test_an_accident_amid_the_sending_of_a_file_does_not_give_the_next_one_its_answer(sandbox, goldfinch):
    class BrokenDisk(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell() > len(goldfinch) // 2:
                raise OSError("disk failure")
            return super().read(min(size, len(goldfinch) // 4))

    expected = sandbox.read(io.BytesIO(goldfinch)).thumbnail
    with pytest.raises(OSError, match="disk failure"):
        sandbox.read(BrokenDisk(goldfinch))
    assert sandbox.read(io.BytesIO(goldfinch)).thumbnail == expected


def test_a_process_that_was_killed_between_two_photographs_is_replaced(sandbox, goldfinch):
    sandbox.read(io.BytesIO(goldfinch))
    reader = sandbox.process
    reader.kill()
    reader.wait()
    sandbox.read(io.BytesIO(goldfinch))
    assert sandbox.process is not reader


def test_it_goes_on_after_sigterm_for_the_app_may_have_photographs_to_answer_yet(sandbox, goldfinch):
    sandbox.read(io.BytesIO(goldfinch))
    reader = sandbox.process
    reader.terminate()
    sandbox.read(io.BytesIO(goldfinch))
    assert sandbox.process is reader


def test_it_ends_when_the_app_is_killed():
    app = subprocess.Popen(
        [sys.executable, "-c", "from inference.sandbox import Sandbox; Sandbox().start(); input()"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
    )
    deadline = time.monotonic() + 20
    while not (readers := psutil.Process(app.pid).children()):
        assert time.monotonic() < deadline
    app.kill()
    app.communicate()
    _gone, alive = psutil.wait_procs(readers, timeout=20)
    assert alive == []


def test_a_process_that_stands_still_is_killed_and_the_next_photo_is_read(sandbox, goldfinch, monkeypatch):
    sandbox.read(io.BytesIO(goldfinch))
    monkeypatch.setattr("inference.sandbox.PATIENCE", 0.5)
    sandbox.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(TooCostlyError):
        sandbox.read(io.BytesIO(goldfinch))
    assert time.monotonic() - begun < 10
    monkeypatch.undo()
    sandbox.read(io.BytesIO(goldfinch))
