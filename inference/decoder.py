"""The decoder process: reads photos that ``Sandbox`` sends, within limits of memory and time.

``python -m inference.decoder MAX_PIXELS`` reads requests from standard input until it closes, and writes a reply to
each to standard output. A request is ``REQUEST`` and then a file, or the path of one. A reply is a line of JSON; if
the photo could be read, its pixels and its thumbnail follow, with the ``sizes`` that the line names.
"""

import contextlib
import io
import json
import mmap
import os
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

from .confinement import confine_process
from .errors import PhotoError, TooCostlyError, UnreadableError
from .photo import open_photo

MEMORY_LIMIT = 370 * 2**20  # bytes that reading one photo may take
PROCESSOR_LIMIT = 2.5  # seconds of processor time for it
RECYCLE_GROWTH = 64 * 2**20  # bytes that the process may have gained over all photos before it is recycled

REQUEST = struct.Struct(">?Q")  # whether a path follows instead of a file; its length in bytes
RECYCLED = 0  # exit code of a process that ends without a fault


def main() -> None:
    """Answer requests until standard input closes, or until the process has grown by ``RECYCLE_GROWTH``."""
    max_pixels = int(sys.argv[1])
    # When the app is told to stop, it may still have photos to answer; it closes the pipe after the last one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # Pillow's, about damaged metadata
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library may print is not a reply
    memory_at_start = _data_size()
    _limit_memory(memory_at_start + MEMORY_LIMIT)
    confine_process()
    while _data_size() < memory_at_start + RECYCLE_GROWTH and (request := requests.read(REQUEST.size)):
        is_path, size = REQUEST.unpack(request)
        with _limited_processor_time():
            reply = _reply_to(requests.read(size), is_path, max_pixels)
        replies.write(reply)
        replies.flush()
    sys.exit(RECYCLED)


def _reply_to(content: bytes, is_path: bool, max_pixels: int) -> bytes:
    """The reply to one request.

    :param content: a file, or the path of one, for which no thumbnail is made.
    """
    started = time.perf_counter()
    try:
        photo = open_photo(Path(os.fsdecode(content)) if is_path else io.BytesIO(content), max_pixels)
        pixels = photo.pixels().tobytes()
        decoded = time.perf_counter()
        thumbnail = b"" if is_path else photo.thumbnail()
    except MemoryError:
        return _line(refused=str(TooCostlyError()))
    except PhotoError as error:
        return _line(refused=str(error))
    except OSError as error:  # the file cannot be opened
        return _line(refused=str(UnreadableError(error.strerror or "unknown error")))
    except Exception:  # a bug; the app logs it, since this process could not write to a log file
        return _line(failed=traceback.format_exc())
    seconds = {"decode": decoded - started, "thumbnail": time.perf_counter() - decoded}
    taken = photo.taken.isoformat() if photo.taken else None
    return _line(sizes=[len(pixels), len(thumbnail)], taken=taken, seconds=seconds) + pixels + thumbnail


def _line(**members: object) -> bytes:
    return json.dumps(members).encode() + b"\n"


def _data_size() -> int:
    """The memory of this process that ``RLIMIT_DATA`` limits, in bytes ("data + stack" in proc(5)); 0 if not Linux."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[5]) * mmap.PAGESIZE if statm.exists() else 0


def _limit_memory(limit: int) -> None:
    """Refuse this process memory beyond ``limit`` bytes, as ``_data_size`` counts it (Linux only)."""
    if sys.platform == "linux":
        import resource

        _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


@contextlib.contextmanager
def _limited_processor_time() -> Iterator[None]:
    """End this process with ``SIGPROF`` if the block takes longer than ``PROCESSOR_LIMIT`` (not on Windows)."""
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
