"""What a worker says of itself by HTTP. Whether it takes jobs, ``make rehearse`` sees."""

import json
import socket
import urllib.error
import urllib.request

import pytest

from jobs.health import answer_health

from .servers import free_port


@pytest.mark.parametrize(
    ("about", "status"), [({"mode": "worker"}, 200), ({"reason": "The model is being loaded."}, 503)]
)
def test_it_answers_with_the_status_that_it_is_given(about, status):
    port = free_port()
    answer_health(port, lambda: (about, status))
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz")
    except urllib.error.HTTPError as error:
        answer = error
    assert (answer.status, json.load(answer), answer.headers["Cache-Control"]) == (status, about, "no-store")


def test_there_is_nothing_else():
    port = free_port()
    answer_health(port, lambda: ({}, 200))
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/")
    assert error.value.code == 404


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        answer_health(taken.getsockname()[1], lambda: ({}, 200))
