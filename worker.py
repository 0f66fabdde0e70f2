"""The deep-learning service of the split deployment: ``celery -A worker worker``, on as many machines as wanted."""

import contextlib
import logging
import multiprocessing
import os
import secrets
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import billiard
from celery import Task, bootsteps
from celery.exceptions import Ignore, Reject
from celery.signals import after_setup_logger, after_setup_task_logger, worker_process_init
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.request import Request
from celery.worker.state import maybe_shutdown, task_ready
from kombu import Connection
from kombu.asynchronous import set_event_loop

import logs
import settings
from inference import PairError
from inference.card import sha256
from inference.labels import load_labels
from inference.pair import check_pair, load_classifier
from jobs import MAX_TRIES, TASK, FailedError, UnavailableError
from jobs.engine import START_LIMIT, celery_app
from jobs.health import answer_health
from jobs.messages import decode_pixels, encode_identification
from jobs.register import BEAT_INTERVAL, Register, Worker

if TYPE_CHECKING:
    from inference.classifier import Classifier

RECONNECT_INTERVAL = 1  # seconds between two tries to reach a broker that is gone
PAUSE = 1  # seconds before a job is given back because Redis does not answer

log = logging.getLogger(__name__)
# The name of a job leads to its photo, so it is not for logs. The worker says itself what became of it.
logging.getLogger("celery.app.trace").setLevel(logging.CRITICAL)
logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)


@after_setup_logger.connect
@after_setup_task_logger.connect
def log_as_json(logger: logging.Logger, **_about: object) -> None:
    """Log as the web does."""
    for handler in logger.handlers:
        handler.setFormatter(logs.json_lines())


def stop(sentence: str) -> None:
    """End with one line that says why."""
    print(f"worker: {sentence}", file=sys.__stderr__, flush=True)  # Celery makes a log line of what goes to stderr
    sys.exit(settings.CANNOT_START)


try:
    config = settings.from_environment()
except settings.SettingError as error:
    stop(str(error))
if not config["QUEUE_URL"]:
    stop("BIRD_QUEUE_URL is not set. Give it the address of the broker that the web process uses.")

MODEL, LABELS = Path(config["MODEL"]), Path(config["LABELS"])
try:
    check_pair(MODEL, LABELS)
except PairError as error:
    stop(str(error))
MODEL_SHA256 = sha256(MODEL)
app = celery_app(config["QUEUE_URL"], config["RESULT_URL"])
app.conf.worker_consumer = "worker:Consumer"
register = Register(config["RESULT_URL"])
_loading = threading.Lock()
takes_jobs = threading.Event()
LABELS_KNOWN = len(load_labels(LABELS))


class JobRequest(Request):
    """A job in the hands of the worker's main process."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        # Errors that Celery would only log when it cannot acknowledge a job. It would then hold the job, and so take no
        # other, for ever; this way it connects again.
        self._connection_errors = ()

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Give the job back, so that it is tried again; Celery would enter it as failed."""
        if soft:
            super().on_timeout(soft, timeout)
            return
        task_ready(self)
        log.error("A job took longer than %s seconds: its process is killed.", timeout)
        self.reject(requeue=True)


class Job(Task):
    """A task that is entered as done when its answer has been stored, so that a job done twice has one answer."""

    Request = JobRequest

    def on_success(self, _answer: object, job: str, *_arguments: object) -> None:
        enter_as_done(job)

    def on_failure(self, _error: Exception, job: str, *_arguments: object) -> None:
        enter_as_done(job)


def enter_as_done(job: str) -> None:
    """Tell the register."""
    try:
        register.finish(job)
    except UnavailableError as error:
        log.warning("A job is done, but not entered as such: %s", error.reason)


@app.task(name=TASK, base=Job, bind=True)
def identify(task: Task, picture: str) -> dict[str, Any]:
    """Name the species.

    :param picture: what ``encode_pixels`` made.
    :return: what ``encode_identification`` makes.
    :raises Reject: it failed, and is to be tried again.
    :raises FailedError: it failed as often as it may.
    :raises Ignore: nobody waits for the answer, or it is there already.
    """
    try:
        tries = register.begin(task.request.id)
    except UnavailableError as error:
        time.sleep(PAUSE)  # it comes back at once, and Redis may need a while
        raise Reject(error.reason, requeue=True) from error
    if not tries:
        raise Ignore
    if tries > MAX_TRIES:
        log.error("A job has ended the process that was at it %d times. It is not tried again.", MAX_TRIES)
        raise FailedError
    try:
        identification = classifier().classify(decode_pixels(picture))
        log.info("identified", extra={"ms": {"network": round(1000 * identification.seconds, 1)}})
        return encode_identification(identification)
    except Exception as error:
        log.exception("A job failed, at try %d of %d.", tries, MAX_TRIES)
        if tries == MAX_TRIES:
            raise FailedError from error
        raise Reject(str(error), requeue=True) from error


@cache
def _load_classifier() -> "Classifier":
    return load_classifier(MODEL, LABELS, config["PRECISION"])


def classifier() -> "Classifier":
    """The one classifier of this process of the pool. TensorFlow does not survive a fork: no other process has one."""
    with _loading:
        return _load_classifier()


class _Readiness:
    """What the processes of the pool tell the one that they were forked from: that they have loaded the model."""

    def __init__(self) -> None:
        self.loaded = multiprocessing.Semaphore(0)
        self.fault = multiprocessing.Array("c", 1000)


readiness = _Readiness()


@worker_process_init.connect
def load(**_about: object) -> None:
    """Load the model and answer a blank picture, before this process takes its first job."""
    try:
        classifier()  # it answers one as it loads
    except Exception as error:
        sentence = str(error) if isinstance(error, PairError) else f"{type(error).__name__}: {error}"
        readiness.fault.value = sentence.encode()[: len(readiness.fault) - 1]
        os._exit(settings.CANNOT_START)  # Celery would go on without a model
    readiness.loaded.release()


def stop_if_a_model_could_not_be_loaded() -> None:
    """:raises SystemExit: one could not, at the start or in the place of a process that has ended."""
    if readiness.fault.value:
        stop(readiness.fault.value.decode(errors="replace"))


class AnswerHealth(bootsteps.StartStopStep):
    """Whoever asks by HTTP, if BIRD_HEALTH_PORT is set, is told whether this worker takes jobs."""

    requires = ("celery.worker.components:Pool",)

    def start(self, _worker: Any) -> None:
        """
        :raises SystemExit: the port is taken.
        """
        if not config["HEALTH_PORT"]:
            return
        try:
            answer_health(config["HEALTH_PORT"], health)
        except OSError as error:
            stop(f"BIRD_HEALTH_PORT={config['HEALTH_PORT']} cannot be used: {error.strerror}.")


def health() -> tuple[dict[str, object], int]:
    """What this worker says of itself, and the status for it."""
    if not takes_jobs.is_set():
        return {"reason": "The model is being loaded, or the queue cannot be reached."}, 503
    return {"mode": "worker", "labels": LABELS_KNOWN, "model": MODEL_SHA256}, 200


class AwaitModel(bootsteps.StartStopStep):
    """No job is taken before every process of the pool has loaded the model, so that others may have it meanwhile."""

    requires = (AnswerHealth,)

    def start(self, worker: Any) -> None:
        """:raises SystemExit: one of them cannot."""
        deadline = time.monotonic() + START_LIMIT
        for _ in range(worker.pool.num_processes):
            while not readiness.loaded.acquire(timeout=1):
                maybe_shutdown()
                stop_if_a_model_could_not_be_loaded()
                if time.monotonic() > deadline or len(billiard.active_children()) < worker.pool.num_processes:
                    stop("a process that loads the model has ended, or is too slow. Is there enough memory?")


class ShowPresence(bootsteps.StartStopStep):
    """While it takes jobs, a worker gives signs of life. It stops as soon as the broker is gone."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: CeleryConsumer, **options: object) -> None:
        super().__init__(consumer, **options)
        name = f"{consumer.hostname}/{secrets.token_hex(4)}"  # two may have the same host name
        self.worker = Worker(name, MODEL_SHA256, LABELS_KNOWN)
        self.timer = None

    def start(self, consumer: CeleryConsumer) -> None:
        """Give the first sign, and go on."""
        self.beat()
        self.timer = consumer.timer.call_repeatedly(BEAT_INTERVAL, self.beat)

    def stop(self, _consumer: CeleryConsumer) -> None:
        """Sign off."""
        takes_jobs.clear()
        if self.timer is not None:
            self.timer.cancel()
        with contextlib.suppress(UnavailableError):
            register.sign_off(self.worker)

    def beat(self) -> None:
        """Give a sign of life."""
        stop_if_a_model_could_not_be_loaded()
        try:
            register.beat(self.worker)
            takes_jobs.set()
        except UnavailableError as error:
            takes_jobs.clear()
            log.warning("No sign of life was given: %s", error.reason)


class Consumer(CeleryConsumer):
    """What takes jobs from the broker. When that is gone, Celery's own waits ever longer before it looks again.

    Workers have nothing to say to each other, for which Celery's own would first wait a second.
    """

    def __init__(self, *arguments: Any, worker_options: dict[str, Any], **more: Any) -> None:
        quiet = {"without_mingle": True, "without_gossip": True}
        super().__init__(*arguments, worker_options=worker_options | quiet, **more)

    def ensure_connected(self, connection: Connection) -> Connection:
        """Connect, however long it takes until the broker is there."""
        # The end of the last connection has made kombu forget the event loop, without which it asks Amazon SQS no more.
        if self.hub:
            set_event_loop(self.hub)

        def report(error: Exception, _interval: float) -> None:
            log.error("The broker %s does not answer: %s", connection.as_uri(), error)

        return connection.ensure_connection(
            report, None, RECONNECT_INTERVAL, 0, RECONNECT_INTERVAL, callback=maybe_shutdown
        )


app.steps["worker"].update((AnswerHealth, AwaitModel))
app.steps["consumer"].add(ShowPresence)
