"""The API on real servers, in one process and with a queue, and what schemathesis finds there."""

import json
import os
import re
import resource
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
from redis import Redis

from inference import LABELS_FILE, MAX_PIXELS, MODEL_FILE, Identification
from inference.digest import sha256
from inference.formats import FORMATS
from inference.labels import load_labels
from inference.loader import load_classifier
from inference.pair import check_pair
from inference.photo import open_photo
from jobs.client import RemoteClassifier
from jobs.pending import PendingJob
from jobs.store import WAITING, JobStore
from tests.support import brokers, servers
from tests.support.api import (
    ASYNC,
    DESCRIPTION,
    IDENTIFICATIONS,
    JOB,
    JPEG,
    MODEL,
    SPECIES,
    checked,
    get,
    metrics_at,
    problem_in,
    send,
)
from tests.support.brokers import Broker
from tests.support.clients import MIB
from tests.support.pages import sentence_on
from tests.support.photographs import slow_photo
from tests.support.servers import KERAS2, SMALL_NETWORK, leftovers, until

LABELS = tuple(f'Žluna zelená 🐦 "<{number}>"' for number in range(10))


@dataclass(frozen=True)
class Web:
    """A running app, and its uploads folder."""

    address: str
    uploads: Path


@pytest.fixture(scope="module")
def labels_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels in several scripts for the small network."""
    path = tmp_path_factory.mktemp("labels") / "class_indices.npy"
    np.save(path, {label: index for index, label in enumerate(LABELS)})
    return path


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, labels_file: Path) -> Iterator[Web]:
    """The app with a small network under gunicorn. No photo may wait, so that one slow photo makes it busy."""
    uploads = tmp_path_factory.mktemp("web") / "uploads"
    options = SMALL_NETWORK | {"BIRD_LABELS": str(labels_file), "BIRD_MAX_WAITING": "0"}
    with servers.running(servers.GUNICORN, uploads, **options) as address:
        yield Web(address, uploads)


def test_the_answer_is_that_of_the_network(web, labels_file, goldfinch, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(goldfinch)
    network = load_classifier(check_pair(KERAS2 / "model.h5", labels_file))
    identification = network.classify(open_photo(tmp_path / "photo.jpg").pixels())
    answer = send(web.address, goldfinch).json()
    assert answer["label"] == identification.label
    assert [each["label"] for each in answer["candidates"]] == [each.label for each in identification.candidates]
    assert answer["confidence"] == pytest.approx(identification.confidence, abs=1e-4)
    assert answer["model"] == sha256(KERAS2 / "model.h5")


def test_the_species_and_the_model_come_with_the_metrics_of_the_training(server):
    species = get(server[0], SPECIES).json()["species"]
    model = get(server[0], MODEL).json()
    assert (model["species"], model["sha256"]) == (121, sha256(servers.ROOT / "models" / MODEL_FILE))
    labels = load_labels(servers.ROOT / "models" / LABELS_FILE)
    assert [each["label"] for each in species] == sorted(labels, key=str.casefold)
    assert sum(each["trained_on"] for each in species) == model["figures"]["trained_on"]
    assert model["accepts"] == {"extensions": list(FORMATS), "bytes": 10 * MIB, "pixels": MAX_PIXELS}


def test_a_model_without_a_card_has_no_metrics(web):
    nothing = dict.fromkeys(("trained_on", "held_out", "recall", "precision", "confused_with", "taken_for_it"))
    assert get(web.address, SPECIES).json() == {
        "species": [{"label": label, "scientific": None, "names": {"en": label}, **nothing} for label in LABELS]
    }
    model = get(web.address, MODEL).json()
    assert (model["figures"], model["unsure_below"]) == (None, 0)


def test_a_preference_not_to_wait_makes_no_difference_without_a_queue(web, goldfinch):
    answer = send(web.address, goldfinch, headers=ASYNC)
    assert (answer.status_code, "Preference-Applied" in answer.headers) == (200, False)


@pytest.mark.parametrize("chunked", [False, True], ids=["length known", "chunked"])
@pytest.mark.parametrize("form", [False, True], ids=["bytes", "form"])
def test_what_is_too_large_is_refused_and_the_connection_can_be_used_again(web, goldfinch, form, chunked):
    content = bytes(12 * MIB)
    headers = servers.FORM_HEADERS if form else JPEG
    body = servers.form(content, "bird.jpg") if form else content
    blocks = (body[start : start + MIB] for start in range(0, len(body), MIB))
    with requests.Session() as session:
        answer = session.post(web.address + IDENTIFICATIONS, blocks if chunked else body, headers=headers, timeout=60)
        assert problem_in(answer, 413) == "Uploaded file too large."
        assert checked(session.post(web.address + IDENTIFICATIONS, goldfinch, headers=JPEG, timeout=60)).ok
    assert leftovers(web.uploads) == []


def test_chunks_that_are_not_too_large_are_a_photo(web, goldfinch):
    answer = send(web.address, iter([goldfinch[:1000], goldfinch[1000:]]))
    assert answer.json()["label"] == send(web.address, goldfinch).json()["label"]


def test_a_photo_that_comes_when_the_app_is_busy_is_refused_with_the_time_after_which_to_try_again(web, goldfinch):
    with ThreadPoolExecutor() as pool:
        other = pool.submit(send, web.address, slow_photo())
        until(lambda: metrics_at(web.address)["bird_line_photos",] == 1)
        answer = send(web.address, goldfinch)
        seconds = int(answer.headers["Retry-After"])
        assert 1 <= seconds <= 3
        when = "in a second" if seconds == 1 else f"in {seconds} seconds"
        assert problem_in(answer, 503) == f"The app is busy: 1 photo is in line. Please try again {when}."
        assert other.result().ok


@contextmanager
def full_disk(address: str, limit: int) -> Iterator[None]:
    """No file of an app can grow beyond so many bytes, as on a disk that is full, while the block lasts."""
    processes = [process for process in servers.processes_at(address) if "gunicorn" in process.cmdline()]
    before = [resource.prlimit(process.pid, resource.RLIMIT_FSIZE) for process in processes]
    for process, (_soft, hard) in zip(processes, before, strict=True):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        for process, limits in zip(processes, before, strict=True):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux can limit another process")
@pytest.mark.parametrize("size", [1000, 100_000], ids=["in the buffer", "beyond it"])
def test_a_full_disk_is_not_called_the_clients_mistake(web, goldfinch, size):
    with full_disk(web.address, 500):
        answer = send(web.address, bytes(size))
        assert problem_in(answer, 503) == "There is no room for photos at the moment. Please try again later."
        assert answer.headers["Retry-After"] == "60"
        page = servers.send_photo(web.address, bytes(size))
        assert (page.status, page.headers["Retry-After"]) == (503, "60")
        assert sentence_on(page.page) == "There is no room for photos at the moment. Please try again later."
    assert leftovers(web.uploads) == []
    assert send(web.address, goldfinch).ok


def test_the_page_shows_every_operation_and_its_commands_work_as_they_are_written(web, tmp_path, goldfinch):
    (tmp_path / "photo.jpg").write_bytes(goldfinch)
    page = requests.get(f"{web.address}/api", timeout=60).text
    with_slash = requests.get(f"{web.address}/api/", timeout=60).text
    assert page == with_slash.replace('value="/api/"', 'value="/api"')  # where to come back from choosing a language
    assert all(f'<h2 id="{name}">' in page for name in ("identify", "fetchIdentification", "listSpecies", "errors"))
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    commands = [unescape(command) for command in re.findall(r"<code>(curl .*?)</code>", page)]
    assert len(commands) == 10
    for command in commands:
        ended = subprocess.run(
            command.replace("curl", "curl -sS"), shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        answer = json.loads(ended.stdout[ended.stdout.index("{") :])
        # Without a queue no answer can be fetched later.
        assert answer.get("status") == (404 if f"{IDENTIFICATIONS}/" in command else None), command


def run_schemathesis(address: str, folder: Path, *options: str) -> str:
    """Run it against an app, with every check that it has; what it printed.

    :param folder: its working directory.
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


def test_schemathesis_finds_no_answer_that_the_description_does_not_allow(web, tmp_path):
    before = metrics_at(web.address)
    printed = run_schemathesis(web.address, tmp_path, "--max-examples=60")
    assert re.search(r"Tested: 5\b", printed)
    # Not all of it was refused at once.
    identified = "bird_photos_total", "identified"
    assert metrics_at(web.address)[identified] - before[identified] > 30
    assert leftovers(web.uploads) == []


# With a queue


@dataclass(frozen=True)
class Split:
    """A web process, a worker with a small network, and the Redis between them."""

    address: str
    redis: Broker
    worker: psutil.Process

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """The worker takes no job while the block lasts."""
        (network,) = self.worker.children()
        network.suspend()
        try:
            yield
        finally:
            network.resume()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    """The two services; a client waits a second for an answer."""
    folder = tmp_path_factory.mktemp("split")
    with brokers.started(brokers.redis(folder)) as redis:
        options = {"BIRD_QUEUE_URL": redis.url, "BIRD_RESULT_WAIT": "1", **SMALL_NETWORK}
        web = servers.running(servers.GUNICORN, folder / "uploads", **options)
        with servers.together(brokers.worker(redis, redis, **SMALL_NETWORK), web) as (worker, address):
            yield Split(address, redis, worker)


def fetched(address: str, later: requests.Response) -> requests.Response:
    """The answer to a pending job, once it is there."""
    where = address + later.headers["Location"]
    deadline = time.monotonic() + 30
    while (answer := checked(requests.get(where, timeout=60), JOB, "GET")).status_code == 202:
        assert time.monotonic() < deadline
        assert answer.headers["Location"] == later.headers["Location"]
        time.sleep(0.1)
    return answer


@pytest.mark.parametrize("prefer", ["respond-async", "Respond-Async", "respond-async, wait=5", "wait=5,respond-async"])
def test_a_client_that_prefers_not_to_wait_is_told_where_the_answer_will_be(split, goldfinch, prefer):
    at_once = send(split.address, goldfinch, params={"top": 2})
    with split.suspended():
        begun = time.monotonic()
        later = send(split.address, goldfinch, params={"top": 2}, headers={"Prefer": prefer})
        assert time.monotonic() - begun < 1
    assert (later.status_code, later.headers["Preference-Applied"]) == (202, "respond-async")
    assert later.headers["Cache-Control"] == "no-store"
    assert int(later.headers["Retry-After"]) <= later.json()["seconds"]
    answer = fetched(split.address, later)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json() | {"milliseconds": 0} == at_once.json() | {"milliseconds": 0}
    assert len(answer.json()["candidates"]) == 2


def test_a_part_of_a_photo_and_an_explanation_can_be_asked_for_without_waiting(split, goldfinch):
    whole = send(split.address, goldfinch, params={"explain": 1}).json()
    asked = {"crop": "0.333333,0.25,0.5,0.5", "explain": 1}
    at_once = send(split.address, goldfinch, params=asked).json()
    with split.suspended():
        later = send(split.address, goldfinch, params=asked, headers=ASYNC)
        also_later = send(split.address, goldfinch, params=asked)  # it has waited long enough
    assert (later.status_code, also_later.status_code) == (202, 202)
    assert later.headers["Location"].endswith("?explain=1")
    region = {"x": 0.3333, "y": 0.25, "width": 0.5, "height": 0.5}
    for answer in (at_once, fetched(split.address, later).json(), fetched(split.address, also_later).json()):
        assert answer["region"] == region
        assert "activation" in answer
        assert answer | {"milliseconds": 0} == at_once | {"milliseconds": 0}
    assert (whole["region"], whole["confidence"] == at_once["confidence"]) == (None, False)


def test_a_part_that_no_photo_has_leaves_no_job_behind(split, goldfinch):
    answer = send(split.address, goldfinch, params={"crop": "0.5,0.5,0.6,0.5"}, headers=ASYNC)
    assert problem_in(answer, 400).startswith("crop must lie within the photo")
    assert JobStore(split.redis.url).state().waiting == 0


def test_an_answer_that_takes_long_can_be_fetched_later_though_the_client_did_not_ask_for_that(split, goldfinch):
    with split.suspended():
        later = send(split.address, goldfinch)
    assert (later.status_code, "Preference-Applied" in later.headers) == (202, False)
    assert fetched(split.address, later).json()["label"] == send(split.address, goldfinch).json()["label"]


def test_other_preferences_change_nothing(split, goldfinch):
    answer = send(split.address, goldfinch, headers={"Prefer": "wait=10, handling=strict"})
    assert (answer.status_code, "Preference-Applied" in answer.headers) == (200, False)


def test_an_answer_that_does_not_exist_is_not_found_with_a_queue_either(split):
    answer = requests.get(f"{split.address}{IDENTIFICATIONS}/{'A' * 22}", timeout=60)
    assert problem_in(answer, 404, JOB, "GET") == sentence_on(
        requests.get(f"{split.address}/identifications/{'A' * 22}", timeout=60).text
    )


def test_a_job_that_was_lost_is_gone(split, goldfinch):
    with split.suspended():
        later = send(split.address, goldfinch, headers=ASYNC)
        job_id = later.headers["Location"].rpartition("/")[2]
        Redis.from_url(split.redis.url).zrem(WAITING, job_id)  # it waits no more, and no worker has begun it
        answer = requests.get(split.address + later.headers["Location"], timeout=60)
        sentence = problem_in(answer, 410, JOB, "GET")
        assert sentence == "The answer to this photo did not come in time. Please send it again."
        for path in (f"/identifications/{job_id}", f"/cards/{job_id}"):
            page = requests.get(split.address + path, timeout=60)
            assert (page.status_code, sentence_on(page.text)) == (410, sentence)


def test_a_job_on_which_the_workers_failed_is_the_servers_fault(split):
    # A message that no web process sends: it fails each time that it is tried.
    brokers.send_version_1(split.redis, "broken", ["no pixels"])
    path = f"{IDENTIFICATIONS}/broken"
    until(lambda: requests.get(split.address + path, timeout=60).status_code != 202)
    answer = requests.get(split.address + path, timeout=60)
    sentence = problem_in(answer, 500, JOB, "GET")
    assert sentence == "The photo could not be identified: the network failed on it twice. Please try another photo."
    assert sentence_on(requests.get(f"{split.address}/identifications/broken", timeout=60).text) == sentence


def test_schemathesis_finds_nothing_with_a_queue_either(split, tmp_path):
    printed = run_schemathesis(split.address, tmp_path, "--max-examples=15", "--include-path-regex=identifications")
    assert re.search(r"API Links:\s+1 covered", printed)  # it has followed a Location


def test_a_remote_classifier_waits_as_long_as_it_is_told_to(split):
    def client(result_wait: float) -> RemoteClassifier:
        url = split.redis.url
        return RemoteClassifier(url, url, labels=(), max_waiting=9, result_wait=result_wait)

    pixels = np.full((224, 224, 3), 90, dtype="uint8")
    with split.suspended():
        begun = time.monotonic()
        assert isinstance(client(0).classify(pixels), PendingJob)
        assert isinstance(client(20).classify(pixels, wait=0), PendingJob)
        assert time.monotonic() - begun < 10
    assert isinstance(client(0).classify(pixels, wait=20), Identification)


def test_the_metrics_of_a_split_deployment_count_its_queue_and_its_pending_jobs(split, goldfinch):
    with split.suspended():
        assert send(split.address, goldfinch, headers=ASYNC).status_code == 202
    until(lambda: metrics_at(split.address)["bird_line_photos",] == 0)
    assert metrics_at(split.address)["bird_photos_total", "later"] > 0
