"""Name the bird in a photograph: the Flask module, and the WSGI object ``application``."""

import base64
import contextlib
import logging
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from flask import Flask, abort, flash, make_response, redirect, render_template, request, url_for
from flask.helpers import get_debug_flag
from secure import ContentSecurityPolicy, ReferrerPolicy, Secure, XContentTypeOptions, XFrameOptions
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from werkzeug.serving import is_running_from_reloader, make_server
from werkzeug.wrappers import Response

from inference import LABELS_FILE, MODEL_FILE, REPORT_FILE, Identification, PairError
from inference.card import load_card
from inference.labels import load_labels
from inference.model_file import check_model_file
from inference.photo import FORMATS, MAX_PIXELS, PhotoError
from inference.sandbox import Sandbox

if TYPE_CHECKING:
    from inference.classifier import Classifier

HERE = Path(__file__).parent

# Every setting can be changed from outside: BIRD_MODEL=/elsewhere/birds.h5, and so on.
DEFAULTS = {
    "MODEL": str(HERE / "models" / MODEL_FILE),
    "LABELS": str(HERE / "models" / LABELS_FILE),
    "UPLOADS": str(HERE / "uploads"),  # leftovers in it are swept when the app starts
    "MAX_CONTENT_LENGTH": 10 * 2**20,  # bytes of a whole request
    "MAX_FORM_MEMORY_SIZE": 500_000,  # bytes of a field that is no file
    "MAX_FORM_PARTS": 100,  # fields and files
    "MAX_PIXELS": MAX_PIXELS,  # of a photo; reading more than 50 million may take too much memory
    "SECRET_KEY": secrets.token_hex(),  # signs the messages between two pages; another after each start will do
}

DISCARD_LIMIT = 2**30  # bytes of a refused upload that are read before its sender is told
DISCARD_BLOCK = 2**16  # bytes
MIN_FORM_MEMORY_SIZE = 2**17  # bytes; Werkzeug reads forms, files included, in blocks of half of it
UPLOAD_SUFFIX = ".upload"
CANNOT_START = 4  # gunicorn starts a worker that ends otherwise again and again

_EXTENSIONS = [f"'{extension}'" for extension in FORMATS]
UNSUPPORTED_FILE_TYPE = (
    "The file type you selected: '{extension}' is not supported. "
    f"Please select a {', '.join(_EXTENSIONS[:-1])}, or a {_EXTENSIONS[-1]} file."
)


def security_headers(style: str) -> Secure:
    """What a browser is told that a page never does.

    :param style: where its style comes from, as a source of a Content-Security-Policy.
    """
    return Secure(
        # The page and its style come from here, a thumbnail from the page itself, and nothing from anywhere else.
        csp=ContentSecurityPolicy()
        .default_src("'none'")
        .style_src(style)
        .img_src("'self'", "data:")
        .form_action("'self'")
        .base_uri("'none'")
        .frame_ancestors("'none'"),
        xcto=XContentTypeOptions().nosniff(),
        xfo=XFrameOptions().deny(),
        referrer=ReferrerPolicy().no_referrer(),
    )


PAGE_HEADERS = security_headers(style="'self'")
REPORT_HEADERS = security_headers(style="'unsafe-inline'")  # one file, with its style in it

application = Flask(__name__)
application.config.from_mapping(DEFAULTS)
application.config.from_prefixed_env("BIRD")
application.config["DEBUG"] = get_debug_flag()  # Flask's own switch, and no BIRD_DEBUG
application.logger.setLevel(logging.INFO)

sandbox = Sandbox(application.config["MAX_PIXELS"])
_loading = threading.Lock()


@application.route("/", methods=["GET", "POST"])
def index() -> str | Response:
    """Show the form; name the bird in the photograph that was posted."""
    if request.method != "POST":
        return render_template("index.html")
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
        with lying_in_uploads(upload) as file:
            identification, thumbnail = classify_image(file)
    except PhotoError as error:
        return refuse(str(error))
    application.logger.info("identified")
    answer = make_response(render_template("index.html", identification=identification, thumbnail=thumbnail))
    answer.cache_control.no_store = True  # it carries the photo
    return answer


def classify_image(file: str | Path | BinaryIO) -> tuple[Identification, str]:
    """Name the bird in a picture file.

    :param file: a path or an open binary file.
    :return: what the network says, and the thumbnail as base64 of a JPEG.
    :raises PhotoError: the file cannot be used as a photograph.
    """
    with open(file, "rb") if isinstance(file, str | Path) else contextlib.nullcontext(file) as opened:
        pixels, thumbnail = sandbox.read(opened)
    return classifier().classify(pixels), base64.b64encode(thumbnail).decode("ascii")


def received_files() -> MultiDict[str, FileStorage]:
    """The files of the form that was posted.

    :raises BadRequest: the body is not what its head announced.
    """
    try:
        return request.files
    except HTTPException:
        raise
    # Every server has exceptions of its own for a body that it cannot make sense of.
    except Exception as error:
        raise BadRequest("The upload broke off or is malformed. Please send it again.") from error


def refuse(sentence: str) -> Response:
    """Back to the form, which shows the sentence."""
    discard_request()
    application.logger.info("refused")
    flash(sentence)
    return redirect(url_for("index"))


@contextlib.contextmanager
def lying_in_uploads(upload: FileStorage) -> Iterator[BinaryIO]:
    """Keep an upload in the folder ``UPLOADS``, under a random name, as long as the block lasts.

    :return: the file, open for reading. It stays readable if another start sweeps the folder meanwhile.
    """
    path = Path(application.config["UPLOADS"]) / (secrets.token_hex(16) + UPLOAD_SUFFIX)
    try:
        with path.open("w+b") as file:
            upload.save(file)
            file.seek(0)
            yield file
    finally:
        path.unlink(missing_ok=True)


@application.route("/report")
def report() -> Response:
    """How good the model is: the page that training wrote beside it."""
    if report_page() is None:
        abort(404)
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


@application.errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    """Any other error, as a page that looks like the others."""
    response = error.get_response()
    response.set_data(render_template("error.html", error=error))
    return response


@application.after_request
def secure_headers(response: Response) -> Response:
    """Tell the browser what a page of this site never does."""
    is_report = request.endpoint == "report" and response.status_code == 200
    (REPORT_HEADERS if is_report else PAGE_HEADERS).set_headers(response)
    return response


@application.context_processor
def page_context() -> dict[str, object]:
    """What every page may name."""
    return {
        "extensions": list(FORMATS),
        "species_known": len(classifier().labels),
        "has_report": report_page() is not None,
    }


@cache
def _load_classifier() -> "Classifier":
    model, labels = Path(application.config["MODEL"]), Path(application.config["LABELS"])
    # What can be said of the files without TensorFlow is said before the seconds that its import takes.
    load_labels(labels)
    check_model_file(model)
    from inference.classifier import Classifier

    return Classifier(model, labels)


def classifier() -> "Classifier":
    """The one classifier of this process."""
    with _loading:
        return _load_classifier()


def start() -> None:
    """Check the settings, sweep ``uploads/`` and load the model, or end with one line that says why not."""
    try:
        check_settings()
        port()
        sweep_uploads(Path(application.config["UPLOADS"]))
        sandbox.start()  # it gets ready while the model is loaded
        classifier()
        report_page()
    except (PairError, SettingError) as error:
        print(f"application: {error}", file=sys.stderr)
        sys.exit(CANNOT_START)


class SettingError(ValueError):
    """A setting cannot be used; the message says which and why."""


def check_settings() -> None:
    """:raises SettingError: a setting is not of its kind."""
    limits = {"MAX_CONTENT_LENGTH": "bytes", "MAX_FORM_MEMORY_SIZE": "bytes", "MAX_FORM_PARTS": "parts"}
    for name, unit in (limits | {"MAX_PIXELS": "pixels"}).items():
        limit = application.config[name]
        if not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0:
            raise SettingError(f"BIRD_{name} must be a number of {unit}, not {limit!r}.")
    if application.config["MAX_FORM_MEMORY_SIZE"] < MIN_FORM_MEMORY_SIZE:
        raise SettingError(
            f"BIRD_MAX_FORM_MEMORY_SIZE must be at least {MIN_FORM_MEMORY_SIZE}, or no photo is received."
        )
    for name in ("MODEL", "LABELS", "UPLOADS", "SECRET_KEY"):
        application.config[name] = str(application.config[name])  # BIRD_SECRET_KEY=123 reads as a number
        if not application.config[name]:
            raise SettingError(f"BIRD_{name} is empty. Set it, or leave it out for the default.")


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
