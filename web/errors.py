"""Every exception -> a flashed message, a result card, a page or problem+json, in one place."""

import json
import sys
import time

from flask import Flask, current_app, flash, redirect, render_template, request, url_for
from werkzeug.exceptions import (
    Gone,
    HTTPException,
    InternalServerError,
    RequestEntityTooLarge,
    ServiceUnavailable,
    TooManyRequests,
    UnprocessableEntity,
)
from werkzeug.wrappers import Response

from inference.errors import PhotoError
from inference.sentences import Sentence, sentence_of
from jobs import retry_after
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError

from . import rate_limit
from .admission import DisconnectedError
from .cards import ResultCard
from .draining import drain_request
from .http_errors import name_of, sentence_on
from .services import current_services, has_services
from .telemetry import record_outcome
from .uploads import SENDER_ERRORS, BrokenUploadError
from .wording import translated

CLIENT_CLOSED_REQUEST = 499  # nginx's status for an answer that nobody waited for; it appears only in logs
#: Why a photo gets no answer.
EXPECTED = (BusyError, UnavailableError, JobLostError, JobFailedError, PhotoError)


def init_app(app: Flask) -> None:
    """Handle every exception that a view may raise, except RequestEntityTooLarge (``application.http_413``)."""
    for error in EXPECTED:
        app.register_error_handler(error, _not_identified)
    app.register_error_handler(DisconnectedError, _disconnected)
    app.register_error_handler(TooManyRequests, _rate_limit_exceeded)
    app.register_error_handler(HTTPException, render_error)


def as_http(error: Exception) -> HTTPException:
    """The status, the sentence and the ``Retry-After`` of an exception.

    :param error: an HTTPException, or one of ``EXPECTED``.
    """
    sentence = sentence_of(error)
    match error:
        case HTTPException():
            return error
        case BusyError():
            return ServiceUnavailable(sentence, retry_after=error.retry_after)
        case UnavailableError():
            log_unavailable(error)
            return ServiceUnavailable(sentence, retry_after=retry_after.when_it_is_back())
        case JobLostError() if request.method == "POST":  # another release's worker answered; it may be replaced soon
            return ServiceUnavailable(sentence, retry_after=retry_after.when_it_is_back())
        case JobLostError():
            return Gone(sentence)
        case JobFailedError():
            return InternalServerError(sentence)
    return UnprocessableEntity(sentence)


def log_unavailable(error: UnavailableError) -> None:
    """Tell the operator why no photo can be identified."""
    current_app.logger.warning("unavailable: %s: %s", error.reason, error.__cause__ or "no worker has sent a heartbeat")


def record_failure(error: Exception) -> None:
    """Count a photo that was posted and not answered."""
    if request.method == "POST" and (request.endpoint == "index" or request.blueprint in ("cards", "api")):
        record_outcome(_outcome(error))


def _outcome(error: Exception) -> str:
    """One of ``telemetry.OUTCOMES``."""
    match error:
        case BusyError():
            return "busy"
        case UnavailableError() | ServiceUnavailable():
            return "unavailable"
        case TooManyRequests():
            return "limited"
        case JobFailedError() | JobLostError() | InternalServerError():
            return "failed"
    return "refused"


def _not_identified(error: Exception) -> Response:
    """Say why a photo gets no answer.

    :param error: one of ``EXPECTED``.
    """
    # In an overload every refused client comes back at once, and takes processor time from the photos in the queue.
    if isinstance(error, BusyError) and (delay := current_services().refusal_delay()):
        drain_request()
        time.sleep(delay)
    record_failure(error)
    return _render(as_http(error))


def _disconnected(_error: DisconnectedError) -> Response:
    record_outcome("gone")
    return Response(status=CLIENT_CLOSED_REQUEST)


def _rate_limit_exceeded(error: TooManyRequests) -> Response:
    seconds = error.retry_after if isinstance(error.retry_after, int) else rate_limit.seconds_until_reset()
    error.retry_after = seconds
    too_many = Sentence("Too many uploads came from your address in a short time.")
    error.description = retry_after.then_try_again(too_many, seconds)
    return render_error(error)


def too_large(error: RequestEntityTooLarge) -> Response:
    """Say that the request is larger than ``MAX_CONTENT_LENGTH``, or that its form holds more than photos."""
    if (request.content_length or sys.maxsize) <= current_services().settings.max_content_length:
        error.description = Sentence(
            "The upload holds too many or too long fields. Please send photos and nothing else."
        )
    else:
        error.description = Sentence("Uploaded file too large.")
    return render_error(error)


def render_error(error: HTTPException) -> Response:
    """Count the photo, if one was posted, and answer with any other error."""
    record_failure(error)
    return _render(error)


def _render(error: HTTPException) -> Response:
    """A problem (RFC 9457) from the API, a result card for the page's script, a flashed message, or a page."""
    if not isinstance(error, BrokenUploadError):
        drain_request()
    response, sentence = Response.force_type(error.get_response()), sentence_on(error)
    if request.path.startswith("/api/"):
        problem = {"type": "about:blank", "title": error.name, "status": error.code, "detail": sentence}
        response.set_data(json.dumps(problem))
        response.content_type = "application/problem+json"
    elif request.blueprint == "cards":
        response.set_data(render_template("card.html", card=ResultCard(sentence=sentence)))
    elif request.endpoint == "index" and isinstance(error, SENDER_ERRORS):
        flash(translated(sentence))
        return redirect(url_for("index"))
    elif request.endpoint == "index" and request.method == "POST" and has_services():
        response.set_data(render_template("index.html", sentence=translated(sentence)))
    else:
        response.set_data(error_page(error))
        if request.endpoint == "pages.identification" and error.code == ServiceUnavailable.code:
            response.headers["Refresh"] = str(retry_after.UNAVAILABLE)  # the answer may come yet
    return response


def error_page(error: HTTPException) -> str:
    """The page of an error."""
    name, sentence = name_of(error), sentence_on(error)
    return render_template("error.html", name=translated(name), explanation=translated(sentence), code=error.code)
