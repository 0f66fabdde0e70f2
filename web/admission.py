"""The bounded admission queue in front of the classifier: people before batches, and clients by turns."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference import IMAGE_SIZE, Identification
from inference.errors import PhotoError
from inference.regions import Region
from inference.sandbox import Reading
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError
from jobs.pending import PendingJob
from jobs.retry_after import INITIAL_SERVICE_TIME, SERVICE_TIME_WINDOW
from jobs.sender import ANYBODY, Sender, most_of_batches, most_places

from .turns import FairExecutor

LONGEST_WAIT = 20  # seconds in the queue; a photo whose turn has not come by then is refused
SWEEP_INTERVAL = 0.1  # seconds between two searches for clients that have disconnected

#: A photo of which no side has so many pixels gets no closer look: there is nothing more to see in it.
LEAST_SIDE = 2 * IMAGE_SIZE

NO_CLOSER_LOOK = "There is no closer look at a photo: %s"

Pixels = NDArray[np.uint8]
Read = Callable[..., Reading]  # of an open file; with region=, of that part of it
Classify = Callable[..., Identification | PendingJob]  # of pixels; with region= or picture=, as PhotoClassifier's
log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class DisconnectedError(Exception):
    """The client that sent the photo has disconnected."""


@dataclass(frozen=True)
class Prediction:
    """A photo that has been identified.

    :param reading: its thumbnail, and when it was taken.
    :param seconds: the time that it took to ``wait`` in the queue, to ``decode`` the photo (twice for a closer look),
        to make the ``thumbnail``, and to run the ``network``. The transfer to a network in another process and back
        counts as waiting.
    """

    identification: Identification
    reading: Reading
    seconds: dict[str, float]

    @property
    def total_seconds(self) -> float:
        """The sum of ``seconds``."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class PendingPrediction:
    """A photo whose answer a worker has not given yet.

    :param job_id: under which the answer can be looked up.
    :param reading: its thumbnail, to show meanwhile, and when it was taken.
    :param picture: with which a worker could look closer; None if it has it already, or there is none.
    """

    job_id: str
    reading: Reading
    picture: Pixels | None = None


class _Ticket:
    """A photo in the queue. Its next step can be cancelled until that step begins."""

    def __init__(self, sender: Sender, is_disconnected: Callable[[], bool]) -> None:
        self.sender, self.is_disconnected = sender, is_disconnected
        self.entered = time.monotonic()
        self.deadline = self.entered + LONGEST_WAIT  # for its turn; the time that its own steps take is added
        self.next_step: Future[object] | None = None
        self.reading = self.network = 0.0  # seconds

    def cancel(self) -> bool:
        """Cancel the next step, and tell whether that was still possible."""
        return self.next_step is not None and self.next_step.cancel()


class AdmissionQueue:
    """The queue. Photos are read one at a time; the next one is read while the network works on the one before.

    ``Turns`` say whose photo is the next one at each of these stages. The places are shared, too: a client may have
    ``most_places`` of them with the photos of a person and as many with those of a batch, so that neither keeps others
    out, nor a program those who have the same address.

    :param read: reads a file; raises ``PhotoError`` for a bad one.
    :param classify: ``uint8[224, 224, 3]`` -> ``Identification``, or a ``PendingJob`` if the answer takes longer.
    :param max_waiting: how many photos may wait behind the one that is being identified.
    :param concurrency: how many photos may be classified at the same time; more than one if workers do it.
    :param read_picture: reads a file again, with more pixels; raises ``PhotoError`` if that takes too much. Without it
        there is no closer look.
    """

    def __init__(
        self,
        read: Read,
        classify: Classify,
        max_waiting: int,
        concurrency: int = 1,
        read_picture: Callable[[BinaryIO], Pixels] | None = None,
    ) -> None:
        self.max_waiting = max_waiting
        self._read, self._classify, self._read_picture = read, classify, read_picture
        # Once two photos have been read, the network's thread goes on to the second without waiting for any request's.
        self._reader = FairExecutor(1, "reader")
        self._network = FairExecutor(concurrency, "network")
        self._tickets: list[_Ticket] = []
        self._lock = threading.Lock()
        self._last_sweep = self._last_departure = 0.0
        self._mean_service_time = INITIAL_SERVICE_TIME  # seconds a photo

    @property
    def waiting(self) -> int:
        """How many photos are in the queue, the one that is being identified included."""
        return len(self._tickets)

    def check(self, sender: Sender = ANYBODY) -> None:
        """Raise an error if no photo of this sender would be admitted now.

        :raises BusyError: the queue is full, or the sender has as many photos in it as one may.
        """
        with self._lock:
            self._check(sender)

    def predict(
        self,
        file: BinaryIO,
        is_disconnected: Callable[[], bool] = lambda: False,
        classify: Classify | None = None,
        *,
        region: Region | None = None,
        picture_first: bool = False,
        sender: Sender = ANYBODY,
    ) -> Prediction | PendingPrediction:
        """Wait in the queue, read the photo and classify it; if the network is not sure, let it look closer.

        :param file: a photo, open for reading.
        :param is_disconnected: tells whether the client has disconnected; its photo then leaves the queue.
        :param classify: used for this photo instead of the queue's own.
        :param region: the part of the photo that is to be classified; it gets no closer look.
        :param picture_first: read what a closer look needs before it is known whether there will be one.
        :param sender: decides when the photo's turn comes, and how many others may wait with it.
        :raises PhotoError: the file cannot be used as a photo.
        :raises BusyError: as ``check``; or the photo's turn did not come in time.
        :raises DisconnectedError: the client has disconnected.
        """
        read = partial(self._read, region=region) if region else self._read
        classify = partial(classify or self._classify, region=region) if region else classify or self._classify
        with self._ticket(sender, is_disconnected) as ticket:
            reading = self._run(ticket, self._reader, read, file)
            first_reading = ticket.reading
            may_look_closer = region is None and max(reading.size) >= LEAST_SIDE
            picture = self._picture(ticket, file) if may_look_closer and picture_first else None
            answer = self._answer(ticket, classify, reading, picture)
            picture_for_job = None
            if may_look_closer and not picture_first:
                if isinstance(answer, PendingJob):
                    picture_for_job = self._picture_for_job(ticket, file)
                elif answer.wants_closer_look:
                    answer = self._look_closer(ticket, classify, file, reading, answer)
            if isinstance(answer, PendingJob):
                return PendingPrediction(answer.id, reading, picture_for_job)
            waited = time.monotonic() - ticket.entered - ticket.reading - ticket.network
        seconds = {"wait": waited, **reading.seconds, "network": ticket.network}
        seconds["decode"] += ticket.reading - first_reading
        return Prediction(answer, reading, seconds)

    def _answer(
        self, ticket: _Ticket, classify: Classify, reading: Reading, picture: Pixels | None
    ) -> Identification | PendingJob:
        """What the network says of a photo when its turn comes."""
        step = classify if picture is None else partial(classify, picture=picture)
        answer = self._run(ticket, self._network, step, reading.pixels)
        if isinstance(answer, Identification):
            ticket.network += answer.seconds
        return answer

    def _look_closer(
        self, ticket: _Ticket, classify: Classify, file: BinaryIO, reading: Reading, first: Identification
    ) -> Identification | PendingJob:
        """The answer after a closer look; the first one if there is no turn for that in time, or workers fail on it."""
        try:
            picture = self._picture(ticket, file)
            return first if picture is None else self._answer(ticket, classify, reading, picture)
        except (BusyError, JobFailedError, JobLostError, UnavailableError) as error:
            log.info(NO_CLOSER_LOOK, error)
            return first

    def _picture_for_job(self, ticket: _Ticket, file: BinaryIO) -> Pixels | None:
        """The picture for a worker; None if there is no turn for it. No error: whoever asked must learn of the job."""
        try:
            return self._picture(ticket, file)
        except (BusyError, DisconnectedError):
            return None

    def _picture(self, ticket: _Ticket, file: BinaryIO) -> Pixels | None:
        """The photo with more pixels, when its turn comes; None if reading it takes too much."""
        if self._read_picture is None:
            return None
        try:
            return self._run(ticket, self._reader, self._read_picture, file)
        except PhotoError as error:
            log.info(NO_CLOSER_LOOK, error)
            return None

    @contextlib.contextmanager
    def _ticket(self, sender: Sender, is_disconnected: Callable[[], bool]) -> Iterator[_Ticket]:
        ticket = _Ticket(sender, is_disconnected)
        with self._lock:
            self._check(sender)
            self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            self._leave(ticket)

    def _run(self, ticket: _Ticket, stage: FairExecutor, step: Callable[[Item], Result], item: Item) -> Result:
        """Run ``step(item)`` at a stage when its turn comes, and return the result."""

        def timed_step() -> Result:
            if ticket.is_disconnected():
                raise DisconnectedError
            started = time.monotonic()
            result = step(item)
            seconds = time.monotonic() - started
            ticket.deadline += seconds
            if stage is self._reader:
                ticket.reading += seconds
            return result

        future = stage.submit(ticket.sender, timed_step)
        ticket.next_step = future  # type: ignore[assignment]  # Future is invariant, and only cancelled through this name
        try:
            return future.result(timeout=ticket.deadline - time.monotonic())
        except CancelledError as error:
            raise DisconnectedError from error
        except TimeoutError as error:
            if future.cancel():
                with self._lock:
                    raise self._busy() from error
            return future.result()

    def _check(self, sender: Sender) -> None:
        self._sweep()
        places = self.max_waiting + 1
        own = sum(ticket.sender == sender for ticket in self._tickets)
        of_batches = sum(ticket.sender.is_batch for ticket in self._tickets)
        if self.waiting >= places or (sender.is_batch and of_batches >= most_of_batches(places)):
            raise self._busy()
        if sender.client and own >= most_places(places):
            raise BusyError(self.waiting, self._mean_service_time, own)

    def _sweep(self) -> None:
        """Remove the photos of clients that have disconnected."""
        now = time.monotonic()
        if now > self._last_sweep + SWEEP_INTERVAL:
            self._last_sweep = now
            self._tickets = [ticket for ticket in self._tickets if not (ticket.is_disconnected() and ticket.cancel())]

    def _leave(self, ticket: _Ticket) -> None:
        with self._lock:
            if ticket not in self._tickets:
                return
            self._tickets.remove(ticket)
            now = time.monotonic()
            service_time = now - max(self._last_departure, ticket.entered)
            self._last_departure = now
            self._mean_service_time += (service_time - self._mean_service_time) / SERVICE_TIME_WINDOW

    def _busy(self) -> BusyError:
        return BusyError(self.waiting, self._mean_service_time)
