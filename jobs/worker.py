"""The worker of a split deployment, on as many machines as you like: ``celery -A jobs.worker worker``."""

import contextlib
import logging
import time
from typing import Any, NoReturn

from celery import Celery, Task
from celery.exceptions import Ignore, Reject
from celery.signals import after_setup_logger, after_setup_task_logger, worker_process_init

import logs
from inference.engine import Pixels

from . import MAX_TRIES, TASK
from .acknowledgement import TokenRequest
from .bootsteps import add_steps
from .celery_config import celery_app
from .errors import UnavailableError
from .messages import (
    VERSION,
    BadMessageError,
    decode_picture,
    decode_pixels,
    decode_version_1,
    encode_identification,
    encode_result,
)
from .process import WorkerProcess
from .store import TakenJob

#: Seconds between two jobs that count as work: Celery's, if the next token was there already.
BETWEEN_JOBS = 0.02
PAUSE = 1  # seconds before a token is given back that this worker cannot use; another one may be able to

log = logging.getLogger(__name__)


class IdentifyTask(Task[..., Any]):
    """The task: it takes the job whose turn it is, and names the species in its photo.

    :param process: whose classifier does it.
    """

    name = TASK
    Request = TokenRequest  # type: ignore[assignment]  # Celery takes a class as well as its name

    def __init__(self, process: WorkerProcess) -> None:
        self.process, self.store = process, process.store
        self._ended = 0.0  # when this process ended its last job

    def run(self, message: object = None, *, version: int = 1) -> None:
        """Use a token.

        :param message: the pixels of the job with the ID of this token, if a web process of the release before sent it.
        :param version: of the message.
        :raises Ignore: there is nothing to do, or Celery need not store anything.
        :raises Reject: the token is given back, and the job with it if there is one.
        """
        begun = time.monotonic()
        if begun - self._ended < BETWEEN_JOBS:
            begun = self._ended
        job = self._take(message, version)
        if job is None:
            raise Ignore
        with self.process.lease.hold(job.id):
            try:
                answer = self._identify(job)
            except Exception as error:
                log.exception("A job failed, at try %d; %d are the most.", job.tries, MAX_TRIES)
                self._give_up_or_back(job, error, begun)
            self._end(job, answer, begun)
        if version == 1:
            raise Ignore  # or Celery would store another answer

    def _take(self, message: object, version: int) -> TakenJob | None:
        token = str(self.request.id)
        if version > VERSION:
            log.error("A message has version %d, of a later release; this worker reads %d.", version, VERSION)
            time.sleep(PAUSE)
            raise Reject("version", requeue=True)
        try:
            return self.store.take(token) if version > 1 else self.store.take_this(token, _pixels_in(message))
        except UnavailableError as error:
            time.sleep(PAUSE)  # the broker hands the token out again at once, and Redis may need a while
            raise Reject(error.reason, requeue=True) from error

    def _identify(self, job: TakenJob) -> dict[str, Any]:
        """Name the species, after a closer look if the network is not sure and the job has a picture."""
        if job.tries > MAX_TRIES:
            raise ChildProcessError(f"Each time that it was tried, its process ended: {MAX_TRIES} times.")
        classifier, pixels = self.process.classifier, decode_pixels(job.pixels)
        identification = classifier.classify(pixels)
        picture = self._picture(job.id) if identification.wants_closer_look else None
        if picture is not None:
            identification = classifier.classify(pixels, picture)
        log.info("identified", extra={"ms": {"network": round(1000 * identification.seconds, 1)}})
        return encode_identification(identification)

    def _picture(self, job_id: str) -> Pixels | None:
        """The picture of a job; None if it has none, or none that can be had, since there is an answer without it."""
        try:
            picture = self.store.picture(job_id)
            return decode_picture(picture) if picture else None
        except (UnavailableError, BadMessageError) as error:
            log.warning("There is no closer look at a photo, because its picture cannot be had.", exc_info=error)
            return None

    def _give_up_or_back(self, job: TakenJob, error: Exception, begun: float) -> NoReturn:
        """Let a job fail after its last try, or give it back for another.

        :raises Ignore: it has failed.
        :raises Reject: it is given back.
        """
        if job.tries >= MAX_TRIES:
            self._end(job, None, begun)
            raise Ignore from error
        with contextlib.suppress(UnavailableError):  # the token leads to the job, or its lease ends
            self.store.give_back(job)
        raise Reject(str(error), requeue=True) from error

    def _end(self, job: TakenJob, answer: dict[str, Any] | None, begun: float) -> None:
        """Store an answer, or None for a failure, however long that takes: ``TIME_LIMIT`` ends it."""
        result = encode_result(job.id, answer)
        while True:
            self._ended = time.monotonic()
            try:
                return self.store.finish(job.id, result, self._ended - begun, failed=answer is None)
            except UnavailableError as error:
                log.warning("An answer cannot be stored: %s", error.reason)
                time.sleep(PAUSE)


def _pixels_in(message: object) -> bytes:
    """The pixels in a message of version 1; none, on which the job fails, if it holds no image."""
    try:
        return decode_version_1(message)
    except BadMessageError:
        return b""


def create_app(process: WorkerProcess) -> Celery:
    """Create the Celery app of a worker.

    :param process: the main process.
    """
    app = celery_app(process.settings.queue_url, process.settings.result_url)
    app.conf.worker_consumer = "jobs.consumer:Consumer"
    app.register_task(IdentifyTask(process))
    add_steps(app)
    worker_process_init.connect(process.load_model)
    after_setup_logger.connect(log_as_json)
    after_setup_task_logger.connect(log_as_json)
    # Celery's own lines contain job IDs, and a job ID leads to its photo. This worker logs how each job ended.
    logging.getLogger("celery.app.trace").setLevel(logging.CRITICAL)
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    return app


def log_as_json(logger: logging.Logger, **_signal: object) -> None:
    """Log in the format of the web process."""
    for handler in logger.handlers:
        handler.setFormatter(logs.json_lines())


process = WorkerProcess.from_environment()
app = create_app(process)
