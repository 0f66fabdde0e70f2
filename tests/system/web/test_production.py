"""Under gunicorn: the start, what is checked at it, the cookies, and the log."""

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
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import servers


@dataclass(frozen=True)
class Web:
    """The app under gunicorn.

    :param health: what it said of its health while it started, with the status and the seconds that it took to say so.
    :param pages: the statuses of what 70 people and programs asked for meanwhile, and whether the app was ready then.
    :param types: these statuses, and the types of what came.
    """

    address: str
    log: Path
    health: list[tuple[int, dict[str, object], float]]
    pages: list[tuple[int, bool]]
    types: set[tuple[int, str]]

    def logged(self, request: str | None) -> list[dict[str, object]]:
        """What it logged of a request."""
        return [line for line in self.lines() if line.get("request") == request]

    def lines(self) -> list[dict[str, object]]:
        """All that it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def health_of(address: str) -> tuple[int, dict[str, object], float]:
    """The status, what it says, and the seconds that it took."""
    asked = time.monotonic()
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
            return answer.status, json.load(answer), time.monotonic() - asked
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), time.monotonic() - asked


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """gunicorn behind a proxy, watched while it starts."""
    folder = tmp_path_factory.mktemp("production")
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"
    environment = servers.environment(port, folder / "uploads", BIRD_PROXIES="1", BIRD_RATE_LIMIT="")
    health, pages, types = [], [], set()

    def ask_for(path: str) -> None:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=servers.START_LIMIT)
        connection.request("GET", path)
        answer = connection.getresponse()
        pages.append((answer.status, health_of(address)[0] == 200))
        types.add((answer.status, answer.headers["Content-Type"]))

    paths = 35 * ["/about", "/api/v1/species"]  # more than there are threads
    people = [threading.Thread(target=ask_for, args=[path]) for path in paths]
    with open(folder / "log", "w") as log, open(folder / "errors", "w") as errors:  # TensorFlow's, in its own form
        process = subprocess.Popen(
            servers.GUNICORN,
            cwd=servers.ROOT,
            env=environment,
            stdout=log,
            stderr=errors,
        )
    try:
        deadline = time.monotonic() + servers.START_LIMIT
        while not (health and health[-1][0] == 200) and time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError, urllib.error.URLError):
                health.append(health_of(address))
                if len(health) == 1:
                    for person in people:
                        person.start()
            time.sleep(0.1)
        for person in people:
            person.join()
        yield Web(address, folder / "log", health, pages, types)
    finally:
        process.terminate()
        process.wait(timeout=40)


def test_health_is_503_until_the_model_is_ready_and_is_said_at_once(web):
    *before, (status, about, _seconds) = web.health
    assert status == 200
    assert about["labels"] == 121
    assert len(before) > 3
    assert {(status, *about.values()) for status, about, _ in before} == {(503, "The model is being loaded.")}
    assert sorted(seconds for *_, seconds in before)[len(before) // 2] < 3  # a load balancer waits for 5


def test_pages_that_are_asked_for_meanwhile_wait_for_the_model_but_for_those_that_would_take_all_threads(web):
    assert Counter(web.pages) == {(200, True): 16, (503, False): 54}
    page = "text/html; charset=utf-8"
    assert web.types == {(200, page), (200, "application/json"), (503, page), (503, "application/problem+json")}


def test_each_request_is_a_line_of_json_without_names_or_addresses(web, goldfinch):
    answer = servers.send_photo(web.address, goldfinch, "my secret garden.jpg")
    [line] = web.logged(answer.headers["X-Request-ID"])
    assert (line["level"], line["method"], line["route"], line["status"]) == ("INFO", "POST", "/", 200)
    assert (line["outcome"], line["photos"]) == ("identified", 1)
    assert {"total", "receive", "wait", "decode", "thumbnail", "network", "template"} == set(line["ms"])
    assert line["ms"]["total"] >= max(line["ms"]["decode"], line["ms"]["network"]) > 0
    assert "secret" not in web.log.read_text()
    assert not any("127.0.0.1" in json.dumps(line) for line in web.logged(answer.headers["X-Request-ID"]))


def test_what_is_refused_is_logged_so(web):
    answer = servers.send_photo(web.address, b"no picture", "bird.jpg")
    [line] = web.logged(answer.headers["X-Request-ID"])
    assert (line["status"], line["outcome"]) == (302, "refused")


def test_of_a_path_that_leads_to_a_photo_the_route_alone_is_logged(web):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{web.address}/identifications/3d2f0c1e")
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


def test_a_key_that_was_made_up_is_warned_of(web):
    [warning] = [line for line in web.logged(None) if (line["level"], line["name"]) == ("WARNING", "application")]
    assert warning["message"].startswith("BIRD_SECRET_KEY is not set")


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False)])
def test_a_cookie_that_came_over_https_stays_there(web, scheme, is_secure):
    connection = http.client.HTTPConnection(web.address.removeprefix("http://"))
    connection.request("POST", "/", b"", {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": scheme})
    cookie = connection.getresponse().headers["Set-Cookie"]
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
    assert json.load(error.value)["detail"] == "Uploaded file too large."


def test_debug_mode_does_not_start(uploads):
    ended = servers.start_and_fail(uploads, port=servers.free_port(), command=servers.GUNICORN, FLASK_DEBUG="1")
    assert ended.returncode == 4
    assert ended.stderr == (
        "application: FLASK_DEBUG is on, which shows visitors the inside of the app. Leave it out.\n"
    )


def test_a_model_that_cannot_be_loaded_ends_gunicorn_with_one_line(uploads):
    ended = servers.start_and_fail(
        uploads, port=servers.free_port(), command=servers.GUNICORN, BIRD_MODEL="/nowhere/birds.h5"
    )
    assert ended.returncode == 4
    assert ended.stderr.startswith("application: /nowhere/birds.h5 is missing.")
    assert ended.stderr.count("\n") == 1
