"""``/healthz``: whether a photo would be identified now, for load balancers and deployments."""

from flask import Blueprint, current_app, jsonify
from werkzeug.wrappers import Response

from inference.engine import engine_json
from jobs import NO_WORKER
from jobs.errors import UnavailableError

from . import uploads
from .errors import log_unavailable
from .services import Services, current_services
from .startup import is_ready

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The mode, the model, and how many photos wait; status 503 and a reason if none would be identified."""
    about, status = check_health(current_services()) if is_ready() else ({"reason": "The model is being loaded."}, 503)
    response = jsonify(about)
    response.status_code = status
    response.cache_control.no_store = True
    return response


def check_health(services: Services) -> tuple[dict[str, object], int]:
    """The state of the process and its queue, and the HTTP status for it."""
    about: dict[str, object] = {
        "mode": "queue" if services.classifier.is_remote else "one process",
        "labels": len(services.classifier.labels),
        "model": services.model_info.sha256,
    }
    if not services.classifier.is_remote and (engine := services.classifier.engine_info()):
        about["engine"] = engine_json(engine)
    try:
        uploads.check_writable(services.settings.uploads)
    except OSError as error:
        current_app.logger.error("BIRD_UPLOADS=%s: %s", services.settings.uploads, error.strerror)
        return {**about, "reason": f"no photo can be stored: {error.strerror}"}, 503
    try:
        state = services.classifier.state()
    except UnavailableError as error:
        log_unavailable(error)
        return {**about, "reason": error.reason}, 503
    if state is None:
        return {**about, "waiting": services.admission.waiting}, 200
    about["waiting"] = state.waiting
    about["workers"] = [
        {"labels": worker.labels, "model": worker.model, "engine": worker.engine and engine_json(worker.engine)}
        for worker in state.workers
    ]
    return (about, 200) if state.workers else ({**about, "reason": NO_WORKER}, 503)
