"""The API: what it answers, that this is what its description says, the limit for a client, and /metrics."""

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests
import schemathesis
from flask import Config
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

import application as app_module
import settings
from inference import Identification
from inference.model_card import sha256
from web.admission import LaterError
from jobs.client import RemoteClassifier

from tests.support import brokers, servers
from tests.support.brokers import Broker
from tests.support.fuzz import KERAS2, SMALL_NETWORK
from tests.support.servers import until
from tests.system.web.test_application import MIB, leftovers, one_line_refusal, sentence_on
from tests.system.web.test_load import slow

IDENTIFICATIONS = "/api/v1/identifications"
JOB = IDENTIFICATIONS + "/{job}"
DESCRIPTION = servers.ROOT / "openapi.json"
OPERATIONS = schemathesis.openapi.from_path(DESCRIPTION)
JPEG = {"Content-Type": "image/jpeg"}
ASYNC = {"Prefer": "respond-async"}
UNAVAILABLE = "No photo can be identified at the moment. Please try again in a few seconds."


def checked(answer: requests.Response, path: str = IDENTIFICATIONS, method: str = "POST") -> requests.Response:
    """An answer, of a server or of the client inside this process; it is one that the description knows."""
    OPERATIONS[path][method].validate_response(answer)
    return answer


def problem_in(answer: requests.Response, status: int, path: str = IDENTIFICATIONS, method: str = "POST") -> str:
    """The sentence of a problem (RFC 9457) that came with this status."""
    checked(answer, path, method)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.text)
    assert list(problem) == ["type", "title", "status", "detail"]
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    return problem["detail"]


def photo_form(content: bytes, name: str = "bird.jpg") -> dict[str, tuple[io.BytesIO, str]]:
    """A form with a photo, for the client inside this process."""
    return {"bird_image": (io.BytesIO(content), name)}


def send(address: str, content: bytes, **more: object) -> requests.Response:
    """Post the bytes of a photo to a server."""
    return requests.post(address + IDENTIFICATIONS, content, headers=JPEG | more.pop("headers", {}), timeout=60, **more)


@dataclass(frozen=True)
class Web:
    """A running app, and its folder of uploads."""

    address: str
    uploads: Path


@contextmanager
def served(folder: Path, **options: str) -> Iterator[Web]:
    """The app with a small network under gunicorn."""
    with servers.running(servers.GUNICORN, folder / "uploads", **(SMALL_NETWORK | options)) as address:
        yield Web(address, folder / "uploads")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One process; nobody may wait in its line, so that one slow photo makes it busy."""
    with served(tmp_path_factory.mktemp("web"), BIRD_MAX_WAITING="0") as web:
        yield web


# What it answers


def test_a_form_and_the_bytes_by_themselves_get_the_answer_of_the_network(client, uploads, goldfinch):
    identification, _thumbnail = app_module.classify_image(io.BytesIO(goldfinch))
    for sent in (
        {"data": photo_form(goldfinch)},
        {"data": goldfinch, "content_type": "image/jpeg"},
        {"data": goldfinch, "content_type": "IMAGE/PNG; charset=x;;="},  # what the bytes are decides
    ):
        answer = checked(client.post(IDENTIFICATIONS, **sent))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert list(answer.json) == ["candidates", "confidence", "label", "milliseconds", "model"]
        assert answer.json["label"] == identification.label
        assert answer.json["confidence"] == pytest.approx(identification.confidence, abs=1e-4)
        assert [each["label"] for each in answer.json["candidates"]] == [
            each.label for each in identification.candidates
        ]
        assert answer.json["model"] == sha256(Path(app_module.application.config["MODEL"]))
        assert 0 < answer.json["milliseconds"] < 60_000
    assert leftovers(uploads) == []


@pytest.mark.parametrize("top", ["1", "3", "5"])
def test_as_many_candidates_come_as_are_wanted(client, goldfinch, top):
    answer = checked(client.post(IDENTIFICATIONS, query_string={"top": top}, data=photo_form(goldfinch)))
    assert len(answer.json["candidates"]) == int(top)
    assert answer.json["candidates"][0]["label"] == answer.json["label"]


@pytest.mark.parametrize(
    "top", ["0", "6", "-1", "1.0", "+1", " 1", "x", "", "٣", "05", "1" * 10, "00000000199", "9" * 5000]
)
def test_a_number_of_candidates_that_cannot_be_had_is_refused_even_where_no_answer_is(client, goldfinch, top):
    sentence = "top must be a whole number from 1 to 5."
    answer = client.post(IDENTIFICATIONS, query_string={"top": top}, data=photo_form(goldfinch))
    assert problem_in(answer, 400) == sentence
    assert problem_in(client.get(f"{IDENTIFICATIONS}/abc", query_string={"top": top}), 400, JOB, "GET") == sentence


def test_labels_in_any_script_come_as_they_are(client, goldfinch, monkeypatch):
    classifier = app_module.network()
    labels = tuple(f'Žluna zelená 🐦 "<{number}>"' for number, _label in enumerate(classifier.labels))
    monkeypatch.setattr(classifier, "labels", labels)
    assert checked(client.post(IDENTIFICATIONS, data=photo_form(goldfinch))).json["label"] in labels
    answer = checked(client.get("/api/v1/species"), "/api/v1/species", "GET")
    assert [each["label"] for each in answer.json["species"]] == sorted(labels)


def test_the_species_and_the_model_come_with_their_figures(client):
    species = checked(client.get("/api/v1/species"), "/api/v1/species", "GET").json["species"]
    assert [each["label"] for each in species] == sorted(app_module.network().labels, key=str.casefold)
    model = checked(client.get("/api/v1/model"), "/api/v1/model", "GET").json
    assert (model["species"], model["sha256"]) == (121, app_module.network().sha256)
    assert sum(each["trained_on"] for each in species) == model["figures"]["trained_on"]
    assert model["accepts"] == {"extensions": list(app_module.FORMATS), "bytes": 10 * MIB, "pixels": 50_000_000}


def test_a_model_without_a_card_has_no_figures(web):
    species = checked(requests.get(f"{web.address}/api/v1/species", timeout=60), "/api/v1/species", "GET").json()
    nothing = dict.fromkeys(("trained_on", "held_out", "recall", "precision"))
    assert species == {"species": [{"label": f"bird {number}", **nothing} for number in range(10)]}
    model = checked(requests.get(f"{web.address}/api/v1/model", timeout=60), "/api/v1/model", "GET").json()
    assert (model["figures"], model["unsure_below"]) == (None, 0)


def test_what_is_preferred_makes_no_difference_without_a_queue(web, goldfinch):
    answer = checked(send(web.address, goldfinch, headers=ASYNC))
    assert (answer.status_code, "Preference-Applied" in answer.headers) == (200, False)


# What it refuses


def multipart(*names: str) -> dict[str, object]:
    """A form with a file of each name, as the client inside this process takes it."""
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="bird_image"; filename="{name}"\r\n\r\nx\r\n' for name in names
    )
    return {"data": f"{parts}--b--\r\n", "content_type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("form", "status", "page"),
    [
        ({"data": {"other": "x"}, "content_type": "multipart/form-data"}, 400, "/"),
        ({"content_type": "multipart/form-data"}, 400, "/"),
        (multipart(""), 400, "/"),
        (multipart("a.jpg", "b.jpg"), 400, "/cards"),  # the first page takes several
        (multipart(*["a.jpg"] * 21), 400, "/"),
        (multipart("bird.txt"), 415, "/"),
        (multipart("bird"), 415, "/"),
        (multipart("bird.jpg"), 422, "/"),
        (multipart(*["a.jpg"] * 101), 413, "/"),
    ],
    ids=["no field", "no form", "no name", "two", "21", "a text", "no extension", "no picture", "101"],
)
def test_a_form_is_refused_with_the_sentence_of_the_page(client, uploads, form, status, page):
    shown = sentence_on(client.post(page, **form, follow_redirects=True).text)
    assert problem_in(client.post(IDENTIFICATIONS, **form), status) == shown
    assert leftovers(uploads) == []


@pytest.mark.parametrize("part", ["none", "half", "other"])
def test_bytes_that_are_no_whole_picture_are_refused_with_the_sentence_of_the_page(client, uploads, goldfinch, part):
    content = {"none": b"<html>", "half": goldfinch[: len(goldfinch) // 2], "other": slow()[:1000]}[part]
    shown = sentence_on(client.post("/", data=photo_form(content), follow_redirects=True).text)
    answer = client.post(IDENTIFICATIONS, data=content, content_type="image/jpeg")
    assert problem_in(answer, 422) == shown
    assert leftovers(uploads) == []


def test_an_empty_body_is_no_file(client):
    answer = client.post(IDENTIFICATIONS, data=b"", content_type="image/jpeg")
    assert problem_in(answer, 400) == sentence_on(client.post("/", follow_redirects=True).text)


@pytest.mark.parametrize(
    "content_type", ["", "x", "text/plain", "application/json", "application/x-www-form-urlencoded", "xmultipart/form"]
)
def test_what_is_sent_as_no_picture_is_refused(client, uploads, goldfinch, content_type):
    answer = client.post(IDENTIFICATIONS, data=goldfinch, content_type=content_type)
    assert problem_in(answer, 415) == (
        "Please send a form (multipart/form-data) with the photo in its field bird_image, or the bytes of the photo "
        "with their content type, such as image/jpeg."
    )
    assert leftovers(uploads) == []


@pytest.mark.parametrize("chunked", [False, True], ids=["length known", "chunked"])
@pytest.mark.parametrize("form", [False, True], ids=["bytes", "form"])
def test_what_is_too_large_is_refused_and_the_connection_goes_on(web, goldfinch, form, chunked):
    content = bytes(12 * MIB)
    headers = servers.FORM_HEADERS if form else JPEG
    body = servers.form(content, "bird.jpg") if form else content
    blocks = (body[start : start + MIB] for start in range(0, len(body), MIB))
    with requests.Session() as session:
        answer = session.post(web.address + IDENTIFICATIONS, blocks if chunked else body, headers=headers, timeout=60)
        assert problem_in(answer, 413) == "Uploaded file too large."  # and the page: test_application.py
        assert checked(session.post(web.address + IDENTIFICATIONS, goldfinch, headers=JPEG, timeout=60)).ok
    assert leftovers(web.uploads) == []


def test_chunks_that_are_not_too_large_are_a_photo(web, goldfinch):
    answer = send(web.address, iter([goldfinch[:1000], goldfinch[1000:]]))
    assert checked(answer).json()["label"] == send(web.address, goldfinch).json()["label"]


def test_whoever_comes_when_the_app_is_busy_is_told_when_to_come_again(web, goldfinch):
    with ThreadPoolExecutor() as pool:
        other = pool.submit(send, web.address, slow())
        until(lambda: leftovers(web.uploads))
        time.sleep(0.1)  # from the folder into the line
        answer = send(web.address, goldfinch)
        assert problem_in(answer, 503) == "The app is busy: 1 photo is in line. Please try again in a second."
        assert answer.headers["Retry-After"] == "1"
        assert checked(other.result()).ok


@pytest.mark.parametrize("size", [1000, 100_000], ids=["in the buffer", "beyond it"])
def test_a_full_disk_is_not_called_the_clients_mistake(client, size, monkeypatch):
    # A real device that is always full, in the place of the folder's disk.
    full = open("/dev/full", "w+b")  # noqa: SIM115  the app closes it
    monkeypatch.setattr(app_module.tempfile, "NamedTemporaryFile", lambda **_where: full)
    answer = client.post(IDENTIFICATIONS, data=bytes(size), content_type="image/jpeg")
    assert problem_in(answer, 503) == "There is no room for photos at the moment. Please try again later."
    assert answer.headers["Retry-After"] == "60"
    assert full.closed


def test_an_accident_is_a_problem_without_its_details(client, uploads, goldfinch, monkeypatch):
    def answer_to(*_photo: object):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(app_module, "answer_to", answer_to)
    monkeypatch.setitem(app_module.application.config, "PROPAGATE_EXCEPTIONS", False)
    answer = client.post(IDENTIFICATIONS, data=goldfinch, content_type="image/jpeg")
    shown = sentence_on(client.post("/", data=photo_form(goldfinch)).text)
    assert problem_in(answer, 500) == shown
    assert leftovers(uploads) == []


@pytest.mark.parametrize("job", ["abc", "A" * 22, "A" * 2000, "%00", "%F0%9F%90%A6", "a b"])
def test_an_answer_that_is_not_there_is_a_problem(client, job):
    assert "not found" in problem_in(client.get(f"{IDENTIFICATIONS}/{job}"), 404, JOB, "GET")


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/api/v2/model", f"{IDENTIFICATIONS}/", "/api/v1/model/x"])
def test_an_address_that_is_not_there_is_a_problem(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("path", "allowed"), [(IDENTIFICATIONS, "POST"), (f"{IDENTIFICATIONS}/abc", "GET"), ("/api/v1/model", "GET")]
)
def test_a_method_that_an_address_does_not_take_is_a_problem_that_says_which_it_takes(client, path, allowed):
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - {allowed}:
        if method == "HEAD" and allowed == "GET":
            continue
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
        assert allowed in answer.headers["Allow"]
    assert client.options(path).status_code == 200
    assert allowed in client.options(path).headers["Allow"]


def test_a_head_is_answered_as_a_get_without_its_body(client):
    got, head = client.get("/api/v1/species"), client.head("/api/v1/species")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


# Its description


def test_the_description_is_valid_and_the_one_that_is_served(client):
    description = json.loads(DESCRIPTION.read_text())
    validate(description)
    answer = checked(client.get("/api/v1/openapi.json"), "/api/v1/openapi.json", "GET")
    assert answer.json == description
    accepted = OPERATIONS["/api/v1/model"]["GET"].definition.raw["responses"]["200"]["content"]["application/json"]
    assert accepted["example"]["accepts"]["extensions"] == list(app_module.FORMATS)


def test_every_example_in_the_description_is_what_its_schema_says():
    description = json.loads(DESCRIPTION.read_text())
    count = 0

    def resolved(part: dict) -> dict:
        if "$ref" not in part:
            return part
        *_root, kind, name = part["$ref"].split("/")
        return description["components"][kind][name]

    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                headers = resolved(response).get("headers", {})
                for media_type, body in resolved(response)["content"].items():
                    checked(
                        schemathesis.Response(  # an answer with that example, which no server gave
                            status_code=int(status),
                            headers={name: [str(resolved(header)["example"])] for name, header in headers.items()}
                            | {"content-type": [media_type]},
                            content=json.dumps(body["example"]).encode(),
                            request=requests.Request(method, "http://localhost/").prepare(),
                            elapsed=0,
                            verify=False,
                        ),
                        path,
                        method.upper(),
                    )
                    count += 1
    assert count == 22


def test_the_page_shows_every_operation_and_its_commands_work_as_they_are_written(web, tmp_path, goldfinch):
    (tmp_path / "photo.jpg").write_bytes(goldfinch)
    page = requests.get(f"{web.address}/api", timeout=60).text
    assert page == requests.get(f"{web.address}/api/", timeout=60).text
    assert all(f'<h2 id="{name}">' in page for name in ("identify", "fetchIdentification", "listSpecies", "errors"))
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    commands = [unescape(command) for command in re.findall(r"<code>(curl .*?)</code>", page)]
    assert len(commands) == 8
    for command in commands:
        ended = subprocess.run(
            command.replace("curl", "curl -sS"), shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        answer = json.loads(ended.stdout[ended.stdout.index("{") :])
        # Without a queue no answer is left anywhere.
        assert answer.get("status") == (404 if f"{IDENTIFICATIONS}/" in command else None), command


def run_schemathesis(address: str, folder: Path, *options: str) -> str:
    """Run it against an app, with every check that it has; what it printed.

    :param folder: where it keeps what it likes.
    """
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(DESCRIPTION), "--url", address, "--checks=all"]
    ended = subprocess.run(
        [*command, "--seed=1", "--generation-database=none", "--continue-on-failure", "--no-color", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(servers.ROOT), "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_schemathesis_finds_no_answer_that_the_description_does_not_know(web, tmp_path):
    before = counted(web.address)
    printed = run_schemathesis(web.address, tmp_path, "--max-examples=60")
    assert re.search(r"Tested: 5\b", printed)
    # Not all of it was refused at the door.
    assert counted(web.address)["bird_photos_total", "identified"] - before["bird_photos_total", "identified"] > 30
    assert leftovers(web.uploads) == []


# With a queue


@dataclass(frozen=True)
class Split:
    """A web process, a worker with a small network, and the Redis between them."""

    address: str
    redis: Broker
    worker: psutil.Process


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    """The two services; a person waits a second for an answer."""
    folder = tmp_path_factory.mktemp("split")
    with (
        brokers.started(brokers.redis(folder)) as redis,
        brokers.worker(redis, redis, **SMALL_NETWORK) as worker,
        served(folder, BIRD_QUEUE_URL=redis.url, BIRD_RESULT_WAIT="1") as web,
    ):
        yield Split(web.address, redis, worker)


@contextmanager
def nobody_working(split: Split) -> Iterator[None]:
    """The worker takes no job while the block lasts."""
    (network,) = split.worker.children()
    network.suspend()
    try:
        yield
    finally:
        network.resume()


def fetched(address: str, later: requests.Response) -> requests.Response:
    """The answer that is left at an address, once it is there."""
    where = address + later.headers["Location"]
    deadline = time.monotonic() + 30
    while (answer := checked(requests.get(where, timeout=60), JOB, "GET")).status_code == 202:
        assert time.monotonic() < deadline
        assert answer.headers["Location"] == later.headers["Location"]
        time.sleep(0.1)
    return answer


@pytest.mark.parametrize("prefer", ["respond-async", "Respond-Async", "respond-async, wait=5", "wait=5,respond-async"])
def test_whoever_prefers_not_to_wait_is_told_where_the_answer_will_be(split, goldfinch, prefer):
    at_once = checked(send(split.address, goldfinch, params={"top": 2}))
    with nobody_working(split):
        begun = time.monotonic()
        later = checked(send(split.address, goldfinch, params={"top": 2}, headers={"Prefer": prefer}))
        assert time.monotonic() - begun < 1
    assert (later.status_code, later.headers["Preference-Applied"]) == (202, "respond-async")
    assert later.headers["Cache-Control"] == "no-store"
    assert int(later.headers["Retry-After"]) <= later.json()["seconds"]
    answer = fetched(split.address, later)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json() | {"milliseconds": 0} == at_once.json() | {"milliseconds": 0}
    assert len(answer.json()["candidates"]) == 2


def test_an_answer_that_takes_long_is_left_at_an_address_though_nobody_preferred_that(split, goldfinch):
    with nobody_working(split):
        later = checked(send(split.address, goldfinch))
    assert (later.status_code, "Preference-Applied" in later.headers) == (202, False)
    assert fetched(split.address, later).json()["label"] == send(split.address, goldfinch).json()["label"]


def test_other_preferences_change_nothing(split, goldfinch):
    answer = checked(send(split.address, goldfinch, headers={"Prefer": "wait=10, handling=strict"}))
    assert (answer.status_code, "Preference-Applied" in answer.headers) == (200, False)


def test_an_answer_that_is_not_there_is_not_found_with_a_queue_either(split):
    answer = requests.get(f"{split.address}{IDENTIFICATIONS}/{'A' * 22}", timeout=60)
    assert problem_in(answer, 404, JOB, "GET") == sentence_on(
        requests.get(f"{split.address}/identifications/{'A' * 22}", timeout=60).text
    )


def test_schemathesis_finds_nothing_else_with_a_queue(split, tmp_path):
    printed = run_schemathesis(split.address, tmp_path, "--max-examples=15", "--include-path-regex=identifications")
    assert re.search(r"API Links:\s+1 covered", printed)  # it has followed a Location


def test_a_classifier_behind_a_queue_waits_as_long_as_it_is_told_to(split):
    def client(result_wait: float) -> RemoteClassifier:
        url = split.redis.url
        return RemoteClassifier(url, url, labels=(), sha256="", max_waiting=9, result_wait=result_wait)

    pixels = np.full((224, 224, 3), 90, dtype="uint8")
    with nobody_working(split):
        begun = time.monotonic()
        with pytest.raises(LaterError):
            client(0).classify(pixels)
        with pytest.raises(LaterError):
            client(20).classify(pixels, wait=0)
        assert time.monotonic() - begun < 10
    assert isinstance(client(0).classify(pixels, wait=20), Identification)


# So many photos a client


def limited(address: str, *, path: str = IDENTIFICATIONS, forwarded: str | None = None) -> requests.Response:
    """Send a form without a photo, which counts as one; through a proxy, if somebody is forwarded."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return requests.post(address + path, files={"other": b""}, headers=headers, allow_redirects=False, timeout=60)


def test_nobody_is_limited_unless_a_limit_is_set(web):
    assert {limited(web.address).status_code for _ in range(70)} == {400}


def test_behind_a_proxy_each_client_has_one_limit_for_page_cards_and_api(tmp_path):
    with served(tmp_path, BIRD_PROXIES="1") as web:
        for path in ("/", "/cards", IDENTIFICATIONS):
            statuses = [limited(web.address, path=path, forwarded="192.0.2.1").status_code for _ in range(20)]
            assert set(statuses) == {302 if path == "/" else 400}
        page, card, answer = (
            limited(web.address, path=path, forwarded="192.0.2.1") for path in ("/", "/cards", IDENTIFICATIONS)
        )
        sentence = problem_in(answer, 429)
        wait = int(answer.headers["Retry-After"])
        assert 0 < wait <= 61  # rounded up
        assert sentence.startswith("Too many uploads came from your address in a short time. ")
        assert sentence.endswith(f" Please try again in {wait} seconds.")
        for other in (page, card):
            assert other.status_code == 429
            assert int(other.headers["Retry-After"]) - wait in (0, 1)
            assert re.sub(r"\d+", "", sentence_on(other.text)) == re.sub(r"\d+", "", sentence)
        assert 'name="bird_image"' in page.text  # the form is still there
        assert requests.get(web.address, headers={"X-Forwarded-For": "192.0.2.1"}, timeout=60).ok
        # What the client itself says of others is not believed.
        assert limited(web.address, forwarded="203.0.113.9, 192.0.2.1").status_code == 429
        assert limited(web.address, forwarded="192.0.2.1, 203.0.113.9").status_code == 400
        assert counted(web.address)["bird_photos_total", "limited"] == 4
        assert counted(web.address)["bird_photos_total", "refused"] == 61


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_a_network_of_them(address, client):
    assert app_module.client_network(address) == client


@dataclass(frozen=True)
class Webs:
    """Two web processes that share a Redis, behind a proxy, and no worker."""

    first: str
    second: str
    redis: Broker


@pytest.fixture(scope="module")
def webs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webs]:
    """Two web processes; a client may send three photos a minute to both together."""
    folder = tmp_path_factory.mktemp("webs")
    with brokers.started(brokers.redis(folder)) as redis:
        options = {"BIRD_QUEUE_URL": redis.url, "BIRD_PROXIES": "1", "BIRD_RATE_LIMIT": "3 per minute"}
        with served(folder, **options) as first, served(folder, **options) as second:
            yield Webs(first.address, second.address, redis)


def test_without_a_worker_no_photo_is_identified_at_the_moment(webs, goldfinch):
    answer = send(webs.first, goldfinch)
    assert problem_in(answer, 503) == UNAVAILABLE
    assert answer.headers["Retry-After"] == "5"


def test_web_processes_with_a_queue_share_one_limit(webs):
    for address in (webs.first, webs.second, webs.first):
        assert limited(address, forwarded="192.0.2.2").status_code == 503
    for address in (webs.first, webs.second):
        assert problem_in(limited(address, forwarded="192.0.2.2"), 429).startswith("Too many uploads")
        assert limited(address, forwarded="192.0.2.3").status_code == 503


def test_a_redis_that_is_frozen_or_gone_keeps_nobody_waiting_and_the_limit_goes_on_in_memory(webs):
    webs.redis.freeze()
    try:
        begun = time.monotonic()
        assert problem_in(limited(webs.first, forwarded="192.0.2.4"), 503) == UNAVAILABLE
        assert time.monotonic() - begun < 5
    finally:
        webs.redis.thaw()
    webs.redis.stop()
    try:
        job = requests.get(f"{webs.second}{IDENTIFICATIONS}/{'A' * 22}", timeout=60)
        assert problem_in(job, 503, JOB, "GET") == UNAVAILABLE
        assert job.headers["Retry-After"] == "5"
        statuses = [limited(webs.second, forwarded="192.0.2.5").status_code for _ in range(4)]
        assert statuses == [503, 503, 503, 429]
    finally:
        webs.redis.start()


# What can be set


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"BIRD_RATE_LIMIT": "60 photos"}, "BIRD_RATE_LIMIT must be a number of uploads in a time, such as 60 per min"),
        ({"BIRD_UNSURE_BELOW": "40 %"}, "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not '40 %'."),
        ({"BIRD_PROXIES": "-1"}, "BIRD_PROXIES must be a number of proxies, not -1."),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start(uploads, options, sentence):
    assert sentence in one_line_refusal(uploads, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("RATE_LIMIT", value) for value in ("60 per fortnight", "60", 60, True, "many per minute", [3])],
        *[("UNSURE_BELOW", value) for value in (1.01, -0.1, True, "0.5", float("nan"), [0.5])],
        *[("PROXIES", value) for value in (1.0, "one", True, None)],
    ],
)
def test_no_other_setting_of_its_kind_can_be_used(name, value):
    config = Config(servers.ROOT, settings.DEFAULTS | {name: value})
    check = settings.check_rate_limit if name == "RATE_LIMIT" else settings.check
    with pytest.raises(settings.SettingError, match=rf"^BIRD_{name} must be a .*\.$"):
        check(config)


@pytest.mark.parametrize(
    ("limit", "proxies", "meant"),
    [
        (None, 0, ""),
        (None, 1, "60 per minute"),
        ("", 1, ""),
        ("3/hour", 0, "3/hour"),
        ("3 per second; 60 per hour", 2, "3 per second; 60 per hour"),
    ],
)
def test_a_limit_is_on_by_itself_only_behind_a_proxy(limit, proxies, meant):
    config = Config(servers.ROOT, settings.DEFAULTS | {"RATE_LIMIT": limit, "PROXIES": proxies})
    settings.check_rate_limit(config)
    assert config["RATE_LIMIT"] == meant


def test_the_confidence_below_which_the_page_is_not_sure_can_be_set(client: FlaskClient, goldfinch, monkeypatch):
    for below, is_unsure in [(0, False), (1, True)]:
        monkeypatch.setitem(app_module.application.config, "UNSURE_BELOW", below)
        assert ("Not sure." in client.post("/", data=photo_form(goldfinch)).text) == is_unsure
        assert client.get("/api/v1/model").json["unsure_below"] == below


# What Prometheus is told


def counted(address: str) -> dict[tuple[str, ...], float]:
    """What /metrics says, by the name of a series and the values of its labels."""
    answer = requests.get(f"{address}/metrics", timeout=60)
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_became_of_photos_and_what_it_took_is_counted(web, goldfinch):
    before = counted(web.address)
    assert before["bird_model_info", "10", sha256(KERAS2 / "model.h5")] == 1
    send(web.address, goldfinch)
    send(web.address, goldfinch)
    send(web.address, b"no picture")
    requests.get(f"{web.address}{IDENTIFICATIONS}/abc", timeout=60)  # no photo
    with ThreadPoolExecutor() as pool:
        other = pool.submit(send, web.address, slow())
        until(lambda: counted(web.address)["bird_line_photos",] == 1)
        assert send(web.address, goldfinch).status_code == 503
        assert other.result().ok
    after = counted(web.address)
    gained = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    assert {key[1]: value for key, value in gained.items() if key[0] == "bird_photos_total"} == {
        "identified": 3,
        "refused": 1,
        "busy": 1,
    }
    stages = {key[1]: value for key, value in gained.items() if key[0] == "bird_stage_seconds_count"}
    assert stages == {"receive": 4, "wait": 3, "decode": 3, "thumbnail": 3, "network": 3}
    assert all(gained["bird_stage_seconds_sum", stage] > 0 for stage in stages)
    assert after["bird_line_photos",] == 0


@pytest.mark.parametrize("header", app_module.FORWARDED)
def test_nobody_who_comes_through_a_proxy_is_told_the_metrics(web, header):
    answer = requests.get(f"{web.address}/metrics", headers={header: "x"}, timeout=60)
    assert answer.status_code == 404
    assert "bird_" not in answer.text.replace("bird_image", "")


def test_the_metrics_of_a_split_deployment_know_its_queue(split, webs):
    assert counted(split.address)["bird_line_photos",] == 0
    assert counted(split.address)["bird_photos_total", "later"] > 0
    assert counted(webs.first)["bird_photos_total", "unavailable"] > 0
