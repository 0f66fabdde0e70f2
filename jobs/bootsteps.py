"""What a worker does in addition to Celery's own steps when it starts and stops.

Celery creates these objects itself, and passes them its ``WorkController`` or its consumer.
"""

import contextlib
import logging
import secrets
import time
from typing import Any, cast

import billiard
from celery import Celery, bootsteps
from celery.worker.state import maybe_shutdown

from . import TASK
from .celery_config import START_LIMIT
from .errors import UnavailableError
from .health import serve_health
from .process import WorkerProcess, stop_worker
from .queue_state import WorkerInfo
from .store import HEARTBEAT_INTERVAL
from .tokens import send_missing_tokens

log = logging.getLogger(__name__)


def add_steps(app: Celery) -> None:
    """Have every worker of an app take the steps of this module."""
    app.steps["worker"].update((ServeHealth, AwaitModel))
    app.steps["consumer"].add(Heartbeat)


def _process(app: Celery) -> WorkerProcess:
    """The object that the task was given in ``jobs/worker.py``."""
    task: Any = app.tasks[TASK]
    return cast(WorkerProcess, task.process)


class ServeHealth(bootsteps.StartStopStep):
    """Answers ``/healthz`` at ``BIRD_HEALTH_PORT``, if that is set."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Start the HTTP server.

        :raises SystemExit: the port cannot be used.
        """
        process = _process(worker.app)
        port = process.settings.health_port
        if not port:
            return
        try:
            serve_health(port, process.health)
        except OSError as error:
            stop_worker(f"BIRD_HEALTH_PORT={port} cannot be used: {error.strerror}.")


class AwaitModel(bootsteps.StartStopStep):
    """Takes no jobs before every pool process has loaded the model, so that other workers get them meanwhile."""

    requires = (ServeHealth,)

    def start(self, worker: Any) -> None:
        """Wait for every pool process.

        :raises SystemExit: a pool process failed to load the model, or takes longer than ``START_LIMIT``.
        """
        process = _process(worker.app)
        deadline = time.monotonic() + START_LIMIT
        for _ in range(worker.pool.num_processes):
            while not process.await_model(seconds=1):
                maybe_shutdown()
                if time.monotonic() > deadline or len(billiard.active_children()) < worker.pool.num_processes:
                    stop_worker("a process that loads the model has ended, or is too slow. Is there enough memory?")


class Heartbeat(bootsteps.StartStopStep):
    """Sends heartbeats to the job store while the worker takes jobs, and the tokens that the broker does not have.

    Celery stops it as soon as the broker is gone.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: object) -> None:
        super().__init__(consumer, **options)
        self._process = _process(consumer.app)
        self._app, self._pool = consumer.app, consumer.pool
        self._name = f"{consumer.hostname}/{secrets.token_hex(4)}"  # two workers may have the same host name
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Send the first heartbeat, and the others regularly."""
        self._send_heartbeat()
        self._timer = consumer.timer.call_repeatedly(HEARTBEAT_INTERVAL, self._send_heartbeat)

    def stop(self, _consumer: Any) -> None:
        """Send no more heartbeats, and remove this worker from the job store."""
        self._process.takes_jobs.clear()
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(UnavailableError):
            self._process.store.remove_worker(self._info)

    @property
    def _info(self) -> WorkerInfo:
        pair = self._process.pair
        return WorkerInfo(self._name, pair.sha256, len(pair.labels), self._process.engine, self._pool.num_processes)

    def _send_heartbeat(self) -> None:
        self._process.stop_if_model_failed()
        try:
            waiting = self._process.store.heartbeat(self._info)
            self._process.takes_jobs.set()
        except UnavailableError as error:
            self._process.takes_jobs.clear()
            log.warning("A heartbeat could not be sent: %s", error.reason)
            return
        if waiting:
            self._send_missing_tokens(waiting)

    def _send_missing_tokens(self, waiting: int) -> None:
        try:
            if sent := send_missing_tokens(self._app, waiting):
                log.info("Jobs waited for which the broker had no token: %d were sent.", sent)
        except UnavailableError as error:
            log.warning("A token could not be sent: %s", error.reason)
