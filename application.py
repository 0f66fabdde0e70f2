"""Name the bird in a photograph: the Flask module, and the WSGI object ``application``."""

import atexit
import contextlib
import io
import json
import logging
import math
import os
import secrets
import select
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache, partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import click
from flask import (
    Flask,
    Request,
    abort,
    flash,
    g,
    has_request_context,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.helpers import get_debug_flag
from flask.sessions import SecureCookieSessionInterface
from flask_limiter import Limiter, RateLimitExceeded
from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    InternalServerError,
    RequestEntityTooLarge,
    ServiceUnavailable,
    UnprocessableEntity,
    UnsupportedMediaType,
)
from werkzeug.http import parse_set_header
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import WSGIRequestHandler, is_running_from_reloader, make_server
from werkzeug.wrappers import Response

import folders
import listing
import metrics
import settings
from answers import Card, as_text, identification_json, look_up_url
from headers import PAGE_HEADERS, REPORT_HEADERS
from inference import CANDIDATES, MIN_SIDE, REPORT_FILE, Identification, PairError
from inference.card import Figures, SpeciesFigures, figures_of, load_card, sha256
from inference.labels import load_labels
from inference.line import Answer, BusyError, Crowd, GoneError, LaterError, Line
from inference.photo import FORMATS, MAX_PIXELS_OF, Photo, PhotoError
from inference.processor import usable_cores
from inference.sandbox import Sandbox
from jobs import NO_WORKER, FailedError, LostError, UnavailableError, UnknownJobError
from settings import CANNOT_START, SettingError

if TYPE_CHECKING:
    from inference.classifier import Classifier
    from jobs.client import RemoteClassifier
    from jobs.register import Place

MAX_PHOTOS = 20  # in one form
OPEN_FILES = 2**16  # that this process may have, if the system lets it
DISCARD_LIMIT = 2**30  # bytes of a refused upload that are read before its sender is told
DISCARD_BLOCK = 2**16  # bytes
UPLOAD_SUFFIX = ".upload"
BROKEN_UPLOAD = "The upload broke off or is malformed. Please send it again."
STARTING = "The app is being started. Please try again in a few seconds."
WARM_UP_ANSWERS = 5  # after so many, an answer takes as long as the next one
CROWD_DELAY = 0.05  # seconds before one of a crowd that does not wait as told is sent away again
SECRET_LENGTH = 16  # characters that a key should have at least: 64 bits, if they are drawn as hexadecimal digits
CLIENT_GONE = 499  # nginx's status for an answer that nobody waited for; it is only seen in logs
UNAVAILABLE_RETRY = 5  # seconds after which it is worth trying again when the queue is gone
LATEST_REFRESH = 10  # seconds after which the page of a photo that waits is loaded again, at the latest
LATEST_LOOK = 5  # seconds after which it is worth looking for a worker's answer, at the latest
LOST_RETRY = 1  # seconds after which to send a photo again whose answer did not come

_EXTENSIONS = [f"'{extension}'" for extension in FORMATS]
UNSUPPORTED_FILE_TYPE = (
    "The file type you selected: '{extension}' is not supported. "
    f"Please select a {', '.join(_EXTENSIONS[:-1])}, or a {_EXTENSIONS[-1]} file."
)
#: Of ``Figures``, what the API says of the model as a whole.
MODEL_FIGURES = ("date", "judged_on", "pictures", "trained_on", "top1", "top5", "calibration_error")
#: What nginx puts into the head of a request whose body was too large for it (.platform/nginx). The body stays with it.
TOO_LARGE = "X-Body-Too-Large"
#: What only a proxy puts into the head of a request; no client can take it out again.
FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP")


class UploadRequest(Request):
    """A request whose photos lie in the folder ``UPLOADS``, under random names, until it has been answered.

    They are written there as they come in, once. They stay readable if another start sweeps the folder meanwhile.
    Files beyond ``MAX_PHOTOS`` are kept as Werkzeug keeps them: a hundred small ones take no hundred open files.

    :ivar id: under which it is logged.
    :ivar begun: by ``time.perf_counter``.
    """

    def __init__(self, environ: dict[str, object], **options: object) -> None:
        super().__init__(environ, **options)
        self.id = secrets.token_hex(8)
        self.begun = time.perf_counter()
        self.uploads: list[BinaryIO] = []

    def _get_file_stream(self, *about: object, **more: object) -> BinaryIO:
        if len(self.uploads) == MAX_PHOTOS:
            return super()._get_file_stream(*about, **more)
        upload = tempfile.NamedTemporaryFile(  # noqa: SIM115  close() closes it
            dir=application.config["UPLOADS"], prefix="", suffix=UPLOAD_SUFFIX
        )
        self.uploads.append(upload)
        return upload

    def body(self) -> BinaryIO:
        """The whole body, where it is no form, as a file."""
        upload = self._get_file_stream()
        shutil.copyfileobj(self.stream, upload)
        upload.flush()
        return upload

    def close(self) -> None:
        """Remove the photos."""
        super().close()
        for upload in self.uploads:
            with contextlib.suppress(OSError):  # swept; or the disk was full, and its last bytes go nowhere
                upload.close()


class RefusedError(BadRequest):
    """The form holds no photo, or too many; the message is a sentence for the person who sent it."""


class CarefulCookies(SecureCookieSessionInterface):
    """A cookie that came into being over HTTPS never travels without it."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the browser is told so."""
        return super().get_cookie_secure(app) or request.is_secure


#: What a person can mend by another photo: the form says so.
MENDABLE = (RefusedError, RequestEntityTooLarge, UnsupportedMediaType, UnprocessableEntity)


application = Flask(__name__)
application.request_class = UploadRequest
application.session_interface = CarefulCookies()
application.config.from_mapping(settings.DEFAULTS)
application.config.from_prefixed_env("BIRD")
application.config["DEBUG"] = get_debug_flag()  # Flask's own switch, and no BIRD_DEBUG
application.logger.setLevel(logging.INFO)

limiter = Limiter(lambda: client_network(request.remote_addr or ""))
sandbox = Sandbox(application.config["MAX_PIXELS"])
crowd = Crowd()
_loading = threading.Lock()
ready = threading.Event()  # the model is loaded and warm; or nobody is at it, and the first who needs it waits
ready.set()
early = threading.BoundedSemaphore(16)  # how many may wait for that: half of the fewest threads that gunicorn has here
limit_photos = limiter.shared_limit(lambda: application.config["RATE_LIMIT"], scope="photos", methods=["POST"])


def name_request(record: logging.LogRecord) -> bool:
    """Say in answer to which request something was logged."""
    if has_request_context():
        record.request = request.id
    return True


application.logger.addFilter(name_request)
# Flask's own sentence has the path in it, which may lead to a photo.
application.log_exception = lambda about: application.logger.error("An accident", exc_info=about)


def client_network(address: str) -> str:
    """Whose address it is: with IPv6 a client may take any of its network's (RFC 6177: /64 at the least)."""
    try:
        found = ip_address(address)
    except ValueError:  # a proxy forwards what it likes
        return address
    if found.version == 4:
        return address
    # A server that listens on both kinds of addresses writes those of IPv4 so, all of them in one network.
    return str(found.ipv4_mapped or ip_network((address, 64), strict=False))


@application.route("/", methods=["GET", "POST"])
@limit_photos
def index() -> str | Response:
    """Show the form; name the bird in the photograph that was posted, or in each of several."""
    if request.method != "POST":
        return render_template("index.html")
    uploads = received_photos()
    if len(uploads) > 1:
        return private_page("index.html", cards=cards_of(uploads))
    card = card_of(uploads[0])
    if card.job:
        return redirect(url_for("identification", job=card.job), 303)
    return private_page("index.html", cards=[card])


@application.post("/cards")
@limit_photos
def card() -> Response:
    """What ``index`` says of one photo, by itself, for the script of its page."""
    return private_page("card.html", card=card_of(received_photo()))


@application.route("/identifications/<job>")
def identification(job: str) -> Response:
    """The answer to a photograph that took its time, or how far it is."""
    card = card_of_job(job)
    return private_page("index.html", cards=[card], refresh=card.place and min(card.place.seconds, LATEST_REFRESH))


@application.route("/cards/<job>")
def card_that_waits(job: str) -> Response:
    """The same, by itself, for the script of the page that waits."""
    return private_page("card.html", card=card_of_job(job))


@application.post("/api/v1/identifications")
@limit_photos
def identify_by_api() -> Response:
    """Name the bird in a photograph that is sent as a form or by itself."""
    top = wanted_candidates()
    photo = received_body()
    is_patient = not is_split() or "respond-async" not in parse_set_header(request.headers.get("Prefer"))
    try:
        answer = answer_to(photo, is_patient=is_patient)
    except LaterError as later:
        expect(later)
        response = waiting_json(later.job, look_up(later.job)[1])
        if not is_patient:
            response.headers["Preference-Applied"] = "respond-async"
        return response
    return answer_json(answer.identification, answer.took, top)


@application.get("/api/v1/identifications/<job>")
def identification_by_api(job: str) -> Response:
    """The answer to a photograph that took its time, or how far it is."""
    top = wanted_candidates()
    _thumbnail, found = look_up(job)
    if isinstance(found, Identification):
        return answer_json(found, found.seconds, top)
    return waiting_json(job, found)


@application.get("/api/v1/species")
def species_by_api() -> Response:
    """What the model knows, and how well."""
    return jsonify(species=[asdict(each) for each in known_species()])


@application.get("/api/v1/model")
def model_by_api() -> Response:
    """Which model it is, how good, and what is taken."""
    figures = model_figures()
    return jsonify(
        sha256=network().sha256,
        species=len(network().labels),
        unsure_below=unsure_below(),
        figures=figures and {name: value for name, value in asdict(figures).items() if name in MODEL_FIGURES},
        accepts={
            "extensions": list(FORMATS),
            "bytes": application.config["MAX_CONTENT_LENGTH"],
            "pixels": application.config["MAX_PIXELS"],
        },
    )


@application.get("/api/v1/openapi.json")
def openapi() -> Response:
    """What the API takes and answers, for programs (OpenAPI 3.1)."""
    return jsonify(openapi_description())


@application.get("/api", strict_slashes=False)
def api() -> str:
    """The same, for people."""
    return render_template("api.html", api=openapi_description())


@cache
def openapi_description() -> dict[str, object]:
    """The file beside this one."""
    return json.loads((settings.HERE / "openapi.json").read_text(encoding="utf-8"))


@application.get("/species")
def species() -> str:
    """All that the model knows, or what of it has the words that are asked for in its name."""
    words = request.args.get("q", "").casefold().split()
    found = [each for each in known_species() if all(word in each.label.casefold() for word in words)]
    return render_template("species.html", found=found)


@application.get("/about")
def about() -> str:
    """How it works, what becomes of a photo, how good the model is."""
    return render_template("about.html", figures=model_figures())


def known_species() -> list[SpeciesFigures]:
    """Every label in the order of the alphabet, with its figures if the model's card has them."""
    figures = model_figures()
    by_label = {each.label: each for each in figures.species} if figures else {}
    return [by_label.get(label) or SpeciesFigures(label) for label in sorted(network().labels, key=str.casefold)]


@cache
def model_card() -> dict[str, object] | None:
    """What training says of the model that is loaded."""
    return load_card(Path(application.config["MODEL"]))


@cache
def model_figures() -> Figures | None:
    """What of that the pages show."""
    return figures_of(model_card())


def unsure_below() -> float:
    """The confidence, 0 to 1, below which the page is not sure."""
    chosen, figures = application.config["UNSURE_BELOW"], model_figures()
    return chosen if chosen is not None else figures.unsure_below if figures else 0.0


@application.template_test("unsure")
def is_unsure(identification: Identification) -> bool:
    """Whether the first candidate is to be shown as no more than one of several."""
    # What was measured of the model here says nothing of another one.
    applies = application.config["UNSURE_BELOW"] is not None or identification.model == network().sha256
    return applies and identification.confidence < unsure_below()


def wanted_candidates() -> int:
    """
    :raises BadRequest: the number in the address is none that can be had.
    """
    wanted = request.args.get("top", str(CANDIDATES))
    if wanted not in map(str, range(1, CANDIDATES + 1)):
        raise BadRequest(f"top must be a whole number from 1 to {CANDIDATES}.")
    return int(wanted)


def answer_json(identification: Identification, seconds: float, top: int) -> Response:
    """The API's answer, of which nobody keeps a copy."""
    response = jsonify(identification_json(identification, seconds, top))
    response.cache_control.no_store = True
    return response


def waiting_json(job: str, found: "Place | Identification") -> Response:
    """Where the API's answer will be, and about when; a moment ago it was not there yet."""
    seconds = 0 if isinstance(found, Identification) else found.seconds
    response = jsonify(seconds=seconds)
    response.status_code = 202
    response.cache_control.no_store = True
    response.location = url_for("identification_by_api", job=job, top=request.args.get("top"))
    response.retry_after = min(seconds, LATEST_LOOK)
    return response


def check_proxy() -> None:
    """Answer for the proxy, so that its refusal looks like the app's own.

    :raises RequestEntityTooLarge: the body was too large for it.
    """
    if TOO_LARGE in request.headers:
        raise RequestEntityTooLarge


def check_room() -> None:
    """
    :raises BusyError: too many photographs are in line.
    :raises UnavailableError: no worker would look at one.
    """
    line().check()
    if is_split():
        network().check()


def private_page(template: str, **context: object) -> Response:
    """A page with somebody's photo on it."""
    with stage("template"):
        page = make_response(render_template(template, **context))
    page.cache_control.no_store = True
    return page


def received_photos() -> list[FileStorage]:
    """The photos in the form that was posted, one or more.

    :raises BusyError: too many photographs are in line.
    :raises UnavailableError: no worker would look at one.
    :raises RefusedError: there is none, or there are too many.
    :raises RequestEntityTooLarge: the form is larger than may be.
    """
    check_proxy()
    check_room()  # before the work of receiving
    with receiving():
        files = request.files
    if "bird_image" not in files:
        raise RefusedError("No file uploaded.")
    uploads = [upload for upload in files.getlist("bird_image") if upload.filename]
    if not uploads:
        raise RefusedError("No file selected to upload.")
    if len(uploads) > MAX_PHOTOS:
        raise RefusedError(f"Please send {MAX_PHOTOS} photos at most at once.")
    return uploads


def received_photo() -> FileStorage:
    """The one photo in the form that was posted.

    :raises RefusedError: there is none, or there are more.
    """
    uploads = received_photos()
    if len(uploads) > 1:
        raise RefusedError("Please send one photo at a time here.")
    return uploads[0]


def received_body() -> BinaryIO:
    """The photo that was posted by itself, or in a form, whose type is then known to be right.

    :raises RefusedError: there is none, or there are more.
    :raises RequestEntityTooLarge: it is larger than may be.
    :raises UnsupportedMediaType: it is sent as something else.
    """
    if request.mimetype == "multipart/form-data":
        return open_upload(received_photo())
    check_proxy()
    if not request.mimetype and not request.content_length:
        raise RefusedError("No file uploaded.")
    if not request.mimetype.startswith("image/"):
        raise UnsupportedMediaType(
            "Please send a form (multipart/form-data) with the photo in its field bird_image, or the bytes of the "
            "photo with their content type, such as image/jpeg."
        )
    check_room()
    with receiving():
        body = request.body()
    if not body.tell():
        raise RefusedError("No file uploaded.")
    return body


def open_upload(upload: FileStorage) -> BinaryIO:
    """The file of a form, if its name says that it is a picture.

    :raises UnsupportedMediaType: it does not.
    """
    extension = Path(upload.filename).suffix.lower()
    if extension not in FORMATS:
        shown = "".join(filter(str.isprintable, extension[:20]))  # no NUL, no mark that turns the text around
        raise UnsupportedMediaType(UNSUPPORTED_FILE_TYPE.format(extension=shown))
    return upload.stream


def classify_image(file: str | Path | BinaryIO) -> tuple[Identification, str]:
    """Name the bird in a picture file.

    :param file: a path or an open binary file.
    :return: what the network says, and the thumbnail as base64 of a JPEG.
    :raises PhotoError: the file cannot be used as a photograph; and what ``answer_to`` raises.
    """
    with open(file, "rb") if isinstance(file, str | Path) else contextlib.nullcontext(file) as opened:
        answer = answer_to(opened)
    return answer.identification, as_text(answer.reading.thumbnail)


def answer_to(photo: BinaryIO, *, is_patient: bool = True) -> Answer:
    """Name the bird.

    :param photo: an open binary file.
    :param is_patient: whether to wait a while for the answer of a worker.
    :raises PhotoError: the file cannot be used as a photograph.
    :raises BusyError: too many photographs are in line.
    :raises GoneError: the client of this request is gone.
    :raises LaterError: a worker's answer takes its time.
    :raises FailedError: the workers have given up on it.
    :raises UnavailableError: no worker would look at it.
    """
    classify = partial(network().classify, wait=0) if is_split() and not is_patient else None
    answer = line().identify(photo, client_watch(), classify)
    if has_request_context():
        note("identified")
        for name, seconds in answer.seconds.items():
            note_seconds(name, seconds)
    return answer


def card_of(upload: FileStorage, *, is_patient: bool = True) -> Card:
    """The answer to a photo, or its place in the line.

    :param is_patient: whether to wait a while for the answer of a worker.
    :raises Exception: what keeps it from being answered.
    """
    try:
        answer = answer_to(open_upload(upload), is_patient=is_patient)
    except LaterError as later:
        expect(later)
        network().keep_thumbnail(later.job, later.reading.thumbnail)
        return replace(card_of_job(later.job), taken=later.reading.taken)
    return Card(
        thumbnail=answer.reading.thumbnail,
        taken=answer.reading.taken,
        identification=answer.identification,
        seconds=answer.took,
    )


def cards_of(uploads: list[FileStorage]) -> list[Card]:
    """The answer to each photo, or why it has none. Only one of them is waited for in vain."""
    cards, busy = [], None
    for upload in uploads:
        try:
            if busy:
                raise busy
            card = card_of(upload, is_patient=not any(card.job for card in cards))
        except (HTTPException, PhotoError, FailedError, LostError, BusyError, UnavailableError) as error:
            note_failure(error)
            busy = error if isinstance(error, BusyError) else None
            card = Card(sentence=as_http(error).description)
        cards.append(replace(card, name=upload.filename))
    return cards


def card_of_job(job: str) -> Card:
    """The answer of a worker, or the place in the line; or why there will be no answer."""
    try:
        thumbnail, found = look_up(job)
    except (FailedError, LostError) as error:
        return Card(sentence=str(error), job=job)
    if isinstance(found, Identification):
        return Card(thumbnail=thumbnail, identification=found, seconds=found.seconds, job=job)
    return Card(thumbnail=thumbnail, job=job, place=found)


def look_up(job: str) -> "tuple[bytes, Identification | Place]":
    """The thumbnail, and what has become of a job.

    :raises NotFound: there is no such job.
    :raises FailedError: the workers have given up on it.
    :raises LostError: no answer is to be hoped for.
    :raises UnavailableError: that cannot be told at the moment.
    """
    if not is_split():
        abort(404)
    try:
        return network().look_up(job)
    except UnknownJobError:
        abort(404, "There is no such answer here, or it is more than an hour old. Please send the photo again.")


def expect(later: LaterError) -> None:
    """An answer comes later, and somebody will look for it.

    :raises GoneError: nobody will.
    """
    if client_watch()():
        network().forget(later.job)
        raise GoneError
    note("later")


@application.before_request
def wait_for_the_model() -> Response | None:
    """Let nobody in before it is warm, but for who asks just that. Threads are left to answer those.

    :raises ServiceUnavailable: too many programs wait.
    """
    if ready.is_set() or request.endpoint == "healthz":
        return None
    if not early.acquire(blocking=False):
        starting = ServiceUnavailable(STARTING, retry_after=UNAVAILABLE_RETRY)
        if request.path.startswith("/api/"):
            raise starting
        return starting.get_response()  # no page of ours: it would name the model
    try:
        ready.wait()
    finally:
        early.release()
    return None


@application.route("/healthz")
def healthz() -> tuple[dict[str, object], int, dict[str, str]]:
    """Whether a photo would be answered, for programs."""
    about, status = health()
    return about, status, {"Cache-Control": "no-store"}


def health() -> tuple[dict[str, object], int]:
    """What this process and its queue say of themselves, and the status for it."""
    if not ready.is_set():
        return {"reason": "The model is being loaded."}, 503
    about = {"labels": len(network().labels), "model": network().sha256}
    if not is_split():
        return {"mode": "one process", **about, "waiting": line().waiting}, 200
    about["mode"] = "queue"
    try:
        state = network().state()
    except UnavailableError as error:
        log_unavailable(error)
        return {**about, "reason": error.reason}, 503
    about["waiting"] = state.waiting
    about["workers"] = [{"labels": worker.labels, "model": worker.model} for worker in state.workers]
    return (about, 200) if state.workers else ({**about, "reason": NO_WORKER}, 503)


@application.get("/metrics")
def prometheus_metrics() -> Response:
    """What became of photos and what it took, for a Prometheus that asks this very process."""
    if any(name in request.headers for name in FORWARDED):
        abort(404)  # outside there is no such page
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def photos_in_line() -> float:
    """How many wait; not a number if the queue cannot be asked."""
    if not is_split():
        return line().waiting
    try:
        return network().state().waiting
    except UnavailableError as error:
        log_unavailable(error)
        return math.nan


def client_watch() -> Callable[[], bool]:
    """What tells, in any thread, whether the client of this request has hung up.

    One that has closed its sending side counts as gone, as it does with nginx. Linux alone can tell, and of the
    servers Flask's own and gunicorn.
    """
    environ = request.environ if has_request_context() else {}
    socket = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")

    def is_gone() -> bool:
        poll = select.poll()
        poll.register(socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    return is_gone if socket is not None and hasattr(select, "POLLRDHUP") else lambda: False


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Take the time of a part of this request."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        note_seconds(name, time.perf_counter() - begun)


def note_seconds(name: str, seconds: float) -> None:
    """A part of this request has taken so long."""
    stages()[name] = stages().get(name, 0) + seconds
    metrics.stage_seconds.labels(name).observe(seconds)


def stages() -> dict[str, float]:
    """What the parts of this request have taken so far, in seconds."""
    return g.setdefault("stages", {})


def note(outcome: str) -> None:
    """This has become of a photo."""
    outcomes().append(outcome)
    metrics.photos.labels(outcome).inc()


def outcomes() -> list[str]:
    """What has become of the photos of this request."""
    return g.setdefault("outcomes", [])


@contextlib.contextmanager
def receiving() -> Iterator[None]:
    """The block reads the body of this request.

    :raises BadRequest: it is not what its head announced.
    :raises ServiceUnavailable: it cannot be kept, which is no mistake of the client's.
    """
    try:
        with stage("receive"):
            yield
    except HTTPException:
        raise
    except OSError as error:
        # The servers' own exceptions have no errno.
        if error.errno is None or isinstance(error, ConnectionError | TimeoutError):
            raise BadRequest(BROKEN_UPLOAD) from error
        application.logger.error("BIRD_UPLOADS=%s: %s", application.config["UPLOADS"], error.strerror)
        raise ServiceUnavailable(
            "There is no room for photos at the moment. Please try again later.", retry_after=60
        ) from error
    # Every server has exceptions of its own for a body that it cannot make sense of.
    except Exception as error:
        raise BadRequest(BROKEN_UPLOAD) from error


@application.route("/report")
def report() -> Response:
    """How good the model is: the page that training wrote beside it."""
    if report_page() is None:
        abort(404)
    g.headers = REPORT_HEADERS
    return make_response(report_page())


@cache
def report_page() -> str | None:
    """The training report of the model that is loaded; None if there is none of this very model."""
    path = Path(application.config["MODEL"]).parent / REPORT_FILE
    try:
        return path.read_text(encoding="utf-8") if path.is_file() and model_card() else None
    except (OSError, UnicodeDecodeError) as error:
        application.logger.warning("%s is left aside: %s.", path, error)
        return None


def discard_request() -> None:
    """Read what the client still has to send, ``DISCARD_LIMIT`` at most, and forget it.

    A server that answers and hangs up while a browser is still sending makes it show "connection
    reset" instead of the answer.
    """
    request.max_content_length = DISCARD_LIMIT
    if request.content_length is None:
        # A body of unknown length has used up the stream that was limited to MAX_CONTENT_LENGTH.
        vars(request).pop("stream", None)
    # It ends at the limit, or with the exception of this server for a client that is gone.
    with contextlib.suppress(Exception):
        while request.stream.read(DISCARD_BLOCK):
            pass


def as_http(error: Exception) -> HTTPException:
    """What keeps a photo from being answered, as a status and a sentence for the person who sent it."""
    sentence = str(error)
    match error:
        case HTTPException():
            return error
        case BusyError():
            return ServiceUnavailable(sentence, retry_after=error.retry_after)
        case UnavailableError():
            log_unavailable(error)
            return ServiceUnavailable(sentence, retry_after=UNAVAILABLE_RETRY)
        case LostError():
            return ServiceUnavailable(sentence, retry_after=LOST_RETRY)
    return UnprocessableEntity(sentence)


def note_failure(error: Exception) -> None:
    """A photo was not answered."""
    if request.method == "POST" and request.endpoint:
        note(outcome_of(error))


def outcome_of(error: Exception) -> str:
    """One of ``metrics.OUTCOMES``."""
    match error:
        case BusyError():
            return "busy"
        case UnavailableError() | ServiceUnavailable():
            return "unavailable"
        case RateLimitExceeded():
            return "limited"
        case FailedError() | LostError() | InternalServerError():
            return "failed"
    return "refused"


@application.errorhandler(BusyError)
@application.errorhandler(UnavailableError)
@application.errorhandler(LostError)
@application.errorhandler(FailedError)
@application.errorhandler(PhotoError)
def no_answer(error: Exception) -> Response:
    """Say why a photo is not answered."""
    # Each of a crowd takes the processor from those in line for a while, and comes back at once.
    if isinstance(error, BusyError) and not is_split() and crowd.joined():
        discard_request()
        time.sleep(CROWD_DELAY)
    note_failure(error)
    return in_form_asked_for(as_http(error))


@application.errorhandler(RequestEntityTooLarge)
def http_413(error: RequestEntityTooLarge) -> Response:
    """Say that the request is larger than ``MAX_CONTENT_LENGTH``, or its form holds more than photos."""
    if (request.content_length or sys.maxsize) <= application.config["MAX_CONTENT_LENGTH"]:
        error.description = "The upload holds too many or too long fields. Please send photos and nothing else."
    else:
        error.description = "Uploaded file too large."
    return http_error(error)


@application.errorhandler(RateLimitExceeded)
def too_many(error: RateLimitExceeded) -> Response:
    """Say that this client has sent as much as it may."""
    error.retry_after = max(1, math.ceil(limiter.current_limit.reset_at - time.time()))
    wait = "a second" if error.retry_after == 1 else f"{error.retry_after} seconds"
    error.description = f"Too many uploads came from your address in a short time. Please try again in {wait}."
    return http_error(error)


@application.errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    """Any other error."""
    note_failure(error)
    return in_form_asked_for(error)


def in_form_asked_for(error: HTTPException) -> Response:
    """A problem (RFC 9457), a card or a page."""
    discard_request()
    response = error.get_response()
    if request.path.startswith("/api/"):
        problem = {"type": "about:blank", "title": error.name, "status": error.code, "detail": error.description}
        response.set_data(json.dumps(problem))
        response.content_type = "application/problem+json"
    elif request.endpoint in ("card", "card_that_waits"):
        response.set_data(render_template("card.html", card=Card(sentence=error.description)))
    elif request.endpoint == "index" and isinstance(error, MENDABLE):
        flash(error.description)
        return redirect(url_for("index"))
    elif request.endpoint == "index" and request.method == "POST":
        response.set_data(render_template("index.html", sentence=error.description))
    else:
        response.set_data(render_template("error.html", error=error))
        if request.endpoint == "identification" and error.code == ServiceUnavailable.code:
            response.headers["Refresh"] = UNAVAILABLE_RETRY  # the answer may come yet
    return response


def log_unavailable(error: UnavailableError) -> None:
    """For who runs the app."""
    application.logger.warning("unavailable: %s: %s", error.reason, error.__cause__ or "none has shown itself")


@application.errorhandler(GoneError)
def client_gone(_error: GoneError) -> Response:
    """Nobody reads this answer."""
    note("gone")
    return Response(status=CLIENT_GONE)


@application.after_request
def secure_headers(response: Response) -> Response:
    """Tell the browser what a page of this site never does."""
    g.get("headers", PAGE_HEADERS).set_headers(response)
    return response


@application.after_request
def log_request(response: Response) -> Response:
    """Log what became of a request and what its parts took: no file name, no address, no path that leads to a photo."""
    route = request.url_rule.rule if request.url_rule else "-"
    outcome = "mixed" if len(set(outcomes())) > 1 else next(iter(outcomes()), "-")
    seconds = {"total": time.perf_counter() - request.begun, **stages()}
    ms = {name: round(1000 * took, 1) for name, took in seconds.items()}
    application.logger.info(
        "%s %s %d %s %s",
        *(request.method, route, response.status_code, outcome, ms["total"]),
        extra={
            "method": request.method,
            "route": route,
            "status": response.status_code,
            "outcome": outcome,
            "photos": len(outcomes()),
            "ms": ms,
        },
    )
    response.headers["X-Request-ID"] = request.id
    return response


@application.after_request
def server_timing(response: Response) -> Response:
    """Say what the parts of an answer took, in milliseconds (W3C Server Timing)."""
    if stages():
        response.headers["Server-Timing"] = ", ".join(
            f"{name};dur={1000 * seconds:.2f}" for name, seconds in stages().items()
        )
    return response


@application.context_processor
def page_context() -> dict[str, object]:
    """What every page may name."""
    return {
        "extensions": list(FORMATS),
        "max_photos": MAX_PHOTOS,
        "max_pixels_of": {f"image/{decoder.lower()}": limit for decoder, limit in MAX_PIXELS_OF.items()},
        "species_known": len(network().labels),
        "model": network().sha256,
        "unsure_below": unsure_below(),
        "is_split": is_split(),
        "has_report": report_page() is not None,
        "csv_header": listing.header(),
    }


@application.template_filter("csv")
def as_csv(cards: list[Card]) -> str:
    """The list of answers, as base64 of a CSV file."""
    return as_text(listing.as_csv([listing.header(), *([card.name, *card.row] for card in cards)]).encode())


application.add_template_filter(look_up_url)


def is_split() -> bool:
    """Whether the network runs in workers, behind a queue."""
    return bool(application.config["QUEUE_URL"])


def _local_classifier() -> "Classifier":
    from inference.pair import check_pair, load_classifier  # h5py is not needed where the network runs elsewhere

    model, labels = Path(application.config["MODEL"]), Path(application.config["LABELS"])
    check_pair(model, labels)
    return load_classifier(model, labels, application.config["PRECISION"])


def _remote_classifier() -> "RemoteClassifier":
    from jobs.client import RemoteClassifier  # Celery's import takes its time, too

    model = Path(application.config["MODEL"])
    return RemoteClassifier(
        application.config["QUEUE_URL"],
        application.config["RESULT_URL"],
        labels=load_labels(Path(application.config["LABELS"])),
        sha256=sha256(model) if model.is_file() else "",  # it is not needed here
        max_waiting=application.config["MAX_WAITING"],
        result_wait=application.config["RESULT_WAIT"],
    )


@cache
def _load_network() -> "Classifier | RemoteClassifier":
    return _remote_classifier() if is_split() else _local_classifier()


def network() -> "Classifier | RemoteClassifier":
    """The one classifier of this process: the network itself, or what asks workers."""
    with _loading:
        return _load_network()


@cache
def line() -> Line:
    """The one line of photographs in this process."""
    max_waiting = application.config["MAX_WAITING"]
    return Line(sandbox.read, network().classify, max_waiting, at_once=max_waiting + 1 if is_split() else 1)


def warm_up() -> None:
    """Answer a blank picture: what is done only once is done before the first person waits for it."""
    blank = Photo(Image.new("RGB", (MIN_SIDE, MIN_SIDE)), (MIN_SIDE, MIN_SIDE)).thumbnail()
    with application.test_request_context():
        for _ in range(WARM_UP_ANSWERS):
            answer = line().identify(io.BytesIO(blank))
            card = Card(thumbnail=answer.reading.thumbnail, identification=answer.identification)
            render_template("index.html", cards=[card])


@application.cli.command("identify")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, readable=False, path_type=Path))
@click.option("--top", type=click.IntRange(1, CANDIDATES), help="How many species for each photo.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a list to this file.")
@click.option("--resume", is_flag=True, help="Go on with the file of --csv: photos in it are left out.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, a line for each photo.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=usable_cores,
    show_default="the processor's cores",
    help="How many photos are read at the same time.",
)
@click.pass_context
def identify(context: click.Context, **options: object) -> None:
    """Name the birds in photos: in the files and folders PATHS."""
    if is_reloaders_parent():  # in debug mode, where a command is taken for one
        start()
    max_pixels = application.config["MAX_PIXELS"]
    context.exit(folders.identify(network=network(), is_remote=is_split(), max_pixels=max_pixels, **options))


def start() -> None:
    """Check the settings, sweep ``uploads/`` and load the model, or end with one line that says why not.

    Under gunicorn the model is loaded while the first requests come in: they wait for it, and /healthz says so.
    """
    try:
        settings.check(application.config)
        settings.check_rate_limit(application.config)
        port()
        if is_under_gunicorn():
            check_for_production()
        allow_open_files()
        sweep_uploads(Path(application.config["UPLOADS"]))
        stand_behind_proxies(application.config["PROXIES"])
        limit_clients()
        sandbox.start()  # it gets ready while the model is loaded
    except SettingError as error:
        stop(error)
    ready.clear()
    if is_under_gunicorn():
        # Told to stop meanwhile, this process would take apart what the other thread is building, and crash or hang.
        atexit.register(lambda: ready.is_set() or os._exit(0))
        threading.Thread(target=load, name="load", daemon=True).start()
    else:
        load()


def load() -> None:
    """Load the model and warm it up; without one there is nothing to go on for."""
    try:
        network()
        report_page()
        model_figures()
        if not is_split():
            warm_up()
    except PairError as error:
        stop(error)
    except Exception:
        application.logger.exception("The model could not be loaded.")
        stop("the model could not be loaded")
    metrics.describe(network().sha256, len(network().labels), photos_in_line)
    ready.set()


def stop(reason: object) -> NoReturn:
    """End with one line that says why."""
    print(f"application: {reason}", file=sys.stderr, flush=True)
    if threading.current_thread() is threading.main_thread():
        sys.exit(CANNOT_START)
    os._exit(CANNOT_START)  # another thread's sys.exit would only end that thread


def is_under_gunicorn() -> bool:
    """Whether gunicorn, which says so in the environment of its processes, serves the app."""
    return os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/")


def check_for_production() -> None:
    """Warn of what is no fault on a laptop.

    :raises SettingError: visitors would see the inside of the app.
    """
    if application.debug:
        raise SettingError("FLASK_DEBUG is on, which shows visitors the inside of the app. Leave it out.")
    if not os.environ.get("BIRD_SECRET_KEY"):
        application.logger.warning(
            "BIRD_SECRET_KEY is not set: this process has made one up. Messages between two pages are lost with it, "
            "and other web processes cannot read them."
        )
    elif len(application.config["SECRET_KEY"]) < SECRET_LENGTH:
        application.logger.warning("BIRD_SECRET_KEY is short enough to be guessed. Take %d characters.", SECRET_LENGTH)


def allow_open_files() -> None:
    """Raise the limit of open files as far as this process may: each request may hold ``MAX_PHOTOS``."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS allows fewer than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, OPEN_FILES)), hard))


def stand_behind_proxies(hops: int) -> None:
    """Believe the last so many proxies who the client is, and whether it speaks HTTPS."""
    if hops:
        application.wsgi_app = ProxyFix(application.wsgi_app, x_for=hops, x_proto=hops)


def limit_clients() -> None:
    """Count the uploads of each client; where there is a queue, for all web processes together, in its Redis."""
    application.config["RATELIMIT_ENABLED"] = bool(application.config["RATE_LIMIT"])
    application.config["RATELIMIT_STORAGE_URI"] = "memory://"
    if is_split():
        from jobs.register import PATIENCE  # redis is not needed where there is no queue

        application.config["RATELIMIT_STORAGE_URI"] = application.config["RESULT_URL"]
        application.config["RATELIMIT_STORAGE_OPTIONS"] = PATIENCE
    application.config["RATELIMIT_IN_MEMORY_FALLBACK_ENABLED"] = True  # a Redis that is gone must not turn people away
    limiter.init_app(application)


def sweep_uploads(folder: Path) -> None:
    """Remove what a killed process left behind.

    :raises SettingError: the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{UPLOAD_SUFFIX}"):
            left.unlink(missing_ok=True)
    except OSError as error:
        raise SettingError(f"BIRD_UPLOADS={folder} cannot be used: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise SettingError(f"BIRD_UPLOADS={folder} cannot be written to.")


def port() -> int:
    """The ``PORT`` of the environment.

    :raises SettingError: it is not a port number.
    """
    text = os.environ.get("PORT", "5000")
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise SettingError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


class QuietHandler(WSGIRequestHandler):
    """Says nothing of a request, since the app logs it."""

    def log_request(self, *_about: object) -> None:
        """Leave it to the app."""


def serve() -> None:
    """Run Flask's own server on this machine's loopback address."""
    number = port()
    if get_debug_flag():
        application.run(port=number)
        return
    with make_server("127.0.0.1", number, application, threaded=True, request_handler=QuietHandler) as server:
        print(f"http://127.0.0.1:{number}", flush=True)
        server.serve_forever()


def is_reloaders_parent() -> bool:
    """Whether Flask's reloader is about to run this file again in a process that answers the requests."""
    served_by_flask = __name__ == "__main__" or "FLASK_RUN_FROM_CLI" in os.environ
    return served_by_flask and get_debug_flag() and not is_running_from_reloader()


if not is_reloaders_parent():
    start()

if __name__ == "__main__":
    serve()
