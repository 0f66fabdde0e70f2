"""The queue at one moment, as the job store describes it, and what the workers say about themselves."""

import json
from dataclasses import dataclass

from inference.engine import EngineInfo, read_engine_info

from . import LONGEST_WAIT, NO_WORKER
from .errors import BusyError, UnavailableError
from .messages import VERSION


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

    def check(self, max_waiting: int) -> None:
        """Raise an error if no further job may be added.

        :param max_waiting: how many jobs may wait.
        :raises BusyError: too many jobs wait, or the next one would wait longer than ``LONGEST_WAIT``.
        :raises UnavailableError: there is no worker.
        """
        self.check_workers()
        if self.waiting > max_waiting or self.waiting * self.mean_service_time > LONGEST_WAIT:
            raise BusyError(self.waiting, self.mean_service_time)

    def check_workers(self) -> None:
        """Raise an error if nobody would take a job.

        :raises UnavailableError: there is no worker.
        """
        if not self.workers:
            raise UnavailableError(NO_WORKER)


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
