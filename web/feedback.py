"""What visitors say about answers comes in here, and can be deleted on a page whose address nobody can guess."""

import base64
import binascii
import io
import threading
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from flask import Blueprint, Flask, current_app, g, redirect, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.exceptions import BadRequest, NotFound, ServiceUnavailable, TooManyRequests
from werkzeug.wrappers import Response

from feedback.corrections import Answer, Corrections, client_hash
from feedback.errors import ClaimError, FeedbackError, TooManyError
from feedback.schema import Claim, Correction
from inference import PICTURE_SIDE, Identification
from inference.sentences import Sentence, sentence_of
from jobs import retry_after

from .draining import drain_request
from .errors import render_error
from .naming import requested_naming
from .pages import private_page
from .rate_limit import count_photo, rate_limit_key
from .security import PAGE_HEADERS, check_own_page
from .services import current_services, has_services
from .uploads import check_announced_size, receiving

ANSWER_MAX_AGE = 24 * 60 * 60  # seconds in which an answer can be corrected
LONGEST_NAME = 100  # characters of a species
MOST_COPIES = 8  # photos that are being copied or wait for that; each keeps a thread, which answers need, too

TOO_OLD = Sentence(
    "This answer is more than a day old, or the site has been restarted since. Please send the photo again, and "
    "correct the new answer."
)
NO_CLAIM = Sentence("Please say whether the answer is right, or which bird it is.")
NO_NAME = Sentence("Please write which bird it is.")
LONG_NAME = Sentence("Please write a name of %(number)s characters at most.", number=LONGEST_NAME)
NO_PHOTO = Sentence(
    "The photo that we may keep has not arrived. Please send it again, or do not tick that we may keep it."
)
BUSY = Sentence("Many people are sending photos to be kept at the moment. Please try again in a few seconds.")
GONE = Sentence("There is nothing at this address, or it has been deleted.")

blueprint = Blueprint("feedback", __name__, url_prefix="/feedback")
_to_be_copied = threading.BoundedSemaphore(MOST_COPIES)
_copying = threading.Lock()  # so that a photo to be identified waits for one copy at most


@blueprint.post("")
@count_photo
def send() -> Response:
    """Keep what a visitor says about an answer, and show the page where it can be deleted."""
    check_own_page()
    check_announced_size()
    with receiving():
        form = request.form
    answer = _answer(form.get("answer", ""))
    claim, claimed = _claim(form.get("claim", ""), form.get("species", ""))
    photo = _copy(_photo()) if form.get("keep") else None
    kept = _corrections().add(answer, claim, claimed, _client(), photo)
    note = _serializer("why no photo").dumps(kept.why_no_photo.to_json()) if kept.why_no_photo else None
    return redirect(url_for(".correction", token=kept.token, note=note), 303)


@blueprint.get("/<token>")
def correction(token: str) -> Response:
    """What is kept of a correction, and for how long. The address is the visitor's key to it."""
    found = _corrections().find(token)
    if found is None:
        raise NotFound(GONE)
    return private_page(
        "feedback.html", correction=found, token=token, why_no_photo=_note(), unreviewed_until=_unreviewed_until(found)
    )


@blueprint.post("/<token>/delete")
def delete(token: str) -> Response:
    """Delete a correction and its photo. Whoever knows the address may do so, wherever the form comes from."""
    drain_request()
    if not _corrections().delete(token):
        raise NotFound(GONE)
    return private_page("feedback.html", correction=None)


@blueprint.before_request
def hide_address() -> None:
    """Tell nobody the secret address, not even this site's own log of where requests come from."""
    g.headers = PAGE_HEADERS


@blueprint.after_request
def keep_private(response: Response) -> Response:
    """No cache keeps these pages, and no search engine lists them."""
    response.cache_control.no_store = True
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@blueprint.errorhandler(FeedbackError)
def not_kept(error: FeedbackError) -> Response:
    """Say why a correction was not kept, or cannot be looked up."""
    match error:
        case TooManyError():
            return render_error(TooManyRequests(sentence_of(error)))
        case ClaimError():
            return render_error(BadRequest(sentence_of(error)))
    return render_error(ServiceUnavailable(sentence_of(error), retry_after=retry_after.when_it_is_back()))


def answer_token(answer: Identification) -> str:
    """An answer, signed, so that a form can bring it back unchanged."""
    region = str(answer.region) if answer.region else ""
    return _serializer("answer").dumps([answer.label, answer.confidence, answer.verdict or "", region, answer.model])


def _answer(token: str) -> Answer:
    """The answer that ``answer_token`` signed.

    :raises BadRequest: that was too long ago, or not here.
    """
    try:
        return Answer(*_serializer("answer").loads(token, max_age=ANSWER_MAX_AGE))
    except BadSignature as error:
        raise BadRequest(TOO_OLD) from error


def _claim(claim: str, species: str) -> tuple[Claim, str]:
    """What a visitor says, and the name of the species that is meant.

    :param species: what was typed; it counts even if the button to agree with the answer was pressed.
    :raises BadRequest: it says nothing.
    """
    if claim not in list(Claim):
        raise BadRequest(NO_CLAIM)
    name = _name(species)
    if claim == Claim.SPECIES or (claim == Claim.RIGHT and name):
        if not 0 < len(name) <= LONGEST_NAME:
            raise BadRequest(LONG_NAME if name else NO_NAME)
        return Claim.SPECIES, requested_naming().label_of(name) or name
    return Claim(claim), ""


def _name(typed: str) -> str:
    """A name in one line, without characters that could change how the rest of a page is read."""
    return " ".join("".join(letter for letter in " ".join(typed.split()) if letter.isprintable()).split())


def _photo() -> BinaryIO:
    """The photo that the script sends, or the thumbnail, which is all that a browser without JavaScript can send.

    :raises BadRequest: there is neither.
    """
    photo = request.files.get("photo")
    if photo:
        return cast(BinaryIO, photo.stream)
    try:
        thumbnail = base64.b64decode(request.form.get("thumbnail", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(NO_PHOTO) from error
    if not thumbnail:
        raise BadRequest(NO_PHOTO)
    return io.BytesIO(thumbnail)


def _copy(photo: BinaryIO) -> bytes:
    """A copy of a photo, to be kept.

    :raises TooManyError: this client may send no more corrections.
    :raises ServiceUnavailable: too many photos wait to be copied.
    """
    _corrections().check_client(_client())
    if not _to_be_copied.acquire(blocking=False):
        raise ServiceUnavailable(BUSY, retry_after=retry_after.when_it_is_back())
    try:
        with _copying:
            return current_services().sandbox.copy(photo)
    finally:
        _to_be_copied.release()


def _client() -> str:
    return client_hash(current_services().settings.secret_key, rate_limit_key(request.remote_addr or ""))


def _note() -> Sentence | None:
    """Why the photo was not kept, if the page is shown after the correction came in."""
    try:
        return Sentence.from_json(_serializer("why no photo").loads(request.args.get("note", "")))
    except BadSignature:
        return None


def _unreviewed_until(found: Correction) -> datetime:
    settings = current_services().settings.feedback
    assert settings is not None  # or there were no such page
    return found.created + timedelta(days=settings.days)


def _corrections() -> Corrections:
    corrections = current_services().corrections
    assert corrections is not None  # or there were no such page
    return corrections


def _serializer(salt: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"feedback {salt}")


def init_app(app: Flask) -> None:
    """Register the blueprint, and what its form needs in every template."""
    app.register_blueprint(blueprint)
    app.add_template_filter(answer_token)
    app.context_processor(_context)
    app.after_request(_sweep)


def _sweep(response: Response) -> Response:
    """Delete what is too old after any answer, since pages promise it, and perhaps no correction comes in any more."""
    if has_services() and _corrections().is_sweep_due():
        response.call_on_close(_corrections().sweep)
    return response


def _context() -> dict[str, Any]:
    if not has_services():
        return {}
    services = current_services()
    assert services.settings.feedback is not None
    return {
        "feedback_days": services.settings.feedback.days,
        "species_names": requested_naming().all_names(),
        "picture_side": PICTURE_SIDE,
    }
