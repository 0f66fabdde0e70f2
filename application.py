"""The Flask application that names the bird in a photo: the WSGI object ``application`` and its first page."""

import contextlib
from pathlib import Path
from typing import BinaryIO

from flask import redirect, render_template, request, url_for
from flask.helpers import get_debug_flag
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

import settings
import web
from cli import compile, feedback, identify, names
from inference import Identification
from web import errors, startup
from web.admission import PendingPrediction
from web.cards import as_base64
from web.identify import identify_photo, identify_photos
from web.pages import private_page
from web.prediction import predict
from web.rate_limit import count_photo
from web.services import current_services
from web.uploads import received_photos, requested_region

application = startup.Application(__name__)
application.config.from_mapping(settings.DEFAULTS)
application.config.from_prefixed_env("BIRD")
application.config["DEBUG"] = get_debug_flag()  # Flask's own switch; there is no BIRD_DEBUG
web.init_app(application)
application.cli.add_command(compile.command)
application.cli.add_command(feedback.command)
application.cli.add_command(identify.command)
application.cli.add_command(names.command)


@application.route("/", methods=["GET", "POST"])
@count_photo
def index() -> str | Response:
    """Show the form; name the bird in the photo that was posted, or in each of several."""
    if request.method != "POST":
        return render_template("index.html")
    photos = received_photos()
    if len(photos) > 1:
        return private_page("index.html", cards=identify_photos(photos))
    card = identify_photo(photos[0], requested_region())
    if card.job_id:
        return redirect(url_for("pages.identification", job=card.job_id), 303)
    return private_page("index.html", cards=[card])


def classify_image(file: str | Path | BinaryIO) -> tuple[Identification, str]:
    """Name the bird in an image file; with workers, wait up to ``BIRD_RESULT_WAIT`` seconds for the answer.

    :param file: a path or an open binary file.
    :return: what the network says, and the thumbnail as base64 of a JPEG.
    :raises PhotoError: the file cannot be used as a photo.
    :raises TimeoutError: a worker's answer takes longer.
    :raises Exception: whatever else ``web.prediction.predict`` raises.
    """
    startup.start_once(application)
    with application.app_context(), _opened(file) as opened:
        prediction = predict(opened)
        if isinstance(prediction, PendingPrediction):
            current_services().classifier.drop(prediction.job_id)
            raise TimeoutError("no worker has answered in time")
    return prediction.identification, as_base64(prediction.reading.thumbnail)


def _opened(file: str | Path | BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    return open(file, "rb") if isinstance(file, str | Path) else contextlib.nullcontext(file)


@application.errorhandler(RequestEntityTooLarge)
def http_413(error: RequestEntityTooLarge) -> Response:
    """Say that the upload is too large."""
    return errors.too_large(error)


class QuietHandler(WSGIRequestHandler):
    """Flask's own request handler without its log line, since the app logs every request."""

    def log_request(self, *_arguments: object) -> None:
        """Log nothing."""


def serve() -> None:
    """Run Flask's own server on this machine's loopback address."""
    port = startup.port()
    if get_debug_flag():
        application.run(port=port)
        return
    with make_server("127.0.0.1", port, application, threaded=True, request_handler=QuietHandler) as server:
        print(f"http://127.0.0.1:{port}", flush=True)
        server.serve_forever()


if not startup.is_command() and not startup.is_reloaders_parent(is_main=__name__ == "__main__"):
    startup.start(application)

if __name__ == "__main__":
    serve()
