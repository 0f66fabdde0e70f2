"""Folders of photographs, identified one after the other: what ``flask --app application identify`` does.

Photographs are read in processes of their own while the network works. A list in a file is whole after each of them.
"""

import json
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import numpy as np
from tqdm import tqdm

import listing
from answers import identification_json
from inference import CANDIDATES, Identification
from inference.line import BusyError, LaterError
from inference.photo import FORMATS, PhotoError
from inference.sandbox import Reading, Sandbox
from jobs import FailedError, LostError, UnavailableError, UnknownJobError

if TYPE_CHECKING:
    from inference.classifier import Classifier
    from jobs.client import RemoteClassifier

BATCHES_AHEAD = 2  # read, or being read, while the network works
SENT_AT_ONCE = 8  # photographs on their way to workers and back
LOOK_INTERVAL = 0.2  # seconds between two looks for an answer that takes its time
PATIENCE = 60  # seconds for which a queue that is gone is tried again
RETRY_INTERVAL = 2  # seconds between two tries
#: Exit codes; click's own 2 is for a command that makes no sense.
ALL_DONE, SOME_FAILED, BROKEN_OFF, INTERRUPTED = 0, 1, 3, 130

Item, Made = TypeVar("Item"), TypeVar("Made")


@dataclass(frozen=True)
class Outcome:
    """What came of one photograph: an answer, or a sentence that says why there is none."""

    path: Path
    identification: Identification | None = None
    taken: datetime | None = None
    error: str = ""

    def line(self, top: int = 1) -> str:
        """For people.

        :param top: how many candidates.
        """
        if self.identification is None:
            return f"{harmless(self.path)}: {self.error}"
        candidates = [f"{each.label} {100 * each.confidence:.1f} %" for each in self.identification.candidates[:top]]
        return f"{harmless(self.path)}: {', '.join(candidates)}"

    def json(self, top: int) -> str:
        """For programs, in one line.

        :param top: how many candidates.
        """
        found = self.identification
        if found is None:
            return json.dumps({"file": name(self.path), "error": self.error}, ensure_ascii=False)
        about = {
            "file": name(self.path),
            "taken": self.taken.isoformat() if self.taken else None,
            **identification_json(found, found.seconds, top),
        }
        return json.dumps(about, ensure_ascii=False)

    def row(self, top: int) -> list[str]:
        """For the list.

        :param top: how many candidates.
        """
        if self.identification is None:
            return [name(self.path), *listing.failed(self.error, top)]
        return [name(self.path), *listing.answered(self.identification, self.taken, top)]


def name(path: Path) -> str:
    """A path as text that can be written anywhere: bytes that are no UTF-8 become escape sequences."""
    return str(path).encode(errors="backslashreplace").decode()


def harmless(path: Path) -> str:
    """A path for the terminal, to which nothing in it is a command."""
    return "".join(each if each.isprintable() else "?" for each in name(path))


def find_photos(paths: Iterable[Path]) -> tuple[list[Path], list[Outcome]]:
    """What is to be identified, in order.

    :param paths: files, which are taken whatever their names are, and folders, which are walked.
    :return: the files, each once, however often it is reached; and the folders that cannot be opened.
    """
    files, closed, seen = [], [], set()

    def visit(path: Path, is_named: bool) -> None:
        if (target := os.path.realpath(path)) in seen:
            return
        seen.add(target)
        if path.is_dir():
            try:
                entries = sorted(os.listdir(path))
            except OSError as error:
                closed.append(Outcome(path, error=f"The folder cannot be opened: {error.strerror}."))
                return
            for entry in entries:
                if not entry.startswith("."):
                    visit(path / entry, is_named=False)
        elif is_named or path.suffix.lower() in FORMATS:
            files.append(path)

    for path in paths:
        visit(path, is_named=True)
    return files, closed


class Crew:
    """The processes that read photographs, and the threads that wait for them.

    :param jobs: how many processes.
    :param threads: how many photographs are under way at the same time.
    :param max_pixels: a photograph with more is refused.
    """

    def __init__(self, jobs: int, threads: int, max_pixels: int) -> None:
        self._sandboxes = [Sandbox(max_pixels) for _ in range(jobs)]
        self._idle: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(threads)
        self._stopping = threading.Event()
        for sandbox in self._sandboxes:
            sandbox.start()
            self._idle.put(sandbox)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *about: object) -> None:
        """Stop at once, whatever is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._stopping.set()
        for sandbox in self._sandboxes:
            sandbox.stop()
        self._threads.shutdown()

    def by_network(self, files: Iterable[Path], network: "Classifier") -> Iterator[Outcome]:
        """Identify photographs in this process, some at a time; the next are read meanwhile."""
        readings = self._in_order(self._read, files, BATCHES_AHEAD * network.batch)
        while batch := list(islice(readings, network.batch)):
            good = [reading for _path, reading in batch if isinstance(reading, Reading)]
            found = iter(network.classify_all(np.stack([reading.pixels for reading in good])) if good else ())
            for path, reading in batch:
                if isinstance(reading, Reading):
                    yield Outcome(path, next(found), reading.taken)
                else:
                    yield Outcome(path, error=str(reading))

    def by_workers(self, files: Iterable[Path], network: "RemoteClassifier") -> Iterator[Outcome]:
        """Have workers identify photographs, several at the same time.

        :raises UnavailableError: none has been there for ``PATIENCE``.
        """

        def identify(path: Path) -> Outcome:
            _path, reading = self._read(path)
            if isinstance(reading, PhotoError):
                return Outcome(path, error=str(reading))
            try:
                return Outcome(path, self._answer_of_worker(network, reading.pixels), reading.taken)
            except (FailedError, LostError) as error:
                return Outcome(path, error=str(error))

        return self._in_order(identify, files, 2 * SENT_AT_ONCE)

    def _in_order(self, work: Callable[[Item], Made], items: Iterable[Item], ahead: int) -> Iterator[Made]:
        """What is made of each, in order, while threads work on so many that come after it."""
        under_way: deque[Future] = deque()
        for item in items:
            under_way.append(self._threads.submit(work, item))
            if len(under_way) > ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def _read(self, path: Path) -> tuple[Path, Reading | PhotoError]:
        sandbox = self._idle.get()
        try:
            return path, sandbox.read_path(path)
        except PhotoError as error:
            return path, error
        finally:
            self._idle.put(sandbox)

    def _answer_of_worker(self, network: "RemoteClassifier", pixels: np.ndarray) -> Identification:
        try:
            return self._insist(lambda: network.classify(pixels))
        except LaterError as later:
            job = later.job
        try:
            while not isinstance(found := self._insist(lambda: network.look_up(job)[1]), Identification):
                self._rest(LOOK_INTERVAL)
        except UnknownJobError as error:
            raise LostError from error
        except CancelledError:
            network.forget(job)
            raise
        network.forget(job)
        return found

    def _insist(self, attempt: Callable[[], Made]) -> Made:
        """Try again while too many are in line, and for ``PATIENCE`` while nobody is there."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return attempt()
            except BusyError as busy:
                deadline = time.monotonic() + PATIENCE
                self._rest(busy.retry_after)
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                self._rest(RETRY_INTERVAL)

    def _rest(self, seconds: float) -> None:
        """:raises CancelledError: the crew is to stop."""
        if self._stopping.wait(seconds):
            raise CancelledError


def identify(
    paths: Iterable[Path],
    network: "Classifier | RemoteClassifier",
    *,
    is_remote: bool,
    max_pixels: int,
    jobs: int,
    top: int | None,
    csv_file: Path | None,
    as_json: bool,
    resume: bool,
) -> int:
    """Identify photographs, and say on the terminal what they show.

    :param paths: files and folders.
    :param is_remote: whether the network runs in workers.
    :param max_pixels: a photograph with more is refused.
    :param jobs: how many processes read photographs.
    :param top: how many species each gets; without it, one in a line and ``CANDIDATES`` in a list.
    :param csv_file: the list to write.
    :param as_json: write JSON in the place of lines for people.
    :param resume: go on with the list that is there.
    :return: the exit code.
    :raises click.UsageError: the list cannot be written so.
    """
    if as_json and csv_file:
        raise click.UsageError("Choose one of --csv and --json.")
    if resume and not csv_file:
        raise click.UsageError("--resume goes on with the file that --csv names. Add --csv FILE.")
    files, failed = find_photos(paths)
    if not files and not failed:
        click.echo(f"There is no photo ({', '.join(FORMATS)}).", err=True)
        return SOME_FAILED
    threads = max(jobs, SENT_AT_ONCE) if is_remote else jobs
    again = " The same command with --resume goes on." if csv_file else ""
    sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know every letter
    with open_list(csv_file, top or CANDIDATES, resume) as answers:
        if answers:
            files = [path for path in files if name(path) not in answers.names]
            failed = [Outcome(Path(file), error=sentence) for file, sentence in answers.failed] + failed
        try:
            with Crew(jobs, threads, max_pixels) as crew:
                outcomes = crew.by_workers(files, network) if is_remote else crew.by_network(files, network)
                for outcome in tqdm(outcomes, total=len(files), unit=" photos", disable=None, file=sys.stderr):
                    if answers:
                        answers.add(outcome.row(top or CANDIDATES))
                    if outcome.error:
                        failed.append(outcome)
                    with tqdm.external_write_mode():
                        click.echo(outcome.json(top or CANDIDATES) if as_json else outcome.line(top or 1))
        except KeyboardInterrupt:
            click.echo(f"Interrupted.{again}", err=True)
            return INTERRUPTED
        except UnavailableError as error:
            click.echo(f"Broken off: {error.reason}.{again}", err=True)
            return BROKEN_OFF
        except BrokenPipeError:
            raise  # click knows what to do when nobody reads on
        except (OSError, RuntimeError) as error:  # a disk that is full; a process that cannot read any photo
            click.echo(f"Broken off: {getattr(error, 'strerror', None) or error}.{again}", err=True)
            return BROKEN_OFF
    list_failed(failed)
    return SOME_FAILED if failed else ALL_DONE


def open_list(path: Path | None, top: int, resume: bool) -> AbstractContextManager[listing.AnswerFile | None]:
    """The CSV file, if there is to be one.

    :raises click.UsageError: it cannot be written so.
    """
    if path is None:
        return nullcontext()
    try:
        return listing.AnswerFile(path, top, resume=resume)
    except FileExistsError as error:
        raise click.UsageError(
            f"{harmless(path)} is there already. Add --resume to go on with it, or name another."
        ) from error
    except listing.ListError as error:
        raise click.UsageError(
            f"{harmless(path)} is not a list with --top {top} that this command has begun."
        ) from error
    except OSError as error:
        raise click.UsageError(f"{harmless(path)} cannot be written: {error.strerror}.") from error


def list_failed(failed: list[Outcome]) -> None:
    """Say at the end what else would be lost among the lines."""
    if failed:
        click.echo(f"Not identified: {len(failed)}", err=True)
        for outcome in failed:
            click.echo(f"  {outcome.line()}", err=True)
