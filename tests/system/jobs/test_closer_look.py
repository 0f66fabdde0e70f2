"""A closer look through the queue: the shipped network finds a small bird in a worker as it does in one process."""

import contextlib
import http.client
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from inference import LABELS_FILE, MODEL_FILE, Identification
from inference.loader import load_classifier
from inference.pair import check_pair
from inference.photo import open_photo
from inference.regions import Region
from jobs.store import JobStore
from tests.support import brokers, servers
from tests.support.brokers import Broker
from tests.support.drawings import encoded
from tests.support.servers import together, until
from tests.support.split import client_of, look_up_all, send, web

MODELS = servers.ROOT / "models"
SHIPPED = {"BIRD_MODEL": str(MODELS / MODEL_FILE), "BIRD_LABELS": str(MODELS / LABELS_FILE)}
PATH = "/api/v1/identifications"


class Scene(NamedTuple):
    """A photo of a small bird in front of a blurred background.

    :param pixels: ``uint8[224, 224, 3]``.
    :param picture: ``uint8[height, width, 3]``.
    :param answer: what the network says of it in one process.
    """

    photo: bytes
    pixels: npt.NDArray[np.uint8]
    picture: npt.NDArray[np.uint8]
    answer: Identification


@pytest.fixture(scope="module")
def scene(birds: Path) -> Scene:
    """A small bird that the network finds in one process."""
    with Image.open(min((birds / "test" / "African Firefinch").iterdir())) as file:
        bird = file.convert("RGB")
    image = bird.resize((4, 3)).resize((1600, 1200), Image.Resampling.BICUBIC)
    bird.thumbnail((260, 260))
    image.paste(bird, (1000, 300))
    photo = encoded(image, "JPEG", quality=95)
    pixels = open_photo(io.BytesIO(photo)).pixels()
    picture = open_photo(io.BytesIO(photo), for_picture=True).picture()
    network = load_classifier(check_pair(MODELS / MODEL_FILE, MODELS / LABELS_FILE))
    assert network.classify(pixels).label != "African Firefinch"
    answer = network.classify(pixels, picture)
    assert answer.label == "African Firefinch"
    assert answer.region.overlap(Region(1000 / 1600, 300 / 1200, 260 / 1600, 260 / 1200)) > 0.3
    return Scene(photo, pixels, picture, answer)


@pytest.fixture(scope="module")
def address(scene: Scene, redis: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web process in front of a worker with the shipped network."""
    uploads = tmp_path_factory.mktemp("web") / "uploads"
    with together(brokers.worker(redis, redis, **SHIPPED), web(redis, redis, uploads, **SHIPPED)) as (_worker, address):
        yield address


def ask(address: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str, dict[str, Any]]:
    """The status of an answer of the API, the ``Location`` that it names, and what it says."""
    with contextlib.closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)) as connection:
        connection.request(method, path, body, {"Content-Type": "image/jpeg", **headers})
        with connection.getresponse() as answer:
            return answer.status, answer.headers.get("Location", ""), json.load(answer)


def answer_of(address: str, photo: bytes, **headers: str) -> dict[str, Any]:
    """The answer to a photo, at once or later."""
    status, location, said = ask(address, "POST", PATH, photo, **headers)
    assert status == (202 if headers else status)
    deadline = time.monotonic() + 60
    while status == 202:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        status, _location, said = ask(address, "GET", location)
    assert status == 200
    return said


def assert_same(region: Region | None, label: str, scene: Scene) -> None:
    """A JPEG stands between the two answers, so a region may differ a little."""
    assert label == scene.answer.label
    assert region is not None
    assert region.overlap(scene.answer.region) >= 0.8


@pytest.mark.parametrize("headers", [{}, {"Prefer": "respond-async"}], ids=["at once", "later"])
def test_a_small_bird_is_found_by_a_worker_as_in_one_process(address, scene, redis, headers):
    said = answer_of(address, scene.photo, **headers)
    assert_same(Region(**said["region"]), said["label"], scene)
    data = JobStore(redis.url)._redis
    until(lambda: not data.keys("*picture*"))


def test_a_worker_that_was_not_sure_before_it_had_the_picture_notices_it(address, scene, redis):
    client = client_of(redis, redis)
    job_id = send(client, scene.pixels)
    (first,) = look_up_all(client, [job_id], 30)
    assert first.wants_closer_look
    assert not client.keep_picture(job_id, scene.picture)
    again = client.classify(scene.pixels, picture=scene.picture)
    (answer,) = look_up_all(client, [again.id], 30)
    assert_same(answer.region, answer.label, scene)


def test_a_picture_that_is_none_does_not_cost_the_answer(address, scene, redis, monkeypatch):
    client = client_of(redis, redis)
    monkeypatch.setattr("jobs.client.encode_picture", lambda _picture: b"no picture")
    pending = client.classify(scene.pixels, picture=scene.picture)
    (answer,) = look_up_all(client, [pending.id], 30)
    assert answer.region is None
    assert answer.label
