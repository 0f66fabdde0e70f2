"""Photos read by several processes while the network, or workers, identify those before them."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from inference import Identification
from inference.errors import PhotoError
from inference.sandbox import Reading, Sandbox
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError, UnknownJobError
from jobs.pending import PendingJob
from web.admission import LEAST_SIDE, Pixels
from web.services import PhotoClassifier

from .outcomes import Outcome

BATCHES_AHEAD = 2  # of photos that are read, or being read, while the network works
SENT_AT_ONCE = 8  # photos that are with the workers at the same time
LOOK_UP_INTERVAL = 0.2  # seconds between two look-ups of a pending job
UNAVAILABLE_PATIENCE = 60  # seconds; a queue that has not answered for longer is given up
RETRY_INTERVAL = 2  # seconds between two tries

Item = TypeVar("Item")
Result = TypeVar("Result")
Read = tuple[Path, Reading | PhotoError]


class ReaderPool:
    """The processes that read photos, and the threads that wait for them and for the classifier.

    :param jobs: how many processes.
    :param max_pixels: a photo with more is refused.
    :param with_place: whether to read where photos were taken.
    """

    def __init__(self, jobs: int, classifier: PhotoClassifier, max_pixels: int, *, with_place: bool = False) -> None:
        self._classifier = classifier
        self._concurrency = min(classifier.concurrency, SENT_AT_ONCE)
        self._readers = ThreadPoolExecutor(jobs)
        self._network = ThreadPoolExecutor(self._concurrency)
        self.max_pixels = max_pixels
        self._with_place = with_place
        self._sandboxes = [Sandbox(max_pixels) for _ in range(jobs)]
        self._idle: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
        self._stopping = threading.Event()

    def __enter__(self) -> "ReaderPool":
        """Start the processes.

        :raises OSError: the system allows no more of them, or no more open files.
        """
        try:
            for sandbox in self._sandboxes:
                sandbox.start()
                self._idle.put(sandbox)
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop at once, whatever is being done."""
        self._stopping.set()
        pools = (self._readers, self._network)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for sandbox in self._sandboxes:
            sandbox.stop()
        for pool in pools:
            pool.shutdown()

    def identify(self, files: Iterable[Path]) -> Iterator[Outcome]:
        """Identify photos, in their order.

        :raises UnavailableError: no worker has been there for ``UNAVAILABLE_PATIENCE``.
        """
        size = self._classifier.batch_size
        read_ahead = max(BATCHES_AHEAD * size, 2 * self._concurrency)
        photos = self._in_order(self._readers, self._read, files, read_ahead)
        batches = iter(lambda: list(islice(photos, size)), [])
        for outcomes in self._in_order(self._network, self._identify_batch, batches, self._concurrency):
            yield from outcomes

    def _in_order(
        self, pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
    ) -> Iterator[Result]:
        """The result of each item, in order, while threads work on up to ``ahead`` items after it."""
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _read(self, path: Path) -> Read:
        try:
            with self._sandbox() as sandbox:
                return path, sandbox.read_path(path, with_place=self._with_place)
        except PhotoError as error:
            return path, error

    def _read_picture(self, path: Path) -> Pixels | None:
        """The photo with more pixels; None if that takes too much."""
        try:
            with self._sandbox() as sandbox:
                return sandbox.read_picture(path)
        except PhotoError:
            return None

    @contextmanager
    def _sandbox(self) -> Iterator[Sandbox]:
        """A process that reads nothing at the moment."""
        sandbox = self._idle.get()
        try:
            yield sandbox
        finally:
            self._idle.put(sandbox)

    def _identify_batch(self, batch: list[Read]) -> list[Outcome]:
        readings = [(path, reading) for path, reading in batch if isinstance(reading, Reading)]
        try:
            answers = iter(self._classify(readings) if readings else [])
        except (JobFailedError, JobLostError) as error:  # only workers raise these, and their batches are single photos
            return [Outcome(path, error=str(error)) for path, _reading in batch]
        return [
            Outcome(path, next(answers), reading.taken, place=reading.place)
            if isinstance(reading, Reading)
            else Outcome(path, error=str(reading))
            for path, reading in batch
        ]

    def _classify(self, readings: list[tuple[Path, Reading]]) -> list[Identification]:
        pixels = np.stack([reading.pixels for _path, reading in readings])
        found = self._retry(lambda: self._classifier.classify_batch(pixels))
        answers = [self._answer(each) for each in found]
        return [self._look_closer(answer, *each) for answer, each in zip(answers, readings, strict=True)]

    def _look_closer(self, answer: Identification, path: Path, reading: Reading) -> Identification:
        """The answer after a closer look, if the network is not sure and the photo has more to show.

        If there is no picture, or workers fail on it, the first answer stands.
        """
        if not answer.wants_closer_look or max(reading.size) < LEAST_SIDE:
            return answer
        picture = self._read_picture(path)
        if picture is None:
            return answer
        try:
            return self._answer(self._retry(lambda: self._classifier.classify(reading.pixels, picture=picture)))
        except (JobFailedError, JobLostError):
            return answer

    def _answer(self, found: Identification | PendingJob) -> Identification:
        return self._answer_of_job(found.id) if isinstance(found, PendingJob) else found

    def _answer_of_job(self, job_id: str) -> Identification:
        """Wait for the answer to a pending job.

        :raises JobLostError: it will not come.
        """
        try:
            while True:
                _thumbnail, found = self._retry(lambda: self._classifier.look_up(job_id))
                if isinstance(found, Identification):
                    return found
                self._sleep(LOOK_UP_INTERVAL)
        except UnknownJobError as error:
            raise JobLostError from error
        finally:
            self._classifier.drop(job_id)

    def _retry(self, attempt: Callable[[], Result]) -> Result:
        """Try again while the queue is full, and for ``UNAVAILABLE_PATIENCE`` while it does not answer."""
        deadline = time.monotonic() + UNAVAILABLE_PATIENCE
        while True:
            try:
                return attempt()
            except BusyError as busy:
                deadline = time.monotonic() + UNAVAILABLE_PATIENCE
                self._sleep(busy.retry_after)
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                self._sleep(RETRY_INTERVAL)

    def _sleep(self, seconds: float) -> None:
        """Sleep, but end at once when the pool is being stopped.

        :raises CancelledError: it is.
        """
        if self._stopping.wait(seconds):
            raise CancelledError
