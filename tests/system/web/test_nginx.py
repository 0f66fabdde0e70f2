"""What nginx does in front of the app when more photos come than the app takes."""

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import requests

from benchmarks.compared import WITHOUT_CLOSER_LOOK
from benchmarks.stampede import Stampede, post
from tests.support import nginx
from tests.support.api import IDENTIFICATIONS
from tests.support.pages import sentence_on
from tests.support.servers import FORM_HEADERS, form, free_port, send_photo
from tests.support.split import get

if nginx.NGINX is None:
    pytest.skip("nginx is not installed", allow_module_level=True)

CLIENTS = 300
PHOTO = form(b"a photo", "bird.jpg")


@dataclass
class SilentApp:
    """An app that takes requests and answers none.

    :ivar address: of nginx in front of it.
    """

    address: str
    listener: socket.socket
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def send(self, request: bytes, client: int = 1) -> socket.socket:
        """Send nginx a request, from an address of this client; the connection."""
        parts, source = urlsplit(self.address), (f"127.0.0.{client}", 0)
        connection = socket.create_connection((parts.hostname, parts.port), source_address=source)
        self._open.enter_context(connection).sendall(request)
        return connection

    def begin(self, request: bytes) -> None:
        """Send nginx all of a request but its last byte, and wait until it receives the body."""
        head, body = request.split(b"\r\n\r\n", 1)
        connection = self.send(head + b"\r\nExpect: 100-continue\r\n\r\n" + body[:-1])
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")

    def take(self) -> bytes:
        """Take a request from nginx; its first bytes."""
        connection = self._open.enter_context(self.listener.accept()[0])
        connection.settimeout(10)
        return connection.recv(100)

    def fill(self) -> None:
        """Take as many photos as nginx hands to an app at the same time."""
        for number in range(nginx.places()):
            self.send(post("/", PHOTO), client=2 + number % 4)
            self.take()

    def close(self) -> None:
        """Close all connections, and take no more."""
        self._open.close()
        self.listener.close()


@pytest.fixture
def silent(tmp_path) -> Iterator[SilentApp]:
    """Behind nginx, with all connections closed in the end."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listener, contextlib.ExitStack() as stack:
        listener.settimeout(10)
        address = stack.enter_context(nginx.in_front_of(f"http://127.0.0.1:{port}", tmp_path))
        app = SilentApp(address, listener)
        stack.callback(app.close)
        yield app


def test_whoever_finds_no_place_is_told_when_to_come_again_in_a_form_that_the_client_reads(silent):
    silent.fill()
    page, card, problem = (
        send_photo(silent.address, b"a photo", path=path) for path in ("/", "/cards", "/api/v1/identifications")
    )
    for answer in (page, card, problem):
        assert answer.status == 503
        assert 2 <= int(answer.headers["Retry-After"]) <= 9
    said = "The app is busy. Please try again in {} seconds."
    assert sentence_on(page.page) == said.format(page.headers["Retry-After"])
    assert '<a href="/">' in page.page
    assert 'class="card"' not in card.page  # the page's script says it in the reader's language
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert json.loads(problem.page)["detail"] == said.format(problem.headers["Retry-After"])


def test_they_do_not_come_again_all_at_once(silent):
    silent.fill()
    told = {send_photo(silent.address, b"a photo").headers["Retry-After"] for _ in range(60)}
    assert len(told) > 4


@pytest.mark.parametrize("path", ["/", "/healthz", "/cards/abc", "/api/v1/identifications/abc", "/api"])
def test_everything_but_photos_gets_through_when_no_place_is_free(silent, path):
    silent.fill()
    silent.send(f"GET {path} HTTP/1.1\r\nHost: birds\r\n\r\n".encode())
    assert silent.take().startswith(f"GET {path} ".encode())


def test_a_slow_upload_takes_no_place(silent):
    for number in range(nginx.places()):
        silent.send(post("/", PHOTO)[:-1], client=2 + number % 4)
    silent.send(post("/", PHOTO))
    assert silent.take().startswith(b"POST / ")


@pytest.mark.parametrize("path", ["/", "/cards", IDENTIFICATIONS])
def test_one_client_may_send_half_as_many_photos_as_there_are_places(silent, path):
    for _ in range(nginx.places() // 2):
        silent.begin(post("/", PHOTO))  # those that are being received count
    answer = requests.post(silent.address + path, PHOTO, headers=FORM_HEADERS, timeout=10)
    assert answer.status_code == 503
    assert 2 <= int(answer.headers["Retry-After"]) <= 9
    assert f"The app is busy. Please try again in {answer.headers['Retry-After']} seconds." in answer.text
    silent.send(post("/", PHOTO), client=2)
    assert silent.take().startswith(b"POST / ")
    silent.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert silent.take().startswith(b"GET / ")


def test_an_app_that_does_not_answer_is_not_called_busy(silent):
    silent.close()
    answer = send_photo(silent.address, b"a photo")
    assert answer.status == 503
    assert 2 <= int(answer.headers["Retry-After"]) <= 9
    assert "The app is not answering at the moment." in sentence_on(answer.page)


def test_in_a_stampede_all_are_answered_or_told_when_to_come_again_and_the_pages_stay_there(
    server, tmp_path, goldfinch
):
    app, _uploads = server
    stampede = Stampede("", post(WITHOUT_CLOSER_LOOK, form(goldfinch, "bird.jpg")))
    with nginx.in_front_of(app, tmp_path) as stampede.address, ThreadPoolExecutor(1) as thread:
        running = thread.submit(stampede.run, CLIENTS)
        pages = []
        while not running.done():
            pages += [get(stampede.address, path).status for path in ("/healthz", "/", "/static/style.css")]
        running.result()
    [answers] = zip(*stampede.answers, strict=True)
    refused = [answer for answer in answers if answer.status == 503]
    assert {answer.status for answer in answers} == {200, 503}
    assert len(refused) > CLIENTS / 3
    assert len({answer.retry_after for answer in refused} - {None}) > 2
    assert all(answer.retry_after for answer in refused)
    assert set(pages) == {200}
