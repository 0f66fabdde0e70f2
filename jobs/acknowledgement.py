"""When a job counts as done, is given back to be tried again, or fails for good.

The broker forgets a job only when the worker acknowledges it, and Celery does so when the task has ended:

- it returns an answer, or raises ``JobFailedError`` or ``Ignore``: acknowledged;
- it raises ``Reject``, or runs longer than ``TIME_LIMIT``: given back to the broker, for another try;
- its worker is gone: the broker gives it to another one, at once or after ``REDELIVERY``.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Task
from celery.exceptions import Ignore, Reject
from celery.worker.request import Request
from celery.worker.state import task_ready

from . import MAX_TRIES
from .errors import JobFailedError, UnavailableError
from .store import JobStore

PAUSE = 1  # seconds before a job is given back because Redis does not answer

log = logging.getLogger(__name__)


class JobRequest(Request):
    """A job in the worker's main process, which acknowledges it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Celery would only log these errors when it cannot acknowledge a job. It would then keep the job for ever, and
        # take no other. Now they reach the consumer, which connects again.
        self._connection_errors = ()

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Give a job back that took too long; Celery would mark it as failed."""
        if soft:
            super().on_timeout(soft, timeout)
            return
        task_ready(self)
        log.error("A job took longer than %s seconds; its process is killed.", timeout)
        self.reject(requeue=True)


class JobTask(Task[..., Any]):
    """A task that marks its job as done when its answer or its failure has been stored.

    A job that was done by two workers therefore still has one answer.

    :param store: of the jobs.
    """

    Request = JobRequest  # type: ignore[assignment]  # Celery takes a class as well as its name

    def __init__(self, store: JobStore) -> None:
        self.store = store

    def on_success(self, _answer: object, job_id: str, *_arguments: object) -> None:
        """Called by Celery when the answer has been stored."""
        self._finish(job_id)

    def on_failure(self, _error: Exception, job_id: str, *_arguments: object) -> None:
        """Called by Celery when the failure has been stored."""
        self._finish(job_id)

    def _finish(self, job_id: str) -> None:
        try:
            self.store.finish(job_id)
        except UnavailableError as error:
            log.warning("A job is done, but could not be marked as such: %s", error.reason)


@contextmanager
def try_job(store: JobStore, job_id: str) -> Iterator[None]:
    """Count a try of a job, run the block, and decide what happens when it raises an exception.

    :raises Ignore: nobody waits for the answer, or there is one already; the block is not run.
    :raises Reject: this try failed, or Redis does not answer; the job is given back.
    :raises JobFailedError: the last try failed.
    """
    tries = _begin(store, job_id)
    try:
        yield
    except Exception as error:
        log.exception("A job failed, at try %d of %d.", tries, MAX_TRIES)
        if tries == MAX_TRIES:
            raise JobFailedError from error
        raise Reject(str(error), requeue=True) from error


def _begin(store: JobStore, job_id: str) -> int:
    """Begin a try of a job.

    :return: its number, from 1.
    :raises Exception: those of ``try_job``.
    """
    try:
        tries = store.begin(job_id)
    except UnavailableError as error:
        time.sleep(PAUSE)  # the broker hands the job out again at once, and Redis may need a while
        raise Reject(error.reason, requeue=True) from error
    if not tries:
        raise Ignore
    if tries > MAX_TRIES:
        log.error("A job was tried %d times, and each time its process ended. It is not tried again.", MAX_TRIES)
        raise JobFailedError
    return tries
