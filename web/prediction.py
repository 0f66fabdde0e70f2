"""One photo -> a prediction, or a pending job whose answer is looked up later."""

import logging
import select
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from flask import has_request_context, request
from werkzeug.exceptions import NotFound

from inference import Identification
from inference.regions import Region
from inference.sentences import Sentence
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError, UnknownJobError
from jobs.pending import PendingJob, Position

from .admission import NO_CLOSER_LOOK, DisconnectedError, PendingPrediction, Prediction
from .sender import current_sender
from .services import current_services
from .telemetry import record_outcome, record_stage, record_verdict

log = logging.getLogger(__name__)


def predict(photo: BinaryIO, region: Region | None = None, *, wait: bool = True) -> Prediction | PendingPrediction:
    """Name the bird.

    :param photo: an open binary file.
    :param region: the part of the photo that shows it; by default it is looked for in the whole photo.
    :param wait: whether to wait a while for the answer of a worker; without workers it makes no difference.
    :raises PhotoError: the file cannot be used as a photo.
    :raises BusyError: too many photos are waiting, or too many of this client.
    :raises DisconnectedError: the client of this request has disconnected.
    :raises JobFailedError: the workers failed on it.
    :raises UnavailableError: no worker would identify it.
    """
    services = current_services()
    sender, is_disconnected = current_sender(), disconnect_checker()
    classify = partial(services.classifier.classify, wait=None if wait else 0, sender=sender)
    prediction = services.admission.predict(
        photo, is_disconnected, classify, region=region, picture_first=not wait, sender=sender
    )
    if isinstance(prediction, PendingPrediction):
        drop_job_if_disconnected(prediction.job_id, is_disconnected)
        prediction = _with_picture(prediction)
    if has_request_context():
        _record(prediction)
    return prediction


def look_up(job_id: str) -> tuple[bytes, Identification | Position]:
    """The thumbnail of a pending job, and its answer or its position in the queue.

    :raises NotFound: there is no such job.
    :raises JobFailedError: the workers failed on it.
    :raises JobLostError: the answer will not come.
    :raises UnavailableError: the queue does not answer.
    """
    try:
        return current_services().classifier.look_up(job_id)
    except UnknownJobError as error:
        if request.method == "POST":  # the store has lost what it was just given
            raise JobLostError from error
        raise NotFound(
            Sentence("There is no such answer here, or it is more than an hour old. Please send the photo again.")
        ) from error


def drop_job_if_disconnected(job_id: str, is_disconnected: Callable[[], bool]) -> None:
    """Drop a pending job whose answer nobody would look up.

    :raises DisconnectedError: the client has disconnected, and the job has been dropped.
    """
    if is_disconnected():
        current_services().classifier.drop(job_id)
        raise DisconnectedError


def disconnect_checker() -> Callable[[], bool]:
    """A function that tells, in any thread, whether the client of this request has disconnected.

    A client that has closed its sending side counts as disconnected, as it does with nginx. This can be told only on
    Linux, under Flask's own server or gunicorn; elsewhere no client ever counts as disconnected.
    """
    environ = request.environ if has_request_context() else {}
    socket = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if socket is None or not hasattr(select, "POLLRDHUP"):
        return lambda: False

    def is_disconnected() -> bool:
        poll = select.poll()
        poll.register(socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    return is_disconnected


def _with_picture(prediction: PendingPrediction) -> Prediction | PendingPrediction:
    """The same job with its picture, or a new one if a worker was not sure and missed the picture.

    If that fails, the job's answer is still to come, without a closer look.
    """
    classifier, job_id, picture = current_services().classifier, prediction.job_id, prediction.picture
    try:
        if picture is None or classifier.keep_picture(job_id, picture):
            return prediction
        answer = classifier.classify(prediction.reading.pixels, wait=0, picture=picture, sender=current_sender())
    except (BusyError, JobFailedError, JobLostError, UnavailableError) as error:
        log.info(NO_CLOSER_LOOK, error)
        return prediction
    classifier.drop(job_id)
    if isinstance(answer, PendingJob):
        return PendingPrediction(answer.id, prediction.reading)
    return Prediction(answer, prediction.reading, {**prediction.reading.seconds, "network": answer.seconds})


def _record(prediction: Prediction | PendingPrediction) -> None:
    if isinstance(prediction, PendingPrediction):
        record_outcome("later")
        return
    record_outcome("identified")
    record_verdict(prediction.identification.verdict)
    for name, seconds in prediction.seconds.items():
        record_stage(name, seconds)
