"""Uploaded photos -> result cards."""

from dataclasses import replace

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException

from inference import Identification
from inference.regions import Region
from jobs.errors import BusyError, JobFailedError, JobLostError
from jobs.pending import Position

from .admission import PendingPrediction
from .cards import ResultCard, card_of_prediction
from .errors import EXPECTED, as_http, record_failure
from .prediction import look_up, predict
from .services import current_services
from .uploads import open_upload


def identify_photo(photo: FileStorage, region: Region | None = None, *, wait: bool = True) -> ResultCard:
    """The answer to a photo, or its position in the queue.

    :param region: the part of the photo that shows the bird; by default it is looked for in the whole photo.
    :param wait: whether to wait a while for the answer of a worker.
    :raises Exception: one of ``errors.EXPECTED``, or an HTTPException.
    """
    prediction = predict(open_upload(photo), region, wait=wait)
    if isinstance(prediction, PendingPrediction):
        job_id, reading = prediction.job_id, prediction.reading
        current_services().classifier.keep_thumbnail(job_id, reading.thumbnail)
        return replace(_card(job_id, *look_up(job_id)), taken=reading.taken)
    return card_of_prediction(prediction)


def identify_photos(photos: list[FileStorage]) -> list[ResultCard]:
    """For each photo its answer, its position in the queue, or why it has neither."""
    cards: list[ResultCard] = []
    busy: BusyError | None = None
    for photo in photos:
        try:
            if busy:
                raise busy
            # Once a worker's answer has not come in time, the other photos' answers are not waited for.
            card = identify_photo(photo, wait=not any(card.job_id for card in cards))
        except (HTTPException, *EXPECTED) as error:
            record_failure(error)
            busy = error if isinstance(error, BusyError) else None
            card = _failed(error)
        cards.append(replace(card, name=photo.filename or ""))
    return cards


def card_of_job(job_id: str) -> ResultCard:
    """The answer of a worker, the position in the queue, or why there will be no answer."""
    try:
        return _card(job_id, *look_up(job_id))
    except (JobFailedError, JobLostError) as error:
        return replace(_failed(error), job_id=job_id)


def _card(job_id: str, thumbnail: bytes, found: Identification | Position) -> ResultCard:
    if isinstance(found, Identification):
        return ResultCard(thumbnail=thumbnail, identification=found, seconds=found.seconds, job_id=job_id)
    return ResultCard(thumbnail=thumbnail, job_id=job_id, position=found)


def _failed(error: Exception) -> ResultCard:
    http = as_http(error)
    return ResultCard(sentence=http.description or "", status=http.code or 500)
