"""The start of the web process: check the settings, load the model and warm it up before any request is answered."""

import atexit
import contextlib
import io
import os
import sys
import threading
from typing import Any, NoReturn, cast

import click
from flask import Flask, current_app, render_template, request
from flask.cli import FlaskGroup
from flask.helpers import get_debug_flag
from PIL import Image
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import is_running_from_reloader

import settings
from inference import MIN_SIDE
from inference.errors import PairError
from inference.memory import give_back_memory
from inference.photo import Photo
from inference.sandbox import Sandbox
from inference.sentences import Sentence
from jobs import retry_after
from jobs.errors import UnavailableError
from settings import CANNOT_START, SettingError, Settings

from . import queue_metrics, rate_limit, telemetry, uploads
from .admission import Prediction
from .cards import card_of_prediction
from .errors import log_unavailable
from .services import Services, build_services

OPEN_FILES = 2**16  # that this process may have, if the system allows it
STARTING = Sentence("The app is being started. Please try again in a few seconds.")
EARLY_REQUESTS = 16  # that may wait for the model: half of gunicorn's threads when BIRD_MAX_WAITING is 0
WARM_UP_ANSWERS = 5  # after these, answers get no faster
SHUTDOWN = 0.5  # seconds in which the main thread has ended if the process was told to stop
SECRET_LENGTH = 16  # characters that a key should have at least: 64 bits, if they are random hexadecimal digits


class Readiness:
    """Whether the model is loaded and warm.

    :param early_requests: how many requests may wait for that.
    """

    def __init__(self, early_requests: int = EARLY_REQUESTS) -> None:
        self.is_loading = False
        self.starting = threading.Lock()
        self._ready = threading.Event()
        self._early_requests = threading.BoundedSemaphore(early_requests)

    def __bool__(self) -> bool:
        return self._ready.is_set()

    def announce(self) -> None:
        """Let all requests in."""
        self._ready.set()

    def wait(self) -> None:
        """Wait until the model is warm.

        :raises ServiceUnavailable: too many requests wait already; threads must be left to answer ``/healthz``.
        """
        if not self._early_requests.acquire(blocking=False):
            raise ServiceUnavailable(STARTING, retry_after=retry_after.when_it_is_back())
        try:
            self._ready.wait()
        finally:
            self._early_requests.release()


def _readiness(app: Flask) -> Readiness:
    return cast(Readiness, app.extensions["bird_readiness"])


def is_ready() -> bool:
    """Whether the application of this request has loaded its model and warmed it up."""
    return bool(_readiness(current_app))


def init_app(app: Flask) -> None:
    """Let no request except ``/healthz`` in before the model is warm."""
    app.extensions["bird_readiness"] = Readiness()

    @app.before_request
    def wait_until_ready() -> None:
        if request.endpoint != "health.healthz" and not is_ready():
            _readiness(current_app).wait()


class Application(Flask):
    """A Flask application that starts with its first request if nothing has started it before.

    Flask's command line imports an application for commands that need no model. It starts only if such a command sends
    it a request, as a person may in ``flask shell``.
    """

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer a request (WSGI)."""
        start_once(self)
        return super().__call__(environ, start_response)


def start_once(app: Flask) -> None:
    """Start an application unless that has been done."""
    readiness = _readiness(app)
    if not readiness:
        with readiness.starting:
            if not readiness.is_loading:
                start(app)


def start(app: Flask) -> None:
    """Check the settings, clear the uploads folder and load the model, or end with one line that says why not.

    Under gunicorn the model is loaded while the first requests come in: they wait for it, and ``/healthz`` says so.
    """
    try:
        checked = settings.from_config(app.config)
        port()
        if is_under_gunicorn():
            _check_for_production(app, checked)
            os.register_at_fork(before=_refuse_to_fork)
        allow_open_files()
        uploads.prepare_folder(checked.uploads)
        apply_settings(app, checked)
    except SettingError as error:
        stop(error)
    sandbox = Sandbox(checked.max_pixels)
    sandbox.start()  # it gets ready while the model is being loaded
    _readiness(app).is_loading = True
    if is_under_gunicorn():
        # If the process were told to stop meanwhile, Python would tear down what the other thread is building, and the
        # process would crash or hang.
        atexit.register(lambda: bool(_readiness(app)) or os._exit(0))
        threading.Thread(target=_load, args=(app, checked, sandbox), name="load", daemon=True).start()
    else:
        _load(app, checked, sandbox)


def apply_settings(app: Flask, checked: Settings) -> None:
    """Hand Flask and its extensions the settings that concern them.

    :raises SettingError: ``rate_limit`` is not a limit.
    """
    app.config["SECRET_KEY"] = checked.secret_key
    if checked.proxies:
        # This many proxies are trusted to say who the client is, and whether it uses HTTPS.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's documented way to add a middleware
            app.wsgi_app, x_for=checked.proxies, x_proto=checked.proxies
        )
    rate_limit.init_app(app, checked)


def install(app: Flask, services: Services) -> None:
    """Give an application its services, warm it up, and let requests in."""
    app.extensions["birds"] = services
    classifier = services.classifier
    info = None if classifier.is_remote else classifier.engine_info()
    telemetry.describe_model(services.model_info.sha256, len(classifier.labels), info, lambda: _count_waiting(services))
    queue_metrics.queue.source = classifier.figures
    if not classifier.is_remote:
        app.logger.info(classifier.network_in_words)
        _warm_up(app, services)
    _readiness(app).announce()


def _load(app: Flask, checked: Settings, sandbox: Sandbox) -> None:
    try:
        install(app, build_services(checked, sandbox))
        give_back_memory()
    except (PairError, SettingError) as error:
        stop(error)
    except Exception as error:
        if _process_is_ending():
            return
        app.logger.error("The model could not be loaded.", exc_info=error)
        stop("the model could not be loaded")


def _process_is_ending() -> bool:
    """Whether Python is shutting down; its executors then start nothing more, though this thread loads the model."""
    main_thread = threading.main_thread()
    if threading.current_thread() is main_thread:
        return False
    main_thread.join(SHUTDOWN)
    return not main_thread.is_alive()


def _warm_up(app: Flask, services: Services) -> None:
    """Answer a blank photo, so that nobody waits for what is done only once."""
    blank = Photo(Image.new("RGB", (MIN_SIDE, MIN_SIDE)), (MIN_SIDE, MIN_SIDE)).thumbnail()
    with app.test_request_context():
        for _ in range(WARM_UP_ANSWERS):
            prediction = services.admission.predict(io.BytesIO(blank))
            if isinstance(prediction, Prediction):
                render_template("index.html", cards=[card_of_prediction(prediction)])


def _count_waiting(services: Services) -> float:
    try:
        return services.waiting()
    except UnavailableError as error:
        log_unavailable(error)
        return float("nan")


def stop(reason: object) -> NoReturn:
    """End the process with one line that says why."""
    print(f"application: {reason}", file=sys.stderr, flush=True)
    if threading.current_thread() is threading.main_thread():
        sys.exit(CANNOT_START)
    os._exit(CANNOT_START)  # sys.exit would only end this thread


def is_under_gunicorn() -> bool:
    """Whether gunicorn, which says so in the environment of its processes, serves the app."""
    return os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn/")


def is_command() -> bool:
    """Whether Flask's command line has imported the app for a command other than ``run``, which serves nothing."""
    context = click.get_current_context(silent=True)
    if context is None or not isinstance(context.find_root().command, FlaskGroup):
        return False  # another program's command line may import the app to serve it
    return context.info_name != "run"


def is_reloaders_parent(*, is_main: bool) -> bool:
    """Whether this process only watches the files: Flask's reloader imports the app again in a child, which serves.

    :param is_main: whether ``application.py`` was started as a script.
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("reload") is False:
        return False  # flask run --no-reload
    served_by_flask = is_main or "FLASK_RUN_FROM_CLI" in os.environ
    return served_by_flask and get_debug_flag() and not is_running_from_reloader()


def port() -> int:
    """``PORT`` from the environment.

    :raises SettingError: it is not a port number.
    """
    text = os.environ.get("PORT", "5000")
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise SettingError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    return int(text)


def _refuse_to_fork() -> None:
    # TensorFlow's threads, the loading thread and the pipe to the sandbox do not survive a fork. It is gunicorn's main
    # process that forks, and only with --preload has it imported the app.
    print("application: gunicorn's --preload is not supported. Leave it out.", file=sys.stderr, flush=True)
    os._exit(CANNOT_START)


def _check_for_production(app: Flask, checked: Settings) -> None:
    """Warn about settings that do no harm on a laptop but do in production.

    :raises SettingError: Flask's debugger would be open to visitors.
    """
    if app.debug:
        raise SettingError("FLASK_DEBUG is on, which shows visitors the inside of the app. Leave it out.")
    if not os.environ.get("BIRD_SECRET_KEY"):
        app.logger.warning(
            "BIRD_SECRET_KEY is not set, so this process has made one up. When it ends, flashed messages are lost, "
            "and answers from before can no longer be corrected; nor do other web processes understand either."
        )
    elif len(checked.secret_key) < SECRET_LENGTH:
        app.logger.warning("BIRD_SECRET_KEY is short enough to be guessed. Use at least %d characters.", SECRET_LENGTH)


def allow_open_files() -> None:
    """Raise the limit on open files as high as the system allows: each request may hold ``uploads.MAX_PHOTOS``."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS allows fewer than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, OPEN_FILES)), hard))
