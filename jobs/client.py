"""The classifier of a web process in a split deployment: the same ``classify``, but a worker runs the network."""

import contextlib
import secrets
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from celery import states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult
from kombu.exceptions import OperationalError
from redis import RedisError

from inference import Identification
from inference.engine import EngineInfo
from inference.regions import Region

from . import NO_REDIS
from .celery_config import celery_app
from .errors import JobFailedError, JobLostError, UnavailableError, unavailable_on
from .messages import VERSION, decode_identification, encode_picture, encode_pixels
from .pending import PendingJob, Position
from .queue_state import QueueFigures, QueueState
from .sender import ANYBODY, Sender
from .store import JobStore
from .tokens import count_tokens, send_token, send_version_1

# What Celery raises when a broker or the Redis does not answer; a RuntimeError when it could not connect again.
_UNREACHABLE = (OperationalError, RedisError, OSError, RuntimeError)


class RemoteClassifier:
    """A classifier whose network runs in the workers behind a queue.

    :ivar labels: of the pair on this machine. An answer carries the labels of the worker's pair.
    :ivar batch_size: how many photos ``classify_batch`` takes.
    :ivar concurrency: how many calls may run at the same time: one for each job that may wait, and one in progress.
    :ivar is_remote: photos leave this process.
    :param queue_url: the address of a Celery broker.
    :param result_url: the address of a Redis.
    :param max_waiting: how many jobs may wait for a worker, those of all web processes together.
    :param result_wait: seconds that ``classify`` waits for an answer before it returns a ``PendingJob``.
    """

    batch_size = 1
    is_remote = True
    network_in_words = ""  # each worker logs its own

    def __init__(
        self,
        queue_url: str,
        result_url: str,
        *,
        labels: tuple[str, ...],
        max_waiting: int,
        result_wait: float,
    ) -> None:
        self.labels = labels
        self.concurrency = max_waiting + 1
        self._max_waiting, self._result_wait = max_waiting, result_wait
        self._refusals, self._refusals_lock = 0, threading.Lock()  # those that the store has not been told of
        self._celery = celery_app(queue_url, result_url, for_web=True)
        self._store = JobStore(result_url)

    def check(self) -> None:
        """Raise an error if no job would be accepted now.

        :raises BusyError: too many jobs wait.
        :raises UnavailableError: there is no worker, or the Redis does not answer.
        """
        self._store.check(self._max_waiting)

    def classify(
        self,
        pixels: npt.NDArray[np.uint8],
        wait: float | None = None,
        picture: npt.NDArray[np.uint8] | None = None,
        region: Region | None = None,
        sender: Sender = ANYBODY,
    ) -> Identification | PendingJob:
        """Have a worker name the species.

        :param pixels: ``uint8[224, 224, 3]``, RGB.
        :param wait: seconds to wait for the answer, instead of ``result_wait``.
        :param picture: the whole photo, ``uint8[height, width, 3]``, in which the network searches for birds if it is
            not sure.
        :param region: the part of the photo that the pixels show.
        :param sender: decides whose turn it is among those that wait.
        :return: the answer; or, if it takes longer, the job with which ``look_up`` will find it.
        :raises JobFailedError: the workers failed on it.
        :raises JobLostError: the answer cannot be read.
        :raises BusyError: too many jobs wait.
        :raises UnavailableError: there is no worker, or the broker or the Redis does not answer.
        """
        job_id = secrets.token_urlsafe(16)  # 128 bits, which nobody can guess
        result = self._send(job_id, encode_pixels(pixels), sender, picture, region)
        try:
            result.get(timeout=self._result_wait if wait is None else wait, propagate=False)
        except (CeleryTimeoutError, *_UNREACHABLE):
            with contextlib.suppress(*_UNREACHABLE):
                self._backend.remove_pending_result(result)
            return PendingJob(job_id)
        try:
            answer = _answer(result)
            return _about(region, answer) if answer else PendingJob(job_id)
        finally:
            with contextlib.suppress(UnavailableError, *_UNREACHABLE):
                self._store.mark_fetched(job_id)
                result.forget()

    def count_refusal(self) -> None:
        """Count a photo that was refused before this classifier was asked. The store learns of it with the next job."""
        with self._refusals_lock:
            self._refusals += 1

    def _take_refusals(self) -> int:
        with self._refusals_lock:
            refusals, self._refusals = self._refusals, 0
        return refusals

    def engine_info(self) -> EngineInfo | None:
        """How the workers' networks run; None if they do not all say the same."""
        try:
            said = {worker.engine for worker in self._store.state().workers}
        except UnavailableError:
            return None
        return said.pop() if len(said) == 1 else None

    def classify_batch(self, pixels: npt.NDArray[np.uint8]) -> list[Identification | PendingJob]:
        """Have workers name the species in several images, one after the other; see ``classify``.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB.
        """
        return [self.classify(each) for each in pixels]

    def _send(
        self,
        job_id: str,
        content: bytes,
        sender: Sender,
        picture: npt.NDArray[np.uint8] | None,
        region: Region | None,
    ) -> AsyncResult[Any]:
        """Add a job to the store with what a worker or ``look_up`` may need, and have a worker take it."""
        try:
            version = self._store.add(job_id, content, self._max_waiting, sender, self._take_refusals())
            if picture is not None:
                self.keep_picture(job_id, picture)
            if region:
                self._store.keep_region(job_id, str(region))
            with unavailable_on(NO_REDIS, *_UNREACHABLE):
                self._backend.result_consumer.consume_from(job_id)
            if version < VERSION:
                send_version_1(self._celery, job_id, content)
            else:
                send_token(self._celery)
            return AsyncResult(job_id, app=self._celery)
        except UnavailableError:
            self.drop(job_id)
            with contextlib.suppress(*_UNREACHABLE):
                self._backend.result_consumer.cancel_for(job_id)
            raise

    @property
    def _backend(self) -> Any:
        """Celery's Redis backend; celery-types describes only what all backends have."""
        return self._celery.backend

    def keep_thumbnail(self, job_id: str, jpeg: bytes) -> None:
        """Keep the thumbnail that ``look_up`` returns with the answer.

        :raises UnavailableError: the Redis does not answer.
        """
        self._store.keep_thumbnail(job_id, jpeg)

    def keep_picture(self, job_id: str, picture: npt.NDArray[np.uint8]) -> bool:
        """Keep the picture in which a worker that is not sure searches for birds.

        :param picture: ``uint8[height, width, 3]``, RGB.
        :return: False if that is too late: a worker was not sure, and answers without a closer look.
        :raises UnavailableError: the Redis does not answer.
        """
        return self._store.keep_picture(job_id, encode_picture(picture))

    def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
        """Look for the answer to a job.

        :return: the thumbnail, a JPEG file, empty if none was kept; and the answer, or the position in the queue.
        :raises UnknownJobError: there is no such job, or it is older than ``ANSWER_LIFETIME``.
        :raises JobFailedError: the workers failed on it.
        :raises JobLostError: there will be no answer, or it cannot be read.
        :raises UnavailableError: the Redis does not answer.
        """
        thumbnail = self._store.thumbnail(job_id)
        with unavailable_on(NO_REDIS, *_UNREACHABLE):
            identification = _answer(AsyncResult(job_id, app=self._celery))
        if identification is None:
            return thumbnail, self._store.position(job_id)
        region = self._store.region(job_id)
        return thumbnail, _about(Region.parse(region) if region else None, identification)

    def figures(self) -> QueueFigures:
        """What has happened to jobs so far, and how many workers are needed.

        :raises UnavailableError: the Redis does not answer.
        """
        return self._store.figures()

    def drop(self, job_id: str) -> None:
        """Drop a job that nobody waits for. If Redis does not answer, the job expires there anyway."""
        with contextlib.suppress(UnavailableError):
            self._store.drop(job_id)

    def state(self) -> QueueState:
        """How many jobs wait, and which workers there are, provided that the broker takes jobs.

        :raises UnavailableError: the broker or the Redis does not answer.
        """
        state = self._store.state()
        count_tokens(self._celery)
        return state


def _about(region: Region | None, identification: Identification) -> Identification:
    """An answer about a region of the photo; the worker was not told which one its pixels show."""
    return replace(identification, region=region) if region else identification


def _answer(result: AsyncResult[Any]) -> Identification | None:
    """The answer of a worker; None if there is none yet.

    :raises JobFailedError: the workers failed on the job.
    :raises JobLostError: the answer cannot be read; the worker may be of another release.
    """
    try:
        state = result.state
        if state in states.PROPAGATE_STATES:
            raise JobFailedError
        return decode_identification(result.result) if state == states.SUCCESS else None
    except (JobFailedError, *_UNREACHABLE):
        raise
    except Exception as error:  # Celery, too, raises exceptions of many kinds over an answer that is not one
        raise JobLostError from error
