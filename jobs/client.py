"""The web's side of the seam: the same ``classify(pixels)`` as the network's, and a worker does it."""

import contextlib
import secrets
from collections.abc import Iterator

import numpy as np
from celery import states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult
from kombu.exceptions import OperationalError
from redis import RedisError

from inference import Identification
from inference.line import LaterError

from . import NO_BROKER, NO_REDIS, QUEUE, TASK, FailedError, LostError, UnavailableError
from .engine import ANSWER_TIMEOUT, CONNECT_TIMEOUT, celery_app
from .messages import BadMessageError, decode_identification, encode_pixels
from .register import Place, Register, State

# What Celery raises when a broker or the Redis does not answer; a RuntimeError when it could not connect again.
_UNREACHABLE = (OperationalError, RedisError, OSError, RuntimeError)


class RemoteClassifier:
    """A classifier whose network runs in workers, behind a queue.

    :ivar labels: of the pair that lies here; an answer comes with the labels of the worker's pair.
    :ivar sha256: of the model file that lies here.
    :param queue_url: of a Celery broker.
    :param result_url: of a Redis.
    :param max_waiting: how many jobs may wait for a worker.
    :param result_wait: seconds after which ``classify`` leaves the answer to ``look_up``.
    """

    def __init__(
        self,
        queue_url: str,
        result_url: str,
        *,
        labels: tuple[str, ...],
        sha256: str,
        max_waiting: int,
        result_wait: float,
    ) -> None:
        self.labels, self.sha256 = labels, sha256
        self.max_waiting, self.result_wait = max_waiting, result_wait
        self._celery = celery_app(queue_url, result_url, for_web=True)
        self._register = Register(result_url)

    def check(self) -> None:
        """
        :raises BusyError: too many jobs wait.
        :raises UnavailableError: no job would be done.
        """
        self._register.state().check(self.max_waiting)

    def classify(self, pixels: np.ndarray, wait: float | None = None) -> Identification:
        """Have a worker name the species.

        :param pixels: ``uint8[224, 224, 3]``, RGB.
        :param wait: seconds, in the place of ``result_wait``.
        :raises LaterError: it takes longer; ``look_up`` will find it.
        :raises FailedError: the workers have given up on it.
        :raises BusyError: too many jobs wait.
        :raises UnavailableError: no job would be done.
        """
        job = secrets.token_urlsafe(16)  # nobody guesses 128 bits
        picture = encode_pixels(pixels)
        result = self._send(job, picture)
        try:
            result.get(timeout=self.result_wait if wait is None else wait, propagate=False)
        except (CeleryTimeoutError, *_UNREACHABLE) as error:
            with contextlib.suppress(*_UNREACHABLE):
                result.backend.remove_pending_result(result)
            raise LaterError(job) from error
        try:
            return _answer_in(result)
        finally:
            with contextlib.suppress(UnavailableError, *_UNREACHABLE):
                self._register.answered(job)
                result.forget()

    def _send(self, job: str, picture: str) -> AsyncResult:
        try:
            self._register.enter(job, self.max_waiting)
            with _broker_takes_jobs():
                return self._celery.send_task(
                    TASK, (picture,), task_id=job, argsrepr="a picture", confirm_timeout=ANSWER_TIMEOUT
                )
        except UnavailableError:
            self.forget(job)
            with contextlib.suppress(*_UNREACHABLE):
                self._celery.backend.result_consumer.cancel_for(job)
            raise

    def keep_thumbnail(self, job: str, jpeg: bytes) -> None:
        """Keep what the person will be shown beside the answer that comes later.

        :raises UnavailableError: that cannot be done.
        """
        self._register.keep_thumbnail(job, jpeg)

    def look_up(self, job: str) -> tuple[bytes, Identification | Place]:
        """What has become of a job.

        :return: the thumbnail, and the answer; or the place in the line.
        :raises UnknownJobError: there is no such job, or it was too long ago.
        :raises FailedError: the workers have given up on it.
        :raises LostError: no answer is to be hoped for.
        :raises UnavailableError: that cannot be told at the moment.
        """
        thumbnail = self._register.thumbnail(job)
        try:
            identification = _answer_in(AsyncResult(job, app=self._celery))
        except _UNREACHABLE as error:
            raise UnavailableError(NO_REDIS) from error
        return thumbnail, identification or self._register.place(job)

    def forget(self, job: str) -> None:
        """Nobody asks for this job any more. If Redis does not answer, it forgets by itself later."""
        with contextlib.suppress(UnavailableError):
            self._register.forget(job)

    def state(self) -> State:
        """Who waits and who works, if the broker takes jobs.

        :raises UnavailableError: it does not, or the Redis does not answer.
        """
        state = self._register.state()
        with _broker_takes_jobs(), self._celery.pool.acquire(block=True, timeout=CONNECT_TIMEOUT) as connection:
            self._celery.amqp.queues[QUEUE](connection.default_channel).queue_declare()
        return state


@contextlib.contextmanager
def _broker_takes_jobs() -> Iterator[None]:
    """
    :raises UnavailableError: it does not. Every kind of broker says so in exceptions of its own.
    """
    try:
        yield
    except Exception as error:
        raise UnavailableError(NO_BROKER) from error


def _answer_in(result: AsyncResult) -> Identification | None:
    """What a worker said; nothing if none has said anything yet.

    :raises FailedError: the workers have given up.
    :raises LostError: it cannot be read; the worker may be of another release.
    """
    state = result.state
    if state == states.FAILURE:
        raise FailedError
    if state != states.SUCCESS:
        return None
    try:
        return decode_identification(result.result)
    except BadMessageError as error:
        raise LostError from error
