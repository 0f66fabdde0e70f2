"""The API as its clients use it. Every answer is compared with what ``openapi.json`` says of it."""

import io
import json
from typing import TypeVar

import requests
import schemathesis
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from . import servers

IDENTIFICATIONS = "/api/v1/identifications"
JOB = IDENTIFICATIONS + "/{job}"
SPECIES, MODEL = "/api/v1/species", "/api/v1/model"
DESCRIPTION = servers.ROOT / "web" / "openapi.json"
OPERATIONS = schemathesis.openapi.from_path(DESCRIPTION)
JPEG = {"Content-Type": "image/jpeg"}
ASYNC = {"Prefer": "respond-async"}

AnyResponse = requests.Response | TestResponse | schemathesis.Response
Response = TypeVar("Response", requests.Response, TestResponse, schemathesis.Response)


def checked(answer: Response, path: str = IDENTIFICATIONS, method: str = "POST") -> Response:
    """An answer that the description allows.

    :param path: of the operation, as the description writes it.
    """
    OPERATIONS[path][method].validate_response(answer)
    return answer


def problem_in(answer: AnyResponse, status: int, path: str = IDENTIFICATIONS, method: str = "POST") -> str:
    """The sentence of a problem (RFC 9457) with this status."""
    checked(answer, path, method)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.text)
    assert list(problem) == ["type", "title", "status", "detail"]
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    return problem["detail"]


def photo_form(content: bytes, name: str = "bird.jpg") -> dict[str, tuple[io.BytesIO, str]]:
    """A form with a photo, for Flask's test client."""
    return {"bird_image": (io.BytesIO(content), name)}


def get(address: str, path: str) -> requests.Response:
    """Ask a server, and compare the answer with the description."""
    return checked(requests.get(address + path, timeout=60), path.partition("?")[0], "GET")


def send(
    address: str, content: object, *, headers: dict[str, str] | None = None, params: dict[str, int | str] | None = None
) -> requests.Response:
    """Post the bytes of a photo to a server, and compare the answer with the description."""
    url = address + IDENTIFICATIONS
    return checked(requests.post(url, content, headers=JPEG | (headers or {}), params=params, timeout=60))


def metrics_at(address: str) -> dict[tuple[str, ...], float]:
    """What ``/metrics`` says, by the name of a series and the values of its labels."""
    answer = requests.get(f"{address}/metrics", timeout=60)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
