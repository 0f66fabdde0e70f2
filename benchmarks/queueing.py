"""A site with a queue, simulated: people send photos, a bounded queue holds them, workers identify them.

Only the queue is simulated. Web processes and Redis take no time here; ``docs/scaling.md`` counts them by themselves.
``simulation.py`` asks where it breaks, ``simulated_and_real.py`` compares it with a real site.
"""

import random
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

import simpy

from jobs import LEASE
from jobs.retry_after import when_queue_is_empty

from .random_times import gamma

AVERAGE = 60  # seconds over which the exponential average of the arrivals is taken

Steps = Generator[simpy.Event, Any, None]  # a process of SimPy


@dataclass(frozen=True)
class People:
    """What people do when they get no answer.

    :param patience: seconds that they wait for an answer; then they send the photo again, and nobody tells the queue.
    :param retries: how often they send a photo again that was refused, or whose answer did not come in time.
    :param jitter: they wait ``Retry-After``, and at most this share of it longer; 0 if they come back all at once.
    :param heed_retry_after: otherwise they send it again after 0.1 s.
    """

    patience: float = inf
    retries: int = 0
    jitter: float = 0.5
    heed_retry_after: bool = True


@dataclass(frozen=True)
class Seen:
    """What the site knows of itself, all in ``/metrics``.

    :param added: photos a second that were added to the queue, the exponential average over ``AVERAGE``.
    :param refused: photos a second that were refused, those that were sent again included; the same average.
    :param service: seconds that a worker takes for a photo.
    :param waiting: photos in the queue.
    :param workers: there now.
    """

    added: float
    refused: float
    service: float
    waiting: int
    workers: int


def by_arrivals(load: float, most_refused: float = 1) -> Callable[[Seen], int]:
    """The number that leaves each worker busy for a share of its time; ``bird_workers_needed`` with 0.75 and 1.

    :param load: this share.
    :param most_refused: how many of those that are refused count, for each that is added: they may be sent again.
    """
    return lambda seen: ceil((seen.added + min(seen.refused, most_refused * seen.added)) * seen.service / load)


def by_queue(seconds: float) -> Callable[[Seen], int]:
    """The number that empties the queue in this many seconds, as scalers do that know only its length."""
    return lambda seen: ceil(seen.waiting * seen.service / seconds)


@dataclass(frozen=True)
class Scaling:
    """How the number of workers follows the load.

    :param needed: how many workers it takes.
    :param most: how many there may be.
    :param period: seconds between two looks at the metrics.
    :param start: seconds from the decision to a worker that takes photos.
    :param calm: seconds for which fewer must be needed before one is removed.
    """

    needed: Callable[[Seen], int]
    least: int = 2
    most: int = 1000
    period: float = 60
    start: float = 180
    calm: float = 300


@dataclass(frozen=True)
class Site:
    """A site and its load.

    :param arrivals: the times in seconds at which photos are sent for the first time, in order.
    :param workers: at the beginning.
    :param service: seconds that a worker takes for a photo, the mean.
    :param spread: their standard deviation, as a share of it.
    :param max_waiting: ``BIRD_MAX_WAITING``.
    :param losses: when workers are lost for good, and how many.
    :param failures: how often a second each worker is killed.
    :param restart: seconds until such a worker is there again.
    """

    arrivals: Iterable[float]
    workers: int
    service: float
    spread: float = 0.25
    max_waiting: float = inf
    people: People = People()
    scaling: Scaling | None = None
    losses: tuple[tuple[float, int], ...] = ()
    failures: float = 0
    restart: float = 3


@dataclass(order=True)
class Job:
    """A photo in the queue: the one that was added first is taken first."""

    added: float
    answered: simpy.Event = field(compare=False)
    wait: float = field(default=inf, compare=False)  # until a worker took it for the first time


@dataclass
class Outcome:
    """What happened.

    :param waits: for each photo that a worker took: when that was, and how long it had waited.
    :param answers: for each answer that somebody still waited for: when it came, how long after the photo was added.
    :param refusals: when photos were refused.
    :param too_late: how many answers nobody waited for any more.
    :param gave_up: how many people got no answer in the end.
    :param handed_again: how many photos were handed to another worker.
    :param workers: their number, whenever it changed.
    """

    waits: list[tuple[float, float]] = field(default_factory=list)
    answers: list[tuple[float, float]] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    too_late: int = 0
    gave_up: int = 0
    handed_again: int = 0
    workers: list[tuple[float, int]] = field(default_factory=list)


class Simulation:
    """One run of a site.

    :param seed: the same seed gives the same run.
    """

    def __init__(self, site: Site, seed: int = 0) -> None:
        self.site, self.outcome = site, Outcome()
        self._random = random.Random(seed)
        self._env = simpy.Environment()
        self._queue = simpy.PriorityStore(self._env)
        self._workers: list[simpy.Process] = []
        self._starting = 0
        self._added = self._refused = 0  # since the last second
        self._seen_added = self._seen_refused = 0.0

    def run(self, seconds: float) -> Outcome:
        """Simulate this many seconds."""
        for _ in range(self.site.workers):
            self._start_worker()
        self._env.process(self._arrive())
        self._env.process(self._lose())
        if self.site.scaling:
            self._env.process(self._measure())
            self._env.process(self._scale(self.site.scaling))
        self._env.run(until=seconds)
        return self.outcome

    # --- People

    def _arrive(self) -> Steps:
        for time in self.site.arrivals:
            yield self._env.timeout(time - self._env.now)
            self._env.process(self._send())

    def _send(self) -> Steps:
        """One person, who sends a photo until it is answered or the person gives up."""
        people = self.site.people
        for _try in range(1 + people.retries):
            waiting = len(self._queue.items)
            if waiting > self.site.max_waiting:
                self._refused += 1
                self.outcome.refusals.append(self._env.now)
                yield self._env.timeout(self._pause(waiting))
                continue
            self._added += 1
            job = Job(self._env.now, self._env.event())
            self._queue.put(job)
            if people.patience == inf:
                yield job.answered
            else:
                yield job.answered | self._env.timeout(people.patience)
            if job.answered.triggered:
                self.outcome.answers.append((self._env.now, self._env.now - job.added))
                return
            self.outcome.too_late += 1
        self.outcome.gave_up += 1

    def _pause(self, waiting: int) -> float:
        """Seconds that somebody who was refused waits before the next try."""
        if not self.site.people.heed_retry_after:
            return 0.1
        mean_service_time = self.site.service / max(1, len(self._workers))
        return when_queue_is_empty(waiting, mean_service_time) * (1 + self.site.people.jitter * self._random.random())

    # --- Workers

    def _start_worker(self) -> None:
        self._workers.append(self._env.process(self._work()))
        self._record_workers()

    def _stop_worker(self, lease: float = LEASE) -> None:
        """Stop one of the workers, in the middle of whatever it does.

        :param lease: seconds until its photo is handed to another one; 0 if it ends in an orderly manner.
        """
        worker = self._workers.pop(self._random.randrange(len(self._workers)))
        worker.interrupt(lease)
        self._record_workers()

    def _record_workers(self) -> None:
        self.outcome.workers.append((self._env.now, len(self._workers)))

    def _work(self) -> Steps:
        while True:
            request = self._queue.get()
            try:
                job: Job = yield request
                self._take(job)
                yield self._env.timeout(gamma(self._random, self.site.service, self.site.spread))
            except simpy.Interrupt as stopped:
                if request.triggered:
                    self._env.process(self._hand_again(request.value, lease=stopped.cause))
                else:
                    request.cancel()
                return
            job.answered.succeed()

    def _take(self, job: Job) -> None:
        if job.wait == inf:
            job.wait = self._env.now - job.added
            self.outcome.waits.append((self._env.now, job.wait))

    def _hand_again(self, job: Job, lease: float) -> Steps:
        yield self._env.timeout(lease)
        self.outcome.handed_again += 1
        self._queue.put(job)

    def _lose(self) -> Steps:
        for time, count in self.site.losses:
            yield self._env.timeout(time - self._env.now)
            for _ in range(min(count, len(self._workers))):
                self._stop_worker()
        while self.site.failures:
            yield self._env.timeout(self._random.expovariate(self.site.failures * max(1, len(self._workers))))
            if self._workers:
                self._stop_worker()
                self._env.process(self._start_later(self.site.restart))

    def _start_later(self, seconds: float) -> Steps:
        self._starting += 1
        yield self._env.timeout(seconds)
        self._starting -= 1
        self._start_worker()

    # --- Scaling

    def _measure(self) -> Steps:
        """Average the arrivals, every second."""
        while True:
            yield self._env.timeout(1)
            self._seen_added += (self._added - self._seen_added) / AVERAGE
            self._seen_refused += (self._refused - self._seen_refused) / AVERAGE
            self._added = self._refused = 0

    def _scale(self, scaling: Scaling) -> Steps:
        fewer_since = inf  # the time since when fewer workers are needed
        while True:
            yield self._env.timeout(scaling.period)
            waiting, workers = len(self._queue.items), len(self._workers)
            seen = Seen(self._seen_added, self._seen_refused, self.site.service, waiting, workers)
            needed = min(max(scaling.needed(seen), scaling.least), scaling.most)
            there = len(self._workers) + self._starting
            for _ in range(needed - there):
                self._env.process(self._start_later(scaling.start))
            fewer_since = min(fewer_since, self._env.now) if needed < there else inf
            if self._env.now - fewer_since >= scaling.calm:
                for _ in range(min(there - needed, len(self._workers) - 1)):
                    self._stop_worker(lease=0)
