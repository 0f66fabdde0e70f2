"""The decoder process: reads photos that ``Sandbox`` sends, within limits of memory and time.

``python -m inference.decoder MAX_PIXELS`` reads requests from standard input until it closes, and writes a reply to
each to standard output. A request is ``REQUEST`` and then a file, or the path of one. A reply is a line of JSON; if
the photo could be read, pixels of the ``shape`` that the line names follow, and ``jpeg`` bytes of a JPEG file.
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
from dataclasses import astuple
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .confinement import confine_process
from .errors import PhotoError, TooCostlyError, UnreadableError
from .photo import Photo, open_photo
from .regions import Region

MEMORY_LIMIT = 370 * 2**20  # bytes that reading one photo may take
PROCESSOR_LIMIT = 2.5  # seconds of processor time for it
RECYCLE_GROWTH = 64 * 2**20  # bytes that the process may have gained over all photos before it is recycled

#: Whether a path follows instead of a file; what is ``Wanted``; the region, for ``Wanted.PIXELS``; the length of what
#: follows in bytes.
REQUEST = struct.Struct(">?B4dQ")
RECYCLED = 0  # exit code of a process that ends without a fault


class Wanted(IntEnum):
    """What is made of a photo: see the methods of ``Photo``."""

    PIXELS = 0  # of a region, and the thumbnail
    PICTURE = 1
    COPY = 2
    PIXELS_AND_PLACE = 3  # the command line alone asks where a photo was taken, if the person wants it


def main() -> None:
    """Answer requests until standard input closes, or until the process has grown too much for the next one."""
    max_pixels = int(sys.argv[1])
    # When the app is told to stop, it may still have photos to answer; it closes the pipe after the last one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # Pillow's, about damaged metadata
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library may print is not a reply
    memory_at_start = _data_size()
    _limit_memory(memory_at_start + MEMORY_LIMIT)
    confine_process()
    is_new = True
    while _data_size() < memory_at_start + RECYCLE_GROWTH and (request := requests.read(REQUEST.size)):
        is_path, wanted, *numbers, size = REQUEST.unpack(request)
        content = requests.read(size)
        with _limited_processor_time():
            reply = _reply_to(content, is_path, max_pixels, Wanted(wanted), Region(*numbers))
        if reply == _line(refused=str(TooCostlyError())) and not is_new:
            break  # what earlier photos have left behind may be the reason, so a new process is asked again
        is_new = False
        replies.write(reply)
        replies.flush()
    sys.exit(RECYCLED)


def _reply_to(content: bytes, is_path: bool, max_pixels: int, wanted: Wanted, region: Region) -> bytes:
    """The reply to one request.

    :param content: a file, or the path of one, for which no thumbnail is made.
    :param region: what the network is to see.
    """
    started = time.perf_counter()
    file = Path(os.fsdecode(content)) if is_path else io.BytesIO(content)
    try:
        photo = open_photo(
            file,
            max_pixels,
            region,
            for_picture=wanted in (Wanted.PICTURE, Wanted.COPY),
            with_place=wanted is Wanted.PIXELS_AND_PLACE,
        )
        pixels = _pixels(photo, wanted)
        decoded = time.perf_counter()
        jpeg = _jpeg(photo, wanted, is_path)
    except MemoryError:
        return _line(refused=str(TooCostlyError()))
    except PhotoError as error:
        return _line(refused=str(error))
    except OSError as error:  # the file cannot be opened
        return _line(refused=str(UnreadableError(error.strerror or "unknown error")))
    except Exception:  # a bug; the app logs it, since this process could not write to a log file
        return _line(failed=traceback.format_exc())
    line = _line(
        shape=pixels.shape,
        jpeg=len(jpeg),
        size=photo.size,
        taken=photo.taken.isoformat() if photo.taken else None,
        place=astuple(photo.place) if photo.place else None,
        seconds={"decode": decoded - started, "thumbnail": time.perf_counter() - decoded},
    )
    return line + pixels.tobytes() + jpeg


def _pixels(photo: Photo, wanted: Wanted) -> NDArray[np.uint8]:
    match wanted:
        case Wanted.PIXELS | Wanted.PIXELS_AND_PLACE:
            return photo.pixels()
        case Wanted.PICTURE:
            return photo.picture()
    return np.empty((0, 0, 3), np.uint8)


def _jpeg(photo: Photo, wanted: Wanted, is_path: bool) -> bytes:
    if wanted is Wanted.COPY:
        return photo.copy()
    return photo.thumbnail() if wanted is Wanted.PIXELS and not is_path else b""


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
