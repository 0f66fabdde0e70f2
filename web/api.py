"""The JSON API, version 1; ``openapi.json`` describes it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flask import Blueprint, jsonify, render_template, request, url_for
from werkzeug.datastructures import HeaderSet
from werkzeug.exceptions import BadRequest
from werkzeug.http import parse_set_header
from werkzeug.wrappers import Response

from inference import CANDIDATES, Candidate, Identification
from inference.engine import engine_json
from inference.formats import FORMATS
from inference.model_card import ModelMetrics, SpeciesMetrics
from inference.regions import Region
from jobs.pending import Position

from .admission import PendingPrediction
from .look_alikes import Confusion
from .naming import Naming, requested_naming
from .prediction import look_up, predict
from .rate_limit import count_photo
from .services import current_services
from .uploads import received_body, requested_region

MAX_RETRY_AFTER = 5  # seconds; a client that waits for a worker's answer is never told to wait longer

OPENAPI: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))

api = Blueprint("api", __name__, url_prefix="/api")


@api.post("/v1/identifications")
@count_photo
def identify() -> Response:
    """Name the bird in a photo, which is sent in a form or as the body itself."""
    top, explain = _requested_candidates(), _requested_explanation()
    photo = received_body()
    region = requested_region()
    is_async = "respond-async" in _preferences()
    prediction = predict(photo, region, wait=not is_async)
    if isinstance(prediction, PendingPrediction):
        response = _pending_response(prediction.job_id, look_up(prediction.job_id)[1])
        if is_async:
            response.headers["Preference-Applied"] = "respond-async"
        return response
    return _answer(prediction.identification, prediction.total_seconds, top, explain)


@api.get("/v1/identifications/<job>")
def identification(job: str) -> Response:
    """The answer to a pending job, or its position in the queue."""
    top, explain = _requested_candidates(), _requested_explanation()
    _thumbnail, found = look_up(job)
    if isinstance(found, Identification):
        return _answer(found, found.seconds, top, explain)
    return _pending_response(job, found)


@api.get("/v1/species")
def species() -> Response:
    """The species that the model knows, and how well."""
    model_info, naming = current_services().model_info, requested_naming()
    return jsonify(species=[_species_json(each, model_info.confusion, naming) for each in model_info.species()])


@api.get("/v1/model")
def model() -> Response:
    """Which model it is, how good it is, and which photos are accepted."""
    services = current_services()
    model_info, settings = services.model_info, services.settings
    engine = services.classifier.engine_info()
    return jsonify(
        sha256=model_info.sha256,
        species=len(services.classifier.labels),
        engine=engine and engine_json(engine),
        input_range=engine and engine.input_range,
        unsure_below=model_info.unsure_below,
        strictness=model_info.strictness,
        curve=asdict(model_info.curve) if model_info.curve else None,
        figures=model_info.metrics and _metrics_json(model_info.metrics),
        accepts={
            "extensions": list(FORMATS),
            "bytes": settings.max_content_length,
            "pixels": settings.max_pixels,
        },
    )


@api.get("/v1/openapi.json")
def openapi() -> Response:
    """The API's description for programs (OpenAPI 3.1)."""
    return jsonify(OPENAPI)


@api.get("", strict_slashes=False)
def index() -> str:
    """The API's description for people."""
    return render_template("api.html", api=OPENAPI)


def identification_json(
    identification: Identification, seconds: float, top: int, naming: Naming, *, explain: bool = False
) -> dict[str, object]:
    """An answer as JSON.

    :param seconds: the time that the answer took.
    :param top: how many candidates it lists for each bird.
    :param naming: how it names the species.
    :param explain: whether it has the class activation maps.
    """
    return {
        **_bird_json(identification, top, naming, explain),
        "others": [_bird_json(other, top, naming, explain) for other in identification.others],
        "model": identification.model,
        "milliseconds": round(1000 * seconds, 2),
    }


def _bird_json(bird: Identification, top: int, naming: Naming, explain: bool) -> dict[str, object]:
    return {
        **_candidate_json(bird, naming),
        "candidates": [_candidate_json(candidate, naming) for candidate in bird.candidates[:top]],
        "verdict": bird.verdict,
        "likely": bird.likely if bird.verdict else None,
        "familiarity": asdict(bird.familiarity) if bird.familiarity else None,
        "region": _region_json(bird.region) if bird.region else None,
        **({"activation": bird.activation or None} if explain else {}),
    }


def _candidate_json(named: Candidate | Identification, naming: Naming) -> dict[str, object]:
    return {"label": named.label, "confidence": named.confidence, **naming.json(named.label)}


def _region_json(region: Region) -> dict[str, float]:
    """A region to the ten thousandth, as ``str`` writes it for the job store and the CSV list."""
    return {name: round(number, 4) for name, number in asdict(region).items()}


def _species_json(species: SpeciesMetrics, confusion: Confusion, naming: Naming) -> dict[str, object]:
    return {
        "label": species.label,
        **naming.json(species.label),
        "trained_on": species.training_photos,
        "held_out": species.held_out_photos,
        "recall": species.recall,
        "precision": species.precision,
        "confused_with": _photos_json(species.confused_with),
        "taken_for_it": _photos_json(confusion.taken_for_it(species.label)),
    }


def _photos_json(photos: dict[str, int] | None) -> list[dict[str, object]] | None:
    """Numbers of photos by label, the most frequent first."""
    if photos is None:
        return None
    return [
        {"label": label, "photos": photos[label]} for label in sorted(photos, key=lambda each: (-photos[each], each))
    ]


def _metrics_json(metrics: ModelMetrics) -> dict[str, object]:
    return {
        "date": metrics.date,
        "judged_on": metrics.evaluation_split,
        "pictures": metrics.evaluation_photos,
        "trained_on": metrics.training_photos,
        "top1": metrics.top1,
        "top5": metrics.top5,
        "calibration_error": metrics.calibration_error,
    }


def _preferences() -> HeaderSet:
    return parse_set_header(request.headers.get("Prefer"))


def _requested_candidates() -> int:
    """How many candidates the client asks for with ``?top=``.

    :raises BadRequest: no answer has that number of candidates.
    """
    top = request.args.get("top", str(CANDIDATES))
    if top not in map(str, range(1, CANDIDATES + 1)):
        raise BadRequest(f"top must be a whole number from 1 to {CANDIDATES}.")
    return int(top)


def _requested_explanation() -> bool:
    """Whether the client asks for the class activation maps with ``?explain=``.

    :raises BadRequest: it says neither yes nor no.
    """
    explain = request.args.get("explain", "0")
    if explain not in ("0", "1"):
        raise BadRequest("explain must be 0 or 1.")
    return explain == "1"


def _answer(identification: Identification, seconds: float, top: int, explain: bool) -> Response:
    response = jsonify(identification_json(identification, seconds, top, requested_naming(), explain=explain))
    response.cache_control.no_store = True
    return response


def _pending_response(job_id: str, found: Position | Identification) -> Response:
    """Where the answer will be, and in about how many seconds.

    :param found: an Identification if the answer came just now; the client then fetches it at once.
    """
    seconds = 0 if isinstance(found, Identification) else found.seconds
    response = jsonify(seconds=seconds)
    response.status_code = 202
    response.cache_control.no_store = True
    top, explain = request.args.get("top"), request.args.get("explain")
    response.location = url_for("api.identification", job=job_id, top=top, explain=explain)
    response.retry_after = min(seconds, MAX_RETRY_AFTER)
    return response
