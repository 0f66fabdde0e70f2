"""What workers note: a line when they have loaded the network, when it begins with a job, and when it is done."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE = "CHAOS_NOTES"  # the environment variable that names the file
LOADED, BEGUN, DONE = "loaded", "begun", "done"
NO_JOB = -1
POLL = 0.001  # seconds


@dataclass(frozen=True)
class Note:
    """What happened in a worker.

    :param event: ``LOADED``, ``BEGUN`` or ``DONE``.
    :param job: its number, or ``NO_JOB``.
    :param worker: the process ID of the worker's main process.
    :param pool_process: that of the process that runs the network.
    """

    event: str
    job: int
    worker: int
    pool_process: int


class NotesWriter:
    """Writes into the file that ``FILE`` names, from a pool process. A killed process leaves no half line."""

    def __init__(self) -> None:
        self._about = f"{os.getsid(0)} {os.getpid()}"  # the parent may be gone, but it has begun the session
        self._file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, job: int = NO_JOB) -> None:
        """Note what happens in this process."""
        os.write(self._file, f"{event} {job} {self._about}\n".encode())


def read(path: Path, offset: int = 0) -> Iterator[Note]:
    """The notes in a file.

    :param offset: in bytes, of the first one.
    """
    with path.open() as file:
        file.seek(offset)
        for line in file:
            event, *numbers = line.split()
            yield Note(event, *map(int, numbers))


def next_note(path: Path, seconds: float) -> Note | None:
    """Wait for a note to be written.

    :param seconds: how long at most.
    :return: None if there was none.
    """
    end = path.stat().st_size
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.stat().st_size > end:
            return next(read(path, end))
        time.sleep(POLL)
    return None


def loaded(path: Path) -> set[int]:
    """The process IDs of all that have loaded the network, those that are gone included."""
    return {note.pool_process for note in read(path) if note.event == LOADED}


def count(path: Path, event: str) -> Counter[int]:
    """How often something happened to each job."""
    return Counter(note.job for note in read(path) if note.event == event)
