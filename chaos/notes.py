"""What workers note: a line when they have loaded the network, when it begins with a job, and when it is done."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

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


def read(file: TextIO) -> Iterator[Note]:
    """The notes in an open file from where it stands; called again, those that were written since."""
    for line in file:
        event, *numbers = line.split()
        yield Note(event, *map(int, numbers))


def next_note(path: Path, seconds: float) -> Note | None:
    """Wait for a note to be written.

    :param seconds: how long at most.
    :return: None if there was none.
    """
    with path.open() as file:
        file.seek(0, os.SEEK_END)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if note := next(read(file), None):
                return note
            time.sleep(POLL)
    return None


def count(path: Path, event: str) -> Counter[int]:
    """How often something happened to each job."""
    with path.open() as file:
        return Counter(note.job for note in read(file) if note.event == event)
