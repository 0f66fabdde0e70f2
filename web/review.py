"""The review page, on which an operator decides about corrections; it exists only with ``BIRD_REVIEW_KEY``."""

import logging
from dataclasses import asdict
from datetime import date
from typing import Any

from flask import Blueprint, abort, jsonify, make_response, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, ServiceUnavailable, TooManyRequests
from werkzeug.wrappers import Response

from feedback import review
from feedback.corrections import Corrections
from feedback.errors import FeedbackError
from feedback.limits import now
from feedback.review import Decided, Filter
from feedback.schema import Claim, Correction, Status
from inference import OTHER_FOLDER
from inference.regions import Region, RegionError
from inference.sentences import Sentence, sentence_of
from jobs import retry_after

from . import agreement_chart, reviewer
from .draining import drain_request
from .errors import error_page
from .http_errors import sentence_on
from .rate_limit import count_key_try, seconds_until_reset
from .services import current_services
from .wording import translated

LARGEST_ID = 2**31 - 1  # in PostgreSQL
MOST_AT_ONCE = 200  # corrections in one form; four times as many as a page shows
SELECTED = "selected"  # the value of a button that is about the corrections that are selected
#: The buttons, by their names.
DECISIONS = {"accept": Status.ACCEPTED, "reject": Status.REJECTED, "reset": Status.NEW}
OTHER_NAME = Sentence("Not a bird")
NOTHING_SELECTED = Sentence("Nothing is selected. Select corrections first.")
NO_PHOTO = Sentence("The photos cannot be reached at the moment. Please try again in a minute.")

blueprint = Blueprint("review", __name__, url_prefix="/review")
log = logging.getLogger(__name__)


@blueprint.before_request
def check_session() -> Response | None:
    """Let only reviewers in, and believe only forms that come from the page itself."""
    if request.endpoint == "review.sign_in":
        return None
    if not reviewer.is_signed_in():
        if request.method != "POST" and request.endpoint != "review.photo":
            return make_response(render_template("review_key.html"), 200 if request.endpoint == "review.page" else 403)
        raise Forbidden(
            Sentence("You are not signed in, or your session has ended. Open the review page, and give the key.")
        )
    if request.method == "POST" and not reviewer.has_form_token():
        raise Forbidden(Sentence("This form is out of date. Load the review page again."))
    return None


@blueprint.after_request
def keep_private(response: Response) -> Response:
    """Let no cache keep anything, and no search engine list it."""
    response.cache_control.no_store = True
    response.cache_control.private = True
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@blueprint.errorhandler(HTTPException)
def refuse(error: HTTPException) -> Response:
    """Say what is wrong, to the page's script as JSON. Nothing of it counts as a photo."""
    drain_request()
    answer = error.get_response()
    if _is_from_script():
        refusal = jsonify(sentence=translated(sentence_on(error)))
    else:
        refusal = make_response(error_page(error))
    refusal.status = answer.status
    if "Retry-After" in answer.headers:
        refusal.headers["Retry-After"] = answer.headers["Retry-After"]
    return refusal


@blueprint.errorhandler(FeedbackError)
def database_failed(error: FeedbackError) -> Response:
    """Say that the database does not answer."""
    return refuse(ServiceUnavailable(sentence_of(error), retry_after=retry_after.when_it_is_back()))


@blueprint.post("/key")
def sign_in() -> Response:
    """Begin a session, if the key is right."""
    try:
        count_key_try()
    except TooManyRequests:
        seconds = seconds_until_reset()
        sentence = retry_after.then_try_again(Sentence("Too many keys came from your address."), seconds)
        return refuse(TooManyRequests(sentence, retry_after=seconds))
    if not reviewer.is_right(reviewer.received_form().get("key", "")):
        return make_response(render_template("review_key.html", sentence=gettext("This is not the key.")), 403)
    response = redirect(url_for("review.page"), 303)
    reviewer.sign_in(response)
    return response


@blueprint.post("/leave")
def leave() -> Response:
    """End the session."""
    response = redirect(url_for("review.page"), 303)
    reviewer.sign_out(response)
    return response


@blueprint.get("")
def page() -> str:
    """The corrections that match the filter."""
    number = request.args.get("decided", type=int)
    done = ngettext("Done: %(num)s correction.", "Done: %(num)s corrections.", number) if number is not None else ""
    return _page(done)


@blueprint.post("")
def decide() -> Response:
    """Decide about the corrections that are selected, or about the one whose button was pressed."""
    if "delete" in request.form:
        return redirect(url_for("review.delete", id=_chosen(request.form["delete"])), 303)
    name = next((name for name in DECISIONS if name in request.form), None)
    if name is None:
        raise BadRequest(Sentence("Choose what to do: accept, reject, or put back."))
    for_all = request.form.get("label", "") if request.form[name] == SELECTED else ""
    chosen = _chosen(request.form[name])
    labels = {number: _label_of(for_all or request.form.get(f"label-{number}", "")) for number in chosen}
    decided = review.decide(_corrections().engine, DECISIONS[name], labels)
    if _is_from_script():
        return _as_json(DECISIONS[name], decided)
    if decided.refused:
        refused = [_refused(number, sentence) for number, sentence in decided.refused.items()]
        return make_response(_page("", " ".join(refused)), 422)
    return redirect(url_for("review.page", **_filter_args(), decided=len(decided.labels)), 303)


@blueprint.route("/delete", methods=["GET", "POST"])
def delete() -> str | Response:
    """Ask whether to delete corrections, and do so."""
    ids = _ids(request.values.getlist("id"))
    if request.method == "GET":
        return render_template("review_delete.html", ids=ids, token=reviewer.form_token())
    deleted = _corrections().delete_ids(ids)
    return redirect(url_for("review.page", decided=deleted), 303)


@blueprint.get("/photos/<int:number>.jpg")
def photo(number: int) -> Response:
    """The photo of a correction."""
    corrections = _corrections()
    correction = corrections.get(number) if number <= LARGEST_ID else None
    try:
        jpeg = corrections.photos.read(correction.photo) if correction and correction.photo else None
    except OSError as error:
        log.warning("The photo store of corrections fails: %s", error.strerror or error)
        raise ServiceUnavailable(NO_PHOTO, retry_after=retry_after.when_it_is_back()) from error
    if jpeg is None:
        abort(404)
    response = make_response(jpeg)
    response.mimetype = "image/jpeg"
    return response


def _page(done: str, sentence: str = "") -> str:
    engine = _corrections().engine
    wanted = _wanted()
    this_monday = review.monday_of(now().date())
    weeks = review.agreement(engine, agreement_chart.first_monday(this_monday))
    after = request.args.get("after", type=int)
    return render_template(
        "review.html",
        found=review.find_page(engine, wanted, after if after is not None and 0 < after <= LARGEST_ID else None),
        counts=review.count(engine, wanted.status),
        bars=agreement_chart.bars(weeks, this_monday),
        chart=agreement_chart,
        wanted=wanted,
        statuses=Status,
        claims=Claim,
        done=done,
        sentence=sentence,
        token=reviewer.form_token(),
        names=[*map(_shown, current_services().classifier.labels), _shown(OTHER_FOLDER)],
        is_new=_is_new,
        shown=_shown,
        region=_region,
        action=url_for("review.page", **_filter_args()),
        link=lambda **changes: url_for("review.page", **_filter_args() | changes),
    )


def _wanted() -> Filter:
    """The filter in the address; whatever makes no sense there is left out."""
    arguments = request.args
    return Filter(
        status=None if arguments.get("status") == "any" else arguments.get("status", Status.NEW, Status),
        day=arguments.get("day", type=date.fromisoformat),
        species="".join(filter(str.isprintable, arguments.get("species", ""))),
        claim=arguments.get("claim", type=Claim),
        only_with_photo="photo" in arguments,
        client="".join(filter(str.isprintable, arguments.get("client", ""))),
    )


def _filter_args() -> dict[str, Any]:
    """The filter, as in an address."""
    wanted = asdict(_wanted())
    arguments = {name: str(wanted[name]) for name in ("day", "species", "claim", "client") if wanted[name]}
    photo = {"photo": "1"} if wanted["only_with_photo"] else {}
    return {"status": wanted["status"] or "any"} | arguments | photo


def _chosen(button: str) -> list[int]:
    """The ids of the corrections that a button is about, by its value."""
    return _ids(request.form.getlist("id") if button == SELECTED else [button])


def _ids(texts: list[str]) -> list[int]:
    """:raises BadRequest: there are none, or too many, or they are no ids."""
    if not texts:
        raise BadRequest(NOTHING_SELECTED)
    if len(texts) > MOST_AT_ONCE:
        raise BadRequest(Sentence("Select %(number)s corrections at most.", number=MOST_AT_ONCE))
    if not all(text.isdecimal() and text.isascii() and len(text) <= 10 for text in texts):
        raise BadRequest(Sentence("Corrections are chosen by their numbers."))
    return [int(text) for text in texts if int(text) <= LARGEST_ID]


def _shown(label: str) -> str:
    """A label for people to read."""
    return translated(OTHER_NAME) if label == OTHER_FOLDER else current_services().model_info.name_of(label)


def _label_of(text: str) -> str:
    """The label of which a reviewer has typed the name, or the label itself. It may be a new one."""
    name = " ".join(text.split())
    return (
        OTHER_FOLDER if name.casefold() == translated(OTHER_NAME).casefold() else _corrections().label_of(text) or name
    )


def _is_new(label: str) -> bool:
    """Whether it is the label of a species that the model does not know."""
    return label not in ("", OTHER_FOLDER, *current_services().classifier.labels)


def _region(correction: Correction) -> Region | None:
    try:
        return Region.parse(correction.region) if correction.region else None
    except RegionError:
        return None


def _as_json(status: Status, decided: Decided) -> Response:
    """For the page's script: what was decided, and which names are of no label that the model knows."""
    return jsonify(
        status=status,
        decided=[
            {"id": number, "label": _shown(label), "is_new": _is_new(label)} for number, label in decided.labels.items()
        ],
        refused=[{"id": number, "sentence": translated(sentence)} for number, sentence in decided.refused.items()],
    )


def _refused(number: int, sentence: Sentence) -> str:
    return gettext("Correction %(number)s: %(sentence)s", number=number, sentence=translated(sentence))


def _is_from_script() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _corrections() -> Corrections:
    corrections: Any = current_services().corrections
    assert isinstance(corrections, Corrections)  # the blueprint exists only with BIRD_FEEDBACK
    return corrections
