"""Photographs from strangers are read in a process of its own, which may take so much memory and time and no more.

A decoder that crashes, loops or explodes takes that process with it, and not the app. One photograph is
read at a time, so the limits hold for the app as a whole. ``python -m inference.sandbox`` is that process.
"""

import contextlib
import io
import json
import math
import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from . import IMAGE_SIZE, MAX_PIXELS
from .photo import DamagedError, PhotoError, TooCostlyError, open_photo

MEMORY_LIMIT = 370 * 2**20  # bytes that reading one photograph may take
PROCESSOR_LIMIT = 2.5  # seconds of processor time for it
PATIENCE = 20  # seconds on the clock, for a machine that is busy with other things
WATCH_INTERVAL = 1  # seconds between two looks at that clock

RETIREMENT = 64 * 2**20  # bytes that it may have gained, from photographs that are gone, before another one starts

_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # each of its threads would take memory
    # glibc would give the memory of every large array back, only to have the kernel clear it for the next photograph:
    # a fifth of the processor time of a 12-megapixel JPEG. What is kept must be less than RETIREMENT.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # bytes; its own upper limit (mallopt(3))
    "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20),
}
_RETIRED = 0  # exit code
_QUESTION = struct.Struct(">?Q")  # whether what follows is a path, not a file; how many bytes it has
_PIXELS = (IMAGE_SIZE, IMAGE_SIZE, 3)
# Killed for want of patience or memory, or out of processor time; Windows has no such signals.
_TOO_COSTLY = [-getattr(signal, name) for name in ("SIGKILL", "SIGPROF") if hasattr(signal, name)]


@dataclass(frozen=True)
class Reading:
    """What was read of a photograph.

    :param pixels: ``uint8[224, 224, 3]``, RGB.
    :param thumbnail: a JPEG; nothing if none was asked for.
    :param taken: when, if the file says so.
    :param seconds: what it took to ``decode`` it into those pixels, and to make the ``thumbnail``.
    """

    pixels: np.ndarray
    thumbnail: bytes
    taken: datetime | None
    seconds: dict[str, float]


class Sandbox:
    """The process that reads photographs. It starts when it is first needed, and again when one has ended it.

    :param max_pixels: a picture with more pixels is refused.
    :ivar process: it, once it has been started.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        self.process: subprocess.Popen | None = None
        self._one_at_a_time = threading.Lock()
        self._deadline = math.inf  # for what is being read
        # One thread for all photographs: starting a timer for each takes half as long as reading a small one.
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start the process, unless it runs. It reads from a moment later on; this does not wait for it."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __spec__.name, str(self.max_pixels)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parent.parent,
                env=os.environ | _ENVIRONMENT,
                start_new_session=True,  # Ctrl-C in the terminal is for the app
            )
        if not self._watchdog.is_alive():
            self._watchdog.start()

    def read(self, file: BinaryIO) -> Reading:
        """What ``open_photo`` makes of a file.

        :param file: is read from its start.
        :raises PhotoError: the file cannot be used as a photograph.
        """
        return self._answer_to(file, is_path=False)

    def read_path(self, path: str | Path) -> Reading:
        """The same of a file of this machine, without a thumbnail. The process opens it: nothing is copied to it.

        :raises PhotoError: the file cannot be used as a photograph, or not be read at all.
        """
        return self._answer_to(io.BytesIO(os.fsencode(os.path.abspath(path))), is_path=True)

    def stop(self) -> None:
        """End the process, whatever it is at. What is read meanwhile ends with a ``PhotoError``."""
        if self.process is not None:
            self.process.kill()

    def _answer_to(self, question: BinaryIO, *, is_path: bool) -> Reading:
        with self._one_at_a_time:
            self.start()
            self._deadline = time.monotonic() + PATIENCE
            try:
                while (reply := self._ask(question, is_path)) is None:
                    self._bury()
            except PhotoError:
                raise
            except BaseException:
                # Half a question may have been asked, and the answer to it must not become that to the next one.
                self.process.kill()
                self.process.wait()
                raise
            finally:
                self._deadline = math.inf
        return reply

    def _watch(self) -> None:
        """Kill the process when it has had what it reads for too long, whatever keeps it."""
        while True:
            time.sleep(WATCH_INTERVAL)
            if time.monotonic() > self._deadline:
                self.process.kill()

    def _ask(self, question: BinaryIO, is_path: bool) -> Reading | None:
        """The answer of the process; nothing if it ended.

        :raises PhotoError: the file cannot be used as a photograph.
        """
        size = question.seek(0, io.SEEK_END)
        question.seek(0)
        questions, answers = self.process.stdin, self.process.stdout
        try:
            questions.write(_QUESTION.pack(is_path, size))
            shutil.copyfileobj(question, questions)
            questions.flush()
        except BrokenPipeError:
            return None
        head = answers.readline()
        if not head.endswith(b"\n"):
            return None
        reply = json.loads(head)
        if "refused" in reply:
            raise PhotoError(reply["refused"])
        pixels, thumbnail = (answers.read(size) for size in reply["sizes"])
        taken = datetime.fromisoformat(reply["taken"]) if reply["taken"] else None
        return Reading(np.frombuffer(pixels, "uint8").reshape(_PIXELS), thumbnail, taken, reply["seconds"])

    def _bury(self) -> None:
        """Start another process in the place of one that ended.

        :raises PhotoError: the photograph ended it.
        :raises RuntimeError: it failed by itself.
        """
        status = self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # what it did not read any more
            self.process.stdin.close()
        self.start()
        if status == _RETIRED:
            return
        if status in _TOO_COSTLY:
            raise TooCostlyError
        if status < 0:  # a crash inside a decoder
            raise DamagedError
        raise RuntimeError(f"the process that reads photographs ended with exit code {status}")


def main() -> None:
    """Read photographs from standard input until it closes; answer each on standard output."""
    max_pixels = int(sys.argv[1])
    # The app may have photographs to answer yet; when it has not, it closes the input.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # Pillow's, on damaged metadata
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder may print is not an answer
    at_start = _memory()
    _limit_memory(at_start + MEMORY_LIMIT)
    while _memory() < at_start + RETIREMENT and (question := sys.stdin.buffer.read(_QUESTION.size)):
        is_path, size = _QUESTION.unpack(question)
        with _limited_processor_time():
            reply = _answer(sys.stdin.buffer.read(size), is_path, max_pixels)
        answers.write(reply)
        answers.flush()


def _answer(question: bytes, is_path: bool, max_pixels: int) -> bytes:
    """One line of JSON; behind it, if the photograph could be read, its pixels and its thumbnail.

    :param question: a file, or the path of one; there is no thumbnail then.
    """
    begun = time.perf_counter()
    try:
        photo = open_photo(Path(os.fsdecode(question)) if is_path else io.BytesIO(question), max_pixels)
        pixels = photo.pixels().tobytes()
        decoded = time.perf_counter()
        thumbnail = b"" if is_path else photo.thumbnail()
    except MemoryError:
        return _refusal(TooCostlyError())
    except PhotoError as error:
        return _refusal(error)
    except OSError as error:  # the file cannot be opened
        return _refusal(PhotoError(f"The file cannot be read: {error.strerror}."))
    seconds = {"decode": decoded - begun, "thumbnail": time.perf_counter() - decoded}
    taken = photo.taken.isoformat() if photo.taken else None
    head = {"sizes": [len(pixels), len(thumbnail)], "taken": taken, "seconds": seconds}
    return json.dumps(head).encode() + b"\n" + pixels + thumbnail


def _refusal(error: PhotoError) -> bytes:
    return json.dumps({"refused": str(error)}).encode() + b"\n"


def _memory() -> int:
    """The bytes of "data + stack" of this process, by proc(5); 0 where there is no such file."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[5]) * mmap.PAGESIZE if statm.exists() else 0


def _limit_memory(limit: int) -> None:
    """Refuse this process memory beyond ``limit`` bytes, of the kind that ``_memory`` counts (Linux alone)."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))


@contextlib.contextmanager
def _limited_processor_time() -> Iterator[None]:
    """End this process by ``SIGPROF`` if the block takes longer than ``PROCESSOR_LIMIT``; not on Windows."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR_LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    main()
