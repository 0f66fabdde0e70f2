"""What is recorded of each request: Prometheus metrics, one log line, and the ``Server-Timing`` header."""

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType

from flask import Blueprint, Flask, abort, current_app, g, has_request_context, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from werkzeug.wrappers import Response

from inference.engine import EngineInfo, engine_json
from inference.verdict import Verdict

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

#: Headers that only a proxy adds to a request; no client behind it can remove them.
FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP")

#: What may happen to a photo; docs/operating.md explains each.
OUTCOMES = ("identified", "later", "refused", "limited", "busy", "unavailable", "gone", "failed")

NO_VERDICT = "none"  # the model was not calibrated

#: Upper bounds in seconds: from a millisecond, in which small photos are decoded, to the longest wait.
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)

disable_created_metrics()  # type: ignore[no-untyped-call]  # every series begins with the process, whose start is a metric of its own

photos = Counter("bird_photos", "Photos by outcome", ["outcome"])
answers = Counter("bird_answers", "Photos answered at once by the verdict on their first bird", ["verdict"])
stage_seconds = Histogram("bird_stage_seconds", "Time that each stage of an answer took", ["stage"], buckets=BUCKETS)
waiting = Gauge("bird_line_photos", "Photos in the queue; NaN if the queue does not answer")
model = Info("bird_model", "The network that is loaded")
engine = Info("bird_engine", "What runs the network; without labels if workers run it")

for _outcome in OUTCOMES:
    photos.labels(_outcome)  # rate() misses the first event of a series that begins with it
for _verdict in (*Verdict, NO_VERDICT):
    answers.labels(_verdict)


blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """The metrics of this process, for a Prometheus on the same machine or network."""
    if any(name in request.headers for name in FORWARDED):
        abort(404)  # from outside there is no such page
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def describe_model(sha256: str, labels: int, info: EngineInfo | None, count_waiting: Callable[[], float]) -> None:
    """Set the metrics that describe the process.

    :param labels: how many species the model knows.
    :param info: how its network runs; None if workers run it.
    :param count_waiting: how many photos are in the queue.
    """
    model.info({"sha256": sha256, "labels": str(labels)})
    engine.info(engine_json(info) if info else {})
    waiting.set_function(count_waiting)


def record_outcome(outcome: str) -> None:
    """Count a photo of this request.

    :param outcome: one of ``OUTCOMES``.
    """
    _outcomes().append(outcome)
    photos.labels(outcome).inc()


def record_verdict(verdict: Verdict | None) -> None:
    """Count the answer to a photo by its verdict."""
    answers.labels(verdict or NO_VERDICT).inc()


def record_stage(name: str, seconds: float) -> None:
    """Add to the time that a stage of this request took."""
    _stages()[name] = _stages().get(name, 0) + seconds
    stage_seconds.labels(name).observe(seconds)


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Measure the time that the block takes, as a stage of this request."""
    started = time.perf_counter()
    try:
        yield
    finally:
        record_stage(name, time.perf_counter() - started)


def _outcomes() -> list[str]:
    outcomes: list[str] = g.setdefault("outcomes", [])
    return outcomes


def _stages() -> dict[str, float]:
    stages: dict[str, float] = g.setdefault("stages", {})
    return stages


def init_app(app: Flask) -> None:
    """Measure and log every request; call it before anything else that looks at requests."""
    app.logger.setLevel(logging.INFO)
    app.logger.addFilter(_add_request_id)
    # Flask's own message has the path in it, which may lead to a photo.
    app.log_exception = partial(_log_exception, app)  # type: ignore[method-assign]  # the only way to change it
    app.before_request(_begin)
    app.after_request(_server_timing)
    app.after_request(_log_request)


def _log_exception(app: Flask, exc_info: ExcInfo) -> None:
    app.logger.error("Unhandled exception", exc_info=exc_info)


def _begin() -> None:
    g.request_id = secrets.token_hex(8)
    g.started = time.perf_counter()


def _add_request_id(record: logging.LogRecord) -> bool:
    if has_request_context() and "request_id" in g:
        record.__dict__["request"] = g.request_id
    return True


def _log_request(response: Response) -> Response:
    """Log the outcome and the stages of a request: no file name, no address, no path that leads to a photo."""
    route = request.url_rule.rule if request.url_rule else "-"
    outcomes = _outcomes()
    outcome = "mixed" if len(set(outcomes)) > 1 else next(iter(outcomes), "-")
    total = time.perf_counter() - g.started
    ms = {name: round(1000 * seconds, 1) for name, seconds in {"total": total, **_stages()}.items()}
    current_app.logger.info(
        "%s %s %d %s %s",
        *(request.method, route, response.status_code, outcome, ms["total"]),
        extra={
            "method": request.method,
            "route": route,
            "status": response.status_code,
            "outcome": outcome,
            "photos": len(outcomes),
            "ms": ms,
        },
    )
    response.headers["X-Request-ID"] = g.request_id
    return response


def _server_timing(response: Response) -> Response:
    """Say what the stages of an answer took, in milliseconds (W3C Server Timing)."""
    if _stages():
        response.headers["Server-Timing"] = ", ".join(
            f"{name};dur={1000 * seconds:.2f}" for name, seconds in _stages().items()
        )
    return response
