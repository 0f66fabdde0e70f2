"""jobs/health.py: what a worker answers at /healthz. ``make rehearse`` checks that it says when it takes jobs."""

import http.client
import json
import socket

import pytest

from jobs.health import Report, serve_health
from tests.support.servers import free_port


def get(path: str, report: Report) -> tuple[int, object, str | None]:
    """Ask a server that reports this: the status, the JSON, and for how long it may be cached."""
    port = free_port()
    serve_health(port, lambda: report)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    with connection.getresponse() as answer:
        return answer.status, json.load(answer), answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("content", "status"), [({"mode": "worker"}, 200), ({"reason": "The model is being loaded."}, 503)]
)
def test_it_answers_with_the_status_that_it_is_given(content, status):
    assert get("/healthz", (content, status)) == (status, content, "no-store")


def test_any_other_path_is_not_found():
    assert get("/", ({"mode": "worker"}, 200)) == (404, {}, "no-store")


def test_a_port_that_is_taken_raises_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve_health(taken.getsockname()[1], lambda: ({}, 200))
