"""The queue at one moment, as the job store describes it, and what the workers say about themselves."""

import json
from dataclasses import dataclass
from math import ceil

from inference.engine import EngineInfo, read_engine_info

from . import NO_WORKER
from .errors import UnavailableError
from .messages import VERSION

EVENTS = ("added", "refused", "started", "answered", "failed", "handed_again")  # which may happen to a job
UTILIZATION = 0.75  # share of the time for which a worker should be busy; benchmarks/simulation.py shows why no more


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker says about itself.

    :param name: unique.
    :param model: the SHA-256 of its model file.
    :param labels: how many species it can name.
    :param engine: how its network runs; None if it does not say.
    :param processes: how many jobs it works on at the same time.
    :param version: the latest version of messages that it reads.
    """

    name: str
    model: str
    labels: int
    engine: EngineInfo | None = None
    processes: int = 1
    version: int = VERSION


@dataclass(frozen=True)
class QueueState:
    """The queue at one moment.

    :param waiting: how many jobs no worker has started.
    :param mean_service_time: seconds that a photo takes, all workers together.
    :param workers: those with a heartbeat within ``HEARTBEAT_TIMEOUT``.
    """

    waiting: int
    mean_service_time: float
    workers: tuple[WorkerInfo, ...]

    def check_workers(self) -> None:
        """Raise an error if nobody would take a job.

        :raises UnavailableError: there is no worker.
        """
        if not self.workers:
            raise UnavailableError(NO_WORKER)


@dataclass(frozen=True)
class QueueFigures:
    """What has happened to the jobs of a site so far, and how many workers it needs. The metrics are made of these.

    :param counts: of jobs ``added``, ``refused``, ``started``, ``answered``, ``failed``, and ``handed_again`` because
        a worker was gone or failed; and the sums ``wait_seconds`` until they were started and ``service_seconds`` that
        workers spent on them.
    :param added_per_second: as an average over the last minute.
    :param refused_per_second: likewise.
    :param workers: processes that take jobs now.
    :param service_seconds: which one of them spends on a photo; an average over the last photos, 0 before the first.
    :param oldest: seconds for which the oldest waiting job has waited.
    """

    counts: dict[str, float]
    added_per_second: float
    refused_per_second: float
    workers: int
    service_seconds: float
    oldest: float

    @property
    def arrivals_per_second(self) -> float:
        """Photos that a site of the right size would get. Who is refused comes again, and is counted again.

        Refusals therefore at most double the arrivals, and the number of workers.
        """
        return self.added_per_second + min(self.refused_per_second, self.added_per_second)

    @property
    def workers_needed(self) -> int:
        """How many processes keep the queue short, at least 1: each is busy for ``UTILIZATION`` of the time."""
        return max(1, ceil(self.arrivals_per_second * self.service_seconds / UTILIZATION))


def read_queue_figures(
    counts: list[bytes], added: bytes, refused: bytes, workers: int, service_seconds: bytes, oldest: bytes
) -> QueueFigures:
    """Read what ``figures`` in ``store.lua`` returns."""
    named = {name.decode(): float(value) for name, value in zip(counts[::2], counts[1::2], strict=True)}
    return QueueFigures(
        {name: named.get(name, 0.0) for name in (*EVENTS, "wait_seconds", "service_seconds")},
        float(added),
        float(refused),
        workers,
        float(service_seconds),
        float(oldest),
    )


def read_queue_state(waiting: int, mean_service_time: bytes, workers: list[bytes]) -> QueueState:
    """Read what ``state`` in ``store.lua`` returns."""
    return QueueState(waiting, float(mean_service_time), tuple(_worker_info(worker) for worker in workers))


def _worker_info(text: bytes) -> WorkerInfo:
    """Read what a worker said about itself. It may be of another release and say less or more."""
    worker = json.loads(text)
    return WorkerInfo(
        worker["name"],
        worker["model"],
        worker["labels"],
        read_engine_info(worker.get("engine")),
        worker.get("processes", 1),
        worker.get("version", 1),
    )
