"""The split deployment as tests use it: jobs that go straight to the workers, and web processes."""

import http.client
import io
import json
import re
import time
from contextlib import AbstractContextManager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from inference import Identification
from inference.classifier import Classifier
from inference.photo import open_photo
from jobs.client import RemoteClassifier
from jobs.pending import PendingJob, Position

from . import servers
from .brokers import Broker
from .servers import SMALL_NETWORK, Answer, send_photo


def client_of(broker: Broker, results: Broker, *, max_waiting: int = 300, result_wait: float = 0) -> RemoteClassifier:
    """The client of a web process; unless it is told to wait, every job is pending at first."""
    return RemoteClassifier(broker.url, results.url, labels=(), max_waiting=max_waiting, result_wait=result_wait)


def send(client: RemoteClassifier, pixels: npt.NDArray[np.uint8]) -> str:
    """Send a job; its ID."""
    pending = client.classify(pixels)
    assert isinstance(pending, PendingJob)
    return pending.id


def look_up_all(client: RemoteClassifier, job_ids: list[str], limit: float) -> list[Identification]:
    """Wait until every job has its answer.

    :param limit: seconds.
    """
    answers: dict[str, Identification] = {}
    deadline = time.monotonic() + limit
    while len(answers) < len(job_ids):
        for job_id in job_ids:
            if job_id not in answers:
                _thumbnail, found = client.look_up(job_id)
                if not isinstance(found, Position):
                    answers[job_id] = found
        assert time.monotonic() < deadline, f"{len(job_ids) - len(answers)} without an answer"
        time.sleep(0.1)
    return [answers[job_id] for job_id in job_ids]


def gray(number: int) -> npt.NDArray[np.uint8]:
    """An image of one shade, 0 to 255."""
    return np.full((224, 224, 3), number, dtype="uint8")


def web(
    broker: Broker, results: Broker, uploads: Path, *, code: Path = servers.ROOT, **settings: str
) -> AbstractContextManager[str]:
    """A web process with the labels of the small network; its address.

    :param code: the release that it runs.
    """
    urls = {"BIRD_QUEUE_URL": broker.url, "BIRD_RESULT_URL": results.url}
    return servers.running(servers.GUNICORN, uploads, code=code, **urls, **(SMALL_NETWORK | settings))


def get(address: str, path: str) -> Answer:
    """What a server answers; no redirect is followed."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET", path)
    with connection.getresponse() as answer:
        page = answer.read().decode()
    connection.close()
    return Answer(answer.status, answer.headers, page)


def health(address: str) -> tuple[int, dict[str, Any]]:
    """The status of ``/healthz``, and what it says."""
    answer = get(address, "/healthz")
    return answer.status, json.loads(answer.page)


def send_until_answered(address: str, photo: bytes) -> Answer:
    """Send a photo as a patient person does: again as long as the app is busy; and wait for the answer."""
    deadline = time.monotonic() + 120
    answer = send_photo(address, photo)
    while answer.status == 503:
        assert time.monotonic() < deadline
        time.sleep(float(answer.headers["Retry-After"]))
        answer = send_photo(address, photo)
    return follow(address, answer)


def follow(address: str, answer: Answer) -> Answer:
    """Follow a redirect to the page of a pending photo, and wait there for the answer."""
    if answer.status != 303:
        return answer
    own_page = answer.headers["Location"]
    deadline = time.monotonic() + 120
    while "data-pending" in (answer := get(address, own_page)).page or answer.status == 503:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return answer


def candidates_on(page: str) -> list[str]:
    """The candidates that a page shows, with their confidence."""
    candidates = re.findall(r'<meter [^>]*value="(.*?)" aria-label="Confidence in (.*?)">', page)
    return [f"{unescape(label)} {100 * float(confidence):.1f}" for confidence, label in candidates]


def candidates_of(network: Classifier, photo: bytes) -> list[str]:
    """The candidates that a page should show of a photo."""
    candidates = network.classify(open_photo(io.BytesIO(photo)).pixels()).candidates
    return [f"{candidate.label} {100 * candidate.confidence:.1f}" for candidate in candidates]
