"""The worker of a split deployment, on as many machines as you like: ``celery -A jobs.worker worker``."""

import logging
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger, after_setup_task_logger, worker_process_init

import logs
from inference import Identification
from inference.engine import Pixels

from . import TASK
from .acknowledgement import JobTask, try_job
from .bootsteps import add_steps
from .celery_config import celery_app
from .errors import UnavailableError
from .messages import BadMessageError, decode_picture, decode_pixels, encode_identification
from .process import WorkerProcess

log = logging.getLogger(__name__)


class IdentifyTask(JobTask):
    """The task: it names the species in one photo.

    :param process: whose classifier does it.
    """

    name = TASK

    def __init__(self, process: WorkerProcess) -> None:
        super().__init__(process.store)
        self.process = process

    def run(self, encoded_pixels: object) -> dict[str, Any]:
        """Identify a photo.

        :param encoded_pixels: what ``encode_pixels`` returned.
        :return: what ``encode_identification`` returns.
        :raises Exception: those of ``try_job``.
        """
        with try_job(self.store, str(self.request.id)):
            identification = self._classify(decode_pixels(encoded_pixels))
            log.info("identified", extra={"ms": {"network": round(1000 * identification.seconds, 1)}})
            return encode_identification(identification)

    def _classify(self, pixels: Pixels) -> Identification:
        """Name the species, after a closer look if the network is not sure and the job has a picture."""
        classifier = self.process.classifier
        identification = classifier.classify(pixels)
        picture = self._picture() if identification.wants_closer_look else None
        return identification if picture is None else classifier.classify(pixels, picture)

    def _picture(self) -> Pixels | None:
        """The picture of the job; None if it has none, or none that can be had, since there is an answer without it."""
        try:
            picture = self.store.picture(str(self.request.id))
            return decode_picture(picture) if picture else None
        except (UnavailableError, BadMessageError) as error:
            log.warning("There is no closer look at a photo, because its picture cannot be had.", exc_info=error)
            return None


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
