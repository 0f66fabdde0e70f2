"""Under gunicorn, behind a proxy: what the app answers while it starts, the log, the cookies."""

import contextlib
import http.client
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.clients import MIB, connected, send_form
from tests.support.pages import sentence_on
from tests.support.servers import Answer

STARTING = "The app is being started. Please try again in a few seconds."


@dataclass
class Start:
    """What visitors got while the app started.

    :ivar health: what ``/healthz`` answered: the status, the JSON, and the seconds that it took.
    :ivar pages: the status of each page, and whether the app was ready by then.
    :ivar types: the statuses of the pages, with their content types.
    :ivar uploads: the answers to uploads that were sent when too many visitors were waiting already, by path.
    """

    health: list[tuple[int, dict[str, object], float]] = field(default_factory=list)
    pages: list[tuple[int, bool]] = field(default_factory=list)
    types: set[tuple[int, str]] = field(default_factory=set)
    uploads: dict[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True)
class Web:
    """The app under gunicorn, and its log file."""

    address: str
    log: Path
    start: Start

    def logged(self, request: str | None) -> list[dict[str, object]]:
        """The log lines of a request."""
        return [line for line in self.lines() if line.get("request") == request]

    def lines(self) -> list[dict[str, object]]:
        """All log lines."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def health_of(address: str) -> tuple[int, dict[str, object], float]:
    """What ``/healthz`` answers: the status, the JSON, and the seconds that it took."""
    begun = time.monotonic()
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
            return answer.status, json.load(answer), time.monotonic() - begun
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), time.monotonic() - begun


def visit(address: str, path: str, start: Start) -> None:
    """Ask for a page."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=servers.START_LIMIT)
    connection.request("GET", path)
    answer = connection.getresponse()
    start.pages.append((answer.status, health_of(address)[0] == 200))
    start.types.add((answer.status, answer.headers["Content-Type"]))
    connection.close()


def upload(address: str, path: str, start: Start) -> None:
    """Send a form that is too large, as soon as no further visitor may wait for the model."""
    servers.until(lambda: start.pages)
    with contextlib.suppress(ConnectionError), connected(address) as connection:
        start.uploads[path] = send_form(connection, 12 * MIB, path=path)


def watch_start(address: str) -> Start:
    """Visit an app that is being started, until it is ready."""
    start = Start()
    visits = [(visit, path) for path in 35 * ["/about", "/api/v1/species"]]  # more than there are threads
    uploads = [(upload, path) for path in ("/", "/cards", "/api/v1/identifications")]
    visitors = [threading.Thread(target=act, args=[address, path, start]) for act, path in visits + uploads]
    deadline = time.monotonic() + servers.START_LIMIT
    while not (start.health and start.health[-1][0] == 200) and time.monotonic() < deadline:
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            start.health.append(health_of(address))
            if len(start.health) == 1:
                for visitor in visitors:
                    visitor.start()
        time.sleep(0.1)
    for visitor in visitors:
        visitor.join()
    return start


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """The app under gunicorn behind a proxy, watched while it starts."""
    folder = tmp_path_factory.mktemp("production")
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"
    environment = servers.environment(port, folder / "uploads", BIRD_PROXIES="1", BIRD_RATE_LIMIT="")
    with open(folder / "log", "w") as log, open(folder / "errors", "w") as errors:  # TensorFlow's lines are no JSON
        process = subprocess.Popen(
            servers.GUNICORN,
            cwd=servers.ROOT,
            env=environment,
            stdout=log,
            stderr=errors,
        )
    try:
        yield Web(address, folder / "log", watch_start(address))
    finally:
        process.terminate()
        process.wait(timeout=40)


def test_healthz_says_503_at_once_until_the_model_is_ready(web):
    *before, (status, about, _seconds) = web.start.health
    assert status == 200
    assert about["labels"] == 121
    assert len(before) > 3
    assert {(status, *about.values()) for status, about, _ in before} == {(503, "The model is being loaded.")}
    assert sorted(seconds for *_, seconds in before)[len(before) // 2] < 3  # a load balancer waits for 5


def test_pages_wait_for_the_model_except_those_that_would_take_all_threads(web):
    assert Counter(web.start.pages) == {(200, True): 16, (503, False): 54}
    page = "text/html; charset=utf-8"
    assert web.start.types == {(200, page), (200, "application/json"), (503, page), (503, "application/problem+json")}


def test_an_upload_that_is_refused_during_the_start_is_read_to_its_end_so_that_its_sender_gets_the_answer(web):
    answers = web.start.uploads
    assert len(answers) == 3
    assert {answer.status for answer in answers.values()} == {503}
    assert all(5 <= int(answer.headers["Retry-After"]) <= 10 for answer in answers.values())
    assert json.loads(answers["/api/v1/identifications"].page)["detail"] == STARTING
    assert sentence_on(answers["/"].page) == sentence_on(answers["/cards"].page) == STARTING
    assert answers["/cards"].page.lstrip().startswith("<article")


def test_each_request_is_a_line_of_json_without_names_or_addresses(web, goldfinch):
    answer = servers.send_photo(web.address, goldfinch, "my secret garden.jpg")
    [line] = web.logged(answer.headers["X-Request-ID"])
    assert (line["level"], line["method"], line["route"], line["status"]) == ("INFO", "POST", "/", 200)
    assert (line["outcome"], line["photos"]) == ("identified", 1)
    assert {"total", "receive", "wait", "decode", "thumbnail", "network", "template"} == set(line["ms"])
    assert line["ms"]["total"] >= max(line["ms"]["decode"], line["ms"]["network"]) > 0
    assert "secret" not in web.log.read_text()
    assert not any("127.0.0.1" in json.dumps(line) for line in web.logged(answer.headers["X-Request-ID"]))


def test_a_refused_photo_is_logged_as_refused(web):
    answer = servers.send_photo(web.address, b"no image", "bird.jpg")
    [line] = web.logged(answer.headers["X-Request-ID"])
    assert (line["status"], line["outcome"]) == (302, "refused")


def test_only_the_route_is_logged_of_a_path_that_leads_to_a_photo(web):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{web.address}/identifications/3d2f0c1e")
    error.value.close()
    [line] = web.logged(error.value.headers["X-Request-ID"])
    assert (line["route"], line["status"]) == ("/identifications/<job>", 404)
    assert "3d2f0c1e" not in web.log.read_text()


def test_every_line_of_the_app_and_of_gunicorn_is_json(web):
    with socket.create_connection(("127.0.0.1", int(web.address.rpartition(":")[2]))) as client:
        client.sendall(b'GET /secret\xff "\n{ HTTP/9\r\n\r\n')
        client.recv(1000)
    assert {"application", "gunicorn.error"} <= {line["name"] for line in web.lines()}
    assert all({"time", "level", "message"} <= set(line) for line in web.lines())
    assert "Invalid request" in {line["message"] for line in web.lines()}
    assert "secret" not in web.log.read_text()


def test_a_secret_key_that_was_made_up_is_warned_of(web):
    [warning] = [line for line in web.logged(None) if (line["level"], line["name"]) == ("WARNING", "application")]
    assert warning["message"].startswith("BIRD_SECRET_KEY is not set")


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False)])
def test_a_cookie_that_is_set_over_https_is_sent_over_https_alone(web, scheme, is_secure):
    connection = http.client.HTTPConnection(web.address.removeprefix("http://"))
    connection.request("POST", "/", b"", {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": scheme})
    cookie = connection.getresponse().headers["Set-Cookie"]
    connection.close()
    assert ("; Secure" in cookie) == is_secure
    assert "; HttpOnly" in cookie


def test_the_app_answers_for_a_proxy_that_has_refused_a_body(web):
    request = urllib.request.Request(web.address, b"")
    request.add_unredirected_header("X-Body-Too-Large", "1")
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(request) as answer:
        assert "Uploaded file too large." in answer.read().decode()
    request = urllib.request.Request(f"{web.address}/api/v1/identifications", b"", {"X-Body-Too-Large": "1"})
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request)
    assert error.value.code == 413
    with error.value:
        assert json.load(error.value)["detail"] == "Uploaded file too large."
