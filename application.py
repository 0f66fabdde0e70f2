"""Name the bird in a photograph: the Flask module, and the WSGI object ``application``."""

import base64
import contextlib
import io
import logging
import os
import select
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
from flask import (
    Flask,
    Request,
    abort,
    flash,
    g,
    has_request_context,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.helpers import get_debug_flag
from PIL import Image
from secure import ContentSecurityPolicy, ReferrerPolicy, Secure, XContentTypeOptions, XFrameOptions
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, ServiceUnavailable
from werkzeug.serving import is_running_from_reloader, make_server
from werkzeug.wrappers import Response

import folder
import settings
from inference import CANDIDATES, MIN_SIDE, REPORT_FILE, Identification, PairError
from inference.card import load_card, sha256
from inference.labels import load_labels
from inference.line import BusyError, Crowd, GoneError, LaterError, Line
from inference.photo import FORMATS, Photo, PhotoError
from inference.processor import usable_cores
from inference.sandbox import Sandbox
from jobs import NO_WORKER, FailedError, LostError, UnavailableError, UnknownJobError
from settings import CANNOT_START, SettingError

if TYPE_CHECKING:
    from inference.classifier import Classifier
    from jobs.client import RemoteClassifier

DISCARD_LIMIT = 2**30  # bytes of a refused upload that are read before its sender is told
DISCARD_BLOCK = 2**16  # bytes
UPLOAD_SUFFIX = ".upload"
BROKEN_UPLOAD = "The upload broke off or is malformed. Please send it again."
WARM_UP_ANSWERS = 5  # after so many, an answer takes as long as the next one
CROWD_DELAY = 0.05  # seconds before one of a crowd that does not wait as told is sent away again
CLIENT_GONE = 499  # nginx's status for an answer that nobody waited for; it is only seen in logs
UNAVAILABLE_RETRY = 5  # seconds after which it is worth trying again when the queue is gone

_EXTENSIONS = [f"'{extension}'" for extension in FORMATS]
UNSUPPORTED_FILE_TYPE = (
    "The file type you selected: '{extension}' is not supported. "
    f"Please select a {', '.join(_EXTENSIONS[:-1])}, or a {_EXTENSIONS[-1]} file."
)


def security_headers(*, style: str = "'self'", script: str = "'none'") -> Secure:
    """What a browser is told that a page never does.

    :param style: where its style comes from, as a source of a Content-Security-Policy.
    :param script: where its script comes from, and may ask for something.
    """
    return Secure(
        # The page and its style come from here, a thumbnail from the page itself, and nothing from anywhere else.
        csp=ContentSecurityPolicy()
        .default_src("'none'")
        .style_src(style)
        .script_src(script)
        .connect_src(script)
        .img_src("'self'", "data:")
        .form_action("'self'")
        .base_uri("'none'")
        .frame_ancestors("'none'"),
        xcto=XContentTypeOptions().nosniff(),
        xfo=XFrameOptions().deny(),
        referrer=ReferrerPolicy().no_referrer(),
    )


PAGE_HEADERS = security_headers()
REPORT_HEADERS = security_headers(style="'unsafe-inline'")  # one file, with its style in it
WAITING_HEADERS = security_headers(script="'self'")  # it asks for its next state


class UploadRequest(Request):
    """A request whose photo lies in the folder ``UPLOADS``, under a random name, until it has been answered.

    It is written there as it comes in, once. It stays readable if another start sweeps the folder meanwhile. Further
    files of a form are kept as Werkzeug keeps them: a hundred small ones take no hundred open files.
    """

    def __init__(self, environ: dict[str, object], **options: object) -> None:
        super().__init__(environ, **options)
        self.upload: BinaryIO | None = None

    def _get_file_stream(self, *about: object, **more: object) -> BinaryIO:
        if self.upload is not None:
            return super()._get_file_stream(*about, **more)
        self.upload = tempfile.NamedTemporaryFile(  # noqa: SIM115  close() closes it
            dir=application.config["UPLOADS"], prefix="", suffix=UPLOAD_SUFFIX
        )
        return self.upload

    def close(self) -> None:
        """Remove the photo."""
        super().close()
        if self.upload is not None:
            with contextlib.suppress(OSError):  # swept; or the disk was full, and its last bytes go nowhere
                self.upload.close()


application = Flask(__name__)
application.request_class = UploadRequest
application.config.from_mapping(settings.DEFAULTS)
application.config.from_prefixed_env("BIRD")
application.config["DEBUG"] = get_debug_flag()  # Flask's own switch, and no BIRD_DEBUG
application.logger.setLevel(logging.INFO)

sandbox = Sandbox(application.config["MAX_PIXELS"])
crowd = Crowd()
_loading = threading.Lock()


@application.route("/", methods=["GET", "POST"])
def index() -> str | Response:
    """Show the form; name the bird in the photograph that was posted."""
    if request.method != "POST":
        return render_template("index.html")
    check_room()  # before the work of receiving
    with stage("receive"):
        files = received_files()
    if "bird_image" not in files:
        return refuse("No file uploaded.")
    upload = files["bird_image"]
    if not upload.filename:
        return refuse("No file selected to upload.")
    extension = Path(upload.filename).suffix.lower()
    if extension not in FORMATS:
        shown = "".join(filter(str.isprintable, extension[:20]))  # no NUL, no mark that turns the text around
        return refuse(UNSUPPORTED_FILE_TYPE.format(extension=shown))
    try:
        identification, thumbnail = classify_image(upload.stream)
    except (PhotoError, FailedError, LostError) as error:
        return refuse(str(error))
    except LaterError as later:
        return wait_elsewhere(later)
    application.logger.info("identified")
    with stage("template"):
        return private_page("index.html", identification=identification, thumbnail=thumbnail)


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
    page = make_response(render_template(template, **context))
    page.cache_control.no_store = True
    return page


def classify_image(file: str | Path | BinaryIO) -> tuple[Identification, str]:
    """Name the bird in a picture file.

    :param file: a path or an open binary file.
    :return: what the network says, and the thumbnail as base64 of a JPEG.
    :raises PhotoError: the file cannot be used as a photograph.
    :raises BusyError: too many photographs are in line.
    :raises GoneError: the client of this request is gone.
    :raises LaterError: a worker's answer takes its time.
    :raises FailedError: the workers have given up on it.
    :raises UnavailableError: no worker would look at it.
    """
    with open(file, "rb") if isinstance(file, str | Path) else contextlib.nullcontext(file) as opened:
        answer = line().identify(opened, client_watch())
    if has_request_context():
        stages().update(answer.seconds)
    return answer.identification, as_text(answer.reading.thumbnail)


def as_text(jpeg: bytes) -> str:
    """A thumbnail for a ``data:`` URL."""
    return base64.b64encode(jpeg).decode("ascii")


def wait_elsewhere(later: LaterError) -> Response:
    """Send a person to a page of their own, where the answer will be.

    :raises UnavailableError: it cannot be kept.
    """
    if client_watch()():
        network().forget(later.job)
        return client_gone(GoneError())
    network().keep_thumbnail(later.job, later.reading.thumbnail)
    application.logger.info("later")
    return redirect(url_for("identification", job=later.job), 303)


@application.route("/identifications/<job>")
def identification(job: str) -> Response:
    """The answer to a photograph that took its time, or how far it is."""
    if not is_split():
        abort(404)
    try:
        thumbnail, found = network().look_up(job)
    except UnknownJobError:
        abort(404, "There is no such answer here, or it is more than an hour old. Please send the photo again.")
    except (FailedError, LostError) as error:
        return private_page("index.html", sentence=str(error))
    if isinstance(found, Identification):
        return private_page("index.html", identification=found, thumbnail=as_text(thumbnail))
    g.headers = WAITING_HEADERS
    return private_page("waiting.html", place=found, thumbnail=as_text(thumbnail))


@application.route("/healthz")
def healthz() -> tuple[dict[str, object], int, dict[str, str]]:
    """Whether a photo would be answered, for programs."""
    about, status = health()
    return about, status, {"Cache-Control": "no-store"}


def health() -> tuple[dict[str, object], int]:
    """What this process and its queue say of themselves, and the status for it."""
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
        stages()[name] = time.perf_counter() - begun


def stages() -> dict[str, float]:
    """What the parts of this request have taken so far, in seconds."""
    return g.setdefault("stages", {})


def received_files() -> MultiDict[str, FileStorage]:
    """The files of the form that was posted.

    :raises BadRequest: the body is not what its head announced.
    :raises ServiceUnavailable: it cannot be kept, which is no mistake of the client's.
    """
    try:
        return request.files
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


def refuse(sentence: str) -> Response:
    """Back to the form, which shows the sentence."""
    discard_request()
    application.logger.info("refused")
    flash(sentence)
    return redirect(url_for("index"))


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
    model = Path(application.config["MODEL"])
    path = model.parent / REPORT_FILE
    try:
        return path.read_text(encoding="utf-8") if path.is_file() and load_card(model) else None
    except (OSError, UnicodeDecodeError) as error:
        application.logger.warning("%s is left aside: %s.", path, error)
        return None


@application.errorhandler(RequestEntityTooLarge)
def http_413(_error: RequestEntityTooLarge) -> Response:
    """Say that the request is larger than ``MAX_CONTENT_LENGTH``, or its form holds more than a photo."""
    if (request.content_length or sys.maxsize) <= application.config["MAX_CONTENT_LENGTH"]:
        return refuse("The upload holds too many or too long fields. Please send one photo and nothing else.")
    return refuse("Uploaded file too large.")


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


@application.errorhandler(BusyError)
def busy(error: BusyError) -> Response:
    """Say that too many are in line, and when to try again: at once, but to a crowd before the network itself."""
    discard_request()
    # Each of a crowd takes the processor from those in line for a while, and comes back at once.
    if not is_split() and crowd.joined():
        time.sleep(CROWD_DELAY)
    application.logger.info("busy")
    response = make_response(render_template("index.html", sentence=str(error)), 503)
    response.retry_after = error.retry_after
    return response


@application.errorhandler(UnavailableError)
def unavailable(error: UnavailableError) -> Response:
    """Say that the queue is gone, or that nobody works."""
    discard_request()
    log_unavailable(error)
    response = make_response(render_template("index.html", sentence=str(error)), 503)
    response.retry_after = UNAVAILABLE_RETRY
    if request.endpoint == "identification":
        response.headers["Refresh"] = UNAVAILABLE_RETRY  # the answer may come yet
    return response


def log_unavailable(error: UnavailableError) -> None:
    """For who runs the app."""
    application.logger.warning("unavailable: %s: %s", error.reason, error.__cause__ or "none has shown itself")


@application.errorhandler(GoneError)
def client_gone(_error: GoneError) -> Response:
    """Nobody reads this answer."""
    application.logger.info("gone")
    return Response(status=CLIENT_GONE)


@application.errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    """Any other error, as a page that looks like the others."""
    response = error.get_response()
    response.set_data(render_template("error.html", error=error))
    return response


@application.after_request
def secure_headers(response: Response) -> Response:
    """Tell the browser what a page of this site never does."""
    g.get("headers", PAGE_HEADERS).set_headers(response)
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
        "species_known": len(network().labels),
        "model": network().sha256,
        "is_split": is_split(),
        "has_report": report_page() is not None,
    }


def is_split() -> bool:
    """Whether the network runs in workers, behind a queue."""
    return bool(application.config["QUEUE_URL"])


def _load_classifier() -> "Classifier":
    from inference.model_file import check_model_file

    model, labels = Path(application.config["MODEL"]), Path(application.config["LABELS"])
    # What can be said of the files without TensorFlow is said before the seconds that its import takes.
    load_labels(labels)
    check_model_file(model)
    # Nothing learns in this process, so oneDNN may keep weights in the order that it likes: a fifth less processor
    # time. (Where something learns, or convolves outside of a traced network, the answers would be wrong.)
    os.environ.setdefault("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1")
    from inference.classifier import Classifier

    return Classifier(model, labels, application.config["PRECISION"])


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
    return _remote_classifier() if is_split() else _load_classifier()


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
            identification, thumbnail = classify_image(io.BytesIO(blank))
            render_template("index.html", identification=identification, thumbnail=thumbnail)


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
    context.exit(folder.identify(network=network(), is_remote=is_split(), max_pixels=max_pixels, **options))


def start() -> None:
    """Check the settings, sweep ``uploads/`` and load the model, or end with one line that says why not."""
    try:
        settings.check(application.config)
        port()
        sweep_uploads(Path(application.config["UPLOADS"]))
        sandbox.start()  # it gets ready while the model is loaded
        network()
        report_page()
        if not is_split():
            warm_up()
    except (PairError, SettingError) as error:
        print(f"application: {error}", file=sys.stderr)
        sys.exit(CANNOT_START)


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


def serve() -> None:
    """Run Flask's own server on this machine's loopback address."""
    number = port()
    if get_debug_flag():
        application.run(port=number)
        return
    with make_server("127.0.0.1", number, application, threaded=True) as server:
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
