"""Classifiers that answer by a rule: one in this process that takes batches, and workers that follow a script."""

import threading

import numpy as np
import numpy.typing as npt

from inference import Candidate, Identification
from jobs.pending import PendingJob, Position

Pixels = npt.NDArray[np.uint8]
COLORS = ("red", "green", "blue")


def named(pixels: Pixels) -> Identification:
    """The strongest of the three colors first, each with its share of the light."""
    light = pixels.astype(float).sum(axis=(0, 1)) + 1
    shares = light / light.sum()
    candidates = tuple(Candidate(COLORS[each], float(shares[each])) for each in np.argsort(-shares, kind="stable"))
    return Identification(candidates[0].label, candidates[0].confidence, candidates, model="0" * 64, seconds=0.01)


class BatchClassifier:
    """Answers at once.

    :ivar batches: how many images each call brought.
    """

    labels = COLORS
    concurrency = 1
    is_remote = False
    network_in_words = ""

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.batches: list[int] = []

    def classify(
        self, pixels: Pixels, wait: float | None = None, picture: Pixels | None = None
    ) -> Identification | PendingJob:
        return named(pixels)

    def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
        self.batches.append(len(pixels))
        return [named(each) for each in pixels]

    def check(self) -> None:
        """It is always there."""

    def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
        raise AssertionError("no job is ever pending")

    def keep_thumbnail(self, job_id: str, jpeg: bytes) -> None:
        raise AssertionError("no job is ever pending")

    def drop(self, job_id: str) -> None:
        raise AssertionError("no job is ever pending")

    def state(self) -> None:
        """There is no queue."""


Event = Exception | PendingJob | Position


class Workers(BatchClassifier):
    """Workers to whom one thing happens after the other; then they answer by the rule.

    :param events: what each call of ``classify_batch`` and ``look_up`` raises or returns, in their order.
    :ivar dropped: the jobs that were given up or done with.
    """

    is_remote = True
    network_in_words = ""

    def __init__(self, *events: Event, concurrency: int = 1) -> None:
        super().__init__(batch_size=1)
        self.concurrency = concurrency
        self.dropped: list[str] = []
        self._events = list(events)
        self._pixels: dict[str, Pixels] = {}
        self._lock = threading.Lock()

    def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
        (only,) = pixels
        event = self._next_event()
        if isinstance(event, PendingJob):
            self._pixels[event.id] = only
            return [event]
        assert event is None
        return super().classify_batch(pixels)

    def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
        event = self._next_event()
        return b"", event if isinstance(event, Position) else named(self._pixels[job_id])

    def drop(self, job_id: str) -> None:
        self.dropped.append(job_id)

    def _next_event(self) -> PendingJob | Position | None:
        with self._lock:
            event = self._events.pop(0) if self._events else None
        if isinstance(event, Exception):
            raise event
        return event
