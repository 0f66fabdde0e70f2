"""Photos from strangers are decoded in a separate process, with limits on memory and time.

If a decoder crashes, loops or takes too much memory, that process ends, and the app goes on. One photo is decoded at a
time, so the limits hold for the app as a whole.
"""

import contextlib
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from . import MAX_PIXELS, decoder
from .confinement import minimal_environment
from .decoder import Wanted
from .errors import DamagedError, PhotoError, TooCostlyError
from .exif import Place
from .regions import WHOLE, Region

READ_TIMEOUT = 20  # seconds on the clock for one photo, on a machine that is busy with other things
WATCH_INTERVAL = 1  # seconds between two checks of that time

# glibc would return the memory of every large array, only for the kernel to clear it for the next photo: a fifth of
# the processor time of a 12-megapixel JPEG. What is kept must be less than RECYCLE_GROWTH.
_KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # bytes; its own upper limit (mallopt(3))
    "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20),
}
# Killed by the watchdog or by the kernel, or out of processor time; Windows has no such signals.
_TOO_COSTLY = [-getattr(signal, name) for name in ("SIGKILL", "SIGPROF") if hasattr(signal, name)]


@dataclass(frozen=True)
class Reading:
    """What was read of a photo.

    :param pixels: ``uint8[224, 224, 3]``, RGB; or the picture, ``uint8[height, width, 3]``; or none, for a copy.
    :param size: width and height of the upright photo, in pixels.
    :param thumbnail: of the whole photo, a JPEG file; or its copy; empty if none was made.
    :param taken: when the photo was taken, if the file says so.
    :param seconds: the time that it took to ``decode`` the file into those pixels, and to make the ``thumbnail``.
    :param place: where the photo was taken, if that was asked for and the file says so.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    thumbnail: bytes
    taken: datetime | None
    seconds: dict[str, float]
    place: Place | None = None


_sandboxes: "weakref.WeakSet[Sandbox]" = weakref.WeakSet()  # of this process


class Sandbox:
    """The decoder process. It is started when it is first needed, and restarted when it has ended.

    A process that is forked from this one gets a decoder process of its own.

    :param max_pixels: an image with more pixels is refused.
    :ivar process: the decoder process, once it has been started.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        self.process: subprocess.Popen[bytes] | None = None
        self._reset()
        _sandboxes.add(self)

    def start(self) -> None:
        """Start the decoder process, unless it runs. This does not wait until it is ready."""
        self._running_process()

    def read(self, file: BinaryIO, region: Region = WHOLE) -> Reading:
        """Decode a photo and make its thumbnail.

        :param file: is read from its start.
        :param region: the part of the photo that the network is to see.
        :raises PhotoError: the file cannot be used as a photo.
        """
        return self._request(file, Wanted.PIXELS, region)

    def read_path(self, path: str | Path, *, with_place: bool = False) -> Reading:
        """Decode a photo of this machine, without a thumbnail. The decoder process opens it: nothing is copied.

        :param with_place: read where it was taken, too.
        :raises PhotoError: the file cannot be used as a photo, or cannot be opened.
        """
        wanted = Wanted.PIXELS_AND_PLACE if with_place else Wanted.PIXELS
        return self._request(_as_file(path), wanted, is_path=True)

    def read_picture(self, file: BinaryIO | str | Path) -> NDArray[np.uint8]:
        """Decode a photo once more, to search it for birds.

        :param file: as for ``read``, or as for ``read_path``.
        :return: ``uint8[height, width, 3]``, RGB, the longer side ``PICTURE_SIDE`` pixels at most.
        :raises PhotoError: that takes too much memory or time, or the file cannot be opened.
        """
        if isinstance(file, str | Path):
            return self._request(_as_file(file), Wanted.PICTURE, is_path=True).pixels
        return self._request(file, Wanted.PICTURE).pixels

    def copy(self, file: BinaryIO) -> bytes:
        """Make a copy of a photo from which a network can learn. It shows the whole photo and has no metadata.

        :param file: is read from its start.
        :return: a JPEG file, the longer side ``PICTURE_SIDE`` pixels at most.
        :raises PhotoError: the file cannot be used as a photo.
        """
        return self._request(file, Wanted.COPY).thumbnail

    def stop(self) -> None:
        """Kill the decoder process. A photo that is being read meanwhile ends with a ``PhotoError``."""
        if self.process is not None:
            self.process.kill()

    def _reset(self) -> None:
        self._lock = threading.Lock()  # one photo at a time
        self._deadline = math.inf  # by time.monotonic(), for the photo that is being read
        # One thread for all photos: starting a timer for each takes half as long as reading a small one.
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def _forget_parents_process(self) -> None:
        """Let go of the decoder process after a fork: two processes that share its pipes would mix their photos."""
        if self.process is not None:
            # This process must not hold the pipes, or the decoder would not see when its owner ends; nor may it send
            # again what the owner was just sending. Closing them could do that, or wait for a thread that is not here.
            nowhere = os.open(os.devnull, os.O_RDWR)
            for pipe in _pipes(self.process):
                if not pipe.closed:
                    os.dup2(nowhere, pipe.fileno(), inheritable=False)
            os.close(nowhere)
            self.process.returncode = 0  # only its parent can wait for it
            self._parents_process, self.process = self.process, None
        self._reset()

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is not None:
            _close_pipes(self.process)
            self.process = None
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", decoder.__name__, str(self.max_pixels)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parent.parent,
                env=minimal_environment() | _KEEP_FREED_MEMORY,
                start_new_session=True,  # Ctrl-C in the terminal is for the app
            )
        if not self._watchdog.is_alive():
            self._watchdog.start()
        return self.process

    def _request(self, content: BinaryIO, wanted: Wanted, region: Region = WHOLE, *, is_path: bool = False) -> Reading:
        """The decoder's reply. If the process had ended, but not because of this photo, a new one is asked.

        :param content: a file, or the path of one.
        :param region: what the network is to see.
        """
        with self._lock:
            process = self._running_process()
            self._deadline = time.monotonic() + READ_TIMEOUT
            try:
                while (reading := _ask(process, content, wanted, region, is_path)) is None:
                    process = self._restart(process)
                return reading
            except PhotoError:
                raise
            except BaseException:
                # Half a request may have been sent, and its reply must not be taken for the next one's.
                process.kill()
                process.wait()
                raise
            finally:
                self._deadline = math.inf

    def _watch(self) -> None:
        """Kill the decoder process when it takes too long for a photo, whatever the reason."""
        while True:
            time.sleep(WATCH_INTERVAL)
            if time.monotonic() > self._deadline:
                self.stop()

    def _restart(self, ended: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Replace the decoder process, which has ended.

        :raises PhotoError: the photo ended it.
        :raises RuntimeError: it ended for another reason.
        """
        status = ended.wait()
        process = self._running_process()
        if status == decoder.RECYCLED:
            return process
        if status in _TOO_COSTLY:
            raise TooCostlyError
        if status < 0:  # a crash inside a decoder
            raise DamagedError
        raise RuntimeError(f"the decoder process ended with exit code {status}")


def _after_fork() -> None:
    for sandbox in _sandboxes:
        sandbox._forget_parents_process()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_after_fork)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """The pipe to the decoder process and the one from it."""
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _close_pipes(ended: subprocess.Popen[bytes]) -> None:
    requests, replies = _pipes(ended)
    replies.close()
    with contextlib.suppress(OSError):  # closing tries to send what is still buffered
        requests.close()


def _as_file(path: str | Path) -> BinaryIO:
    """What is sent to the decoder process instead of a file that it is to open itself."""
    return io.BytesIO(os.fsencode(os.path.abspath(path)))


def _ask(
    process: subprocess.Popen[bytes], content: BinaryIO, wanted: Wanted, region: Region, is_path: bool
) -> Reading | None:
    """Send a request; the reply to it, or None if the process has ended.

    :raises PhotoError: the file cannot be used as a photo.
    :raises RuntimeError: the decoder has a bug.
    """
    size = content.seek(0, io.SEEK_END)
    content.seek(0)
    requests, replies = _pipes(process)
    try:
        requests.write(decoder.REQUEST.pack(is_path, wanted, *astuple(region), size))
        shutil.copyfileobj(content, requests)
        requests.flush()
    except BrokenPipeError:
        return None
    line = replies.readline()
    if not line.endswith(b"\n"):
        return None
    reply = json.loads(line)
    if "refused" in reply:
        raise PhotoError(reply["refused"])
    if "failed" in reply:
        raise RuntimeError(f"the decoder process failed: {reply['failed']}")
    pixels = np.frombuffer(replies.read(math.prod(reply["shape"])), "uint8").reshape(reply["shape"])
    jpeg = replies.read(reply["jpeg"])
    taken = datetime.fromisoformat(reply["taken"]) if reply["taken"] else None
    place = Place(*reply["place"]) if reply["place"] else None
    return Reading(pixels, tuple(reply["size"]), jpeg, taken, reply["seconds"], place)
