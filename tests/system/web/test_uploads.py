"""web/uploads.py and web/draining.py on real servers: bodies that are too large, broken, aborted or slow."""

import socket
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.clients import MIB, abort_upload, begin_upload, browser_like_post
from tests.support.pages import sentence_on
from tests.support.servers import FORM_HEADERS, SMALL_NETWORK, leftovers, until

HASTY = {
    "flask": [*servers.FLASK[:1], "-m", "tests.support.hasty_draining"],
    "gunicorn": [*servers.GUNICORN[:-1], "tests.support.hasty_draining:application"],
}


@pytest.fixture(scope="module")
def small_flask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the app with a small network under Flask's own server, and its uploads folder."""
    uploads = tmp_path_factory.mktemp("flask") / "uploads"
    with servers.running(servers.FLASK, uploads, **SMALL_NETWORK) as address:
        yield address, uploads


@pytest.fixture(scope="module")
def small_gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the app with a small network under gunicorn, and its uploads folder."""
    uploads = tmp_path_factory.mktemp("gunicorn") / "uploads"
    with servers.running(servers.GUNICORN, uploads, **SMALL_NETWORK) as address:
        yield address, uploads


@pytest.fixture(params=["small_flask", "small_gunicorn"])
def small(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """Both of them, one after the other."""
    return request.getfixturevalue(request.param)


# Too large


@pytest.mark.parametrize("chunked", [False, True], ids=["length known", "chunked"])
@pytest.mark.parametrize("size", [10 * MIB, 12 * MIB, 100 * MIB])
def test_a_file_too_large_is_refused_with_a_sentence_not_a_broken_connection(server, size, chunked):
    address, uploads = server
    assert browser_like_post(address, size, chunked=chunked) == (302, "Uploaded file too large.")
    assert leftovers(uploads) == []


def test_a_file_just_small_enough_is_read(server):
    address, _uploads = server
    status, sentence = browser_like_post(address, 10 * MIB - 1000)
    assert (status, sentence) == (302, "The file is not a picture. Please choose another one.")


def test_a_form_of_ten_thousand_parts_or_with_a_long_field_is_refused(server):
    address, uploads = server
    part = '--f9d2c7\r\nContent-Disposition: form-data; name="bird_image"; filename="bird.jpg"\r\n\r\n'
    field = '--f9d2c7\r\nContent-Disposition: form-data; name="comment"\r\n\r\n'
    many_parts = (part + "x\r\n") * 10_000 + "--f9d2c7--\r\n"
    long_field = field + "x" * 600_000 + "\r\n--f9d2c7--\r\n"
    for body in (many_parts, long_field):
        request = urllib.request.Request(address, body.encode(), FORM_HEADERS, method="POST")
        with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(request, timeout=60) as answer:
            assert sentence_on(answer.read().decode()) == (
                "The upload holds too many or too long fields. Please send photos and nothing else."
            )
    assert leftovers(uploads) == []


# Aborted


def test_any_mixture_of_requests_leaves_the_uploads_folder_empty(small, goldfinch):
    address, uploads = small
    requests = [
        lambda: servers.post_photo(address, goldfinch)[0],
        lambda: servers.post_photo(address, b"<html>")[0],
        lambda: abort_upload(address, 2 * MIB, MIB),
        lambda: abort_upload(address, 20 * MIB, MIB),
        lambda: browser_like_post(address, 12 * MIB)[0],
    ]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: requests[number % len(requests)](), range(40)))
    assert sorted({status for status in statuses if status is not None}) == [200, 302]
    assert "Predicted : " in servers.post_photo(address, goldfinch)[1]
    until(lambda: leftovers(uploads) == [], 10)  # an aborted request may still be ending


# Broken or slow


@pytest.fixture(scope="module", params=HASTY)
def hasty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app that stops reading a refused upload after a second."""
    uploads = tmp_path_factory.mktemp("hasty") / "uploads"
    with servers.running(HASTY[request.param], uploads, BIRD_MAX_WAITING="0", **SMALL_NETWORK) as address:
        yield address


@pytest.mark.parametrize("body", [b"no chunk\r\n", b"5\r\n--f9d\r\nno chunk\r\n"], ids=["first chunk", "second chunk"])
def test_broken_chunks_are_the_clients_mistake(hasty, body):
    # Under Flask's own server nobody knows where such a body ends: it is read until the time is over.
    with begin_upload(hasty, headers="Transfer-Encoding: chunked", body=body) as connection:
        assert connection.recv(1000).split()[1] == b"400"


def refused_drip(address: str) -> socket.socket:
    """Begin an upload that is refused, since it announces more than the app accepts, and that goes on for days."""
    return begin_upload(address, headers=f"Content-Length: {100 * MIB}", body=b"--f9d2c7\r\n")


def test_a_refused_upload_that_drips_is_answered_when_the_time_is_over(hasty):
    begun = time.monotonic()
    with refused_drip(hasty) as connection:
        connection.settimeout(0.2)
        answer = b""
        while not answer:
            assert time.monotonic() - begun < 10
            connection.sendall(b"x")
            try:
                answer = connection.recv(1000)
            except TimeoutError:
                continue
    assert answer.split()[1] == b"302"
    assert time.monotonic() - begun > 0.9


def test_refused_uploads_that_drip_hold_no_thread(hasty):
    with ExitStack() as connections:
        drips = [connections.enter_context(refused_drip(hasty)) for _ in range(40)]  # gunicorn has 32 threads here
        begun = time.monotonic()
        with urllib.request.urlopen(hasty, timeout=30) as answer:
            assert answer.status == 200
        assert time.monotonic() - begun < 10
        for drip in drips:
            assert drip.recv(1000).split()[1] == b"302"
