"""The web process and the worker with a real queue between them, and what breaks each."""

import io
import json
import re
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import expect
from redis import Redis

from inference import LABELS_FILE, MODEL_FILE
from inference.digest import sha256
from inference.photo import open_photo
from jobs.store import WAITING
from tests.support import brokers, servers
from tests.support.api import metrics_at
from tests.support.brokers import HANGS, KILLS, RAISES, Broker
from tests.support.drawings import encoded
from tests.support.pages import color_on, sentence_on
from tests.support.photographs import color_of, colored_photo
from tests.support.servers import KERAS2, SMALL_NETWORK, Answer, form, send_photo, together, until
from tests.support.split import (
    candidates_of,
    candidates_on,
    client_of,
    follow,
    get,
    gray,
    health,
    send,
    send_until_answered,
    web,
)

UNAVAILABLE = "No photo can be identified at the moment. Please try again in a few seconds."
MODELS = servers.ROOT / "models"


def says_busy(answer: Answer) -> bool:
    """Whether a page says that the app is busy and when to try again, with the form still there."""
    return (
        sentence_on(answer.page).startswith("The app is busy: ")
        and int(answer.headers["Retry-After"]) >= 1
        and 'name="bird_image"' in answer.page
    )


@pytest.mark.parametrize("kind", brokers.BROKERS)
def test_a_photo_is_answered_through_every_kind_of_broker_as_in_one_process(
    tmp_path, redis, broker_of, network, goldfinch, kind
):
    broker = broker_of(kind)
    with together(brokers.worker(broker, redis, **SMALL_NETWORK), web(broker, redis, tmp_path / "uploads")) as (
        _worker,
        address,
    ):
        answer = send_photo(address, goldfinch)
        assert answer.status == 200
        assert candidates_on(answer.page) == candidates_of(network, goldfinch)
        assert "data:image/jpeg;base64," in answer.page
        assert answer.headers["Cache-Control"] == "no-store"
        parts = re.findall(r"(\w+);dur=[\d.]+", answer.headers["Server-Timing"])
        assert parts == ["receive", "wait", "decode", "thumbnail", "network", "template"]
        assert health(address)[0] == 200
        assert list((tmp_path / "uploads").iterdir()) == []
        with ThreadPoolExecutor(10) as people:
            photos = [colored_photo(number) for number in range(20)]
            for number, later in enumerate(people.map(lambda photo: send_until_answered(address, photo), photos)):
                assert candidates_on(later.page) == candidates_of(network, photos[number])


def test_two_hundred_people_at_two_workers_each_get_the_answer_to_their_own_photo(tmp_path, redis, worker, network):
    colors = [(30 * (number % 8), 60 * (number // 8 % 5), 60 * (number // 40)) for number in range(200)]
    photos = [encoded(Image.new("RGB", (300, 200), color), "JPEG", quality=95) for color in colors]
    right = [candidates_of(network, photo) for photo in photos]
    assert len(set(map(tuple, right))) > 100  # a mix-up would show
    with (
        together(
            brokers.worker(redis, redis, **SMALL_NETWORK),
            web(redis, redis, tmp_path / "uploads", BIRD_MAX_WAITING="64", BIRD_RESULT_WAIT="0.2"),
        ) as (_other, address),
        ThreadPoolExecutor(200) as people,
    ):
        answers = list(people.map(lambda photo: send_until_answered(address, photo), photos))
    for number, answer in enumerate(answers):
        assert answer.status == 200
        assert candidates_on(answer.page) == right[number]
        np.testing.assert_allclose(color_on(answer.page), colors[number], atol=6)


def test_a_photo_that_breaks_the_network_says_so(own_redis, tmp_path):
    with together(
        brokers.worker(own_redis, own_redis, module="tests.support.breakable_worker", **SMALL_NETWORK),
        web(own_redis, own_redis, tmp_path / "uploads"),
    ) as (_worker, address):
        client = client_of(own_redis, own_redis)
        for job_id in [send(client, gray(breaks)) for breaks in (KILLS, HANGS, RAISES)]:
            answer = follow(address, Answer(303, {"Location": f"/identifications/{job_id}"}, ""))
            assert answer.status == 500
            assert "failed on it twice" in sentence_on(answer.page)
            assert 'name="bird_image"' in answer.page
        photo = encoded(Image.new("RGB", (300, 300), (RAISES, 0, 0)), "PNG")  # soon enough for the first page
        answer = send_photo(address, photo, "bird.png")
        assert (answer.status, "failed on it twice" in sentence_on(answer.page)) == (500, True)


@pytest.mark.parametrize(
    ("kind", "keeps_answers", "seconds"),
    [("redis", True, 10), ("redis", False, 4), ("rabbitmq", False, 4)],
    ids=["redis", "redis beside another", "rabbitmq"],
)
def test_a_broker_that_is_gone_for_a_while_costs_a_sentence_and_nothing_else(
    tmp_path, redis, broker_of, goldfinch, kind, keeps_answers, seconds
):
    broker = broker_of(kind)
    results = broker if keeps_answers else redis
    statuses: list[tuple[float, int]] = []
    over = threading.Event()
    with (
        together(brokers.worker(broker, results, **SMALL_NETWORK), web(broker, results, tmp_path / "uploads")) as (
            worker,
            address,
        ),
        ThreadPoolExecutor(8) as people,
    ):

        def send_again_and_again() -> None:
            while not over.is_set():
                statuses.append((time.monotonic(), send_photo(address, goldfinch).status))

        sending = [people.submit(send_again_and_again) for _ in range(8)]
        try:
            processes = [worker, *worker.children(), *servers.processes_at(address)]
            until(lambda: len(statuses) > 20)
            broker.stop()
            stopped = time.monotonic()
            until(lambda: 503 in [status for _when, status in statuses])
            begun = time.monotonic()
            answer = send_photo(address, goldfinch)
            assert time.monotonic() - begun < 10
            assert (answer.status, sentence_on(answer.page)) == (503, UNAVAILABLE)
            assert 5 <= int(answer.headers["Retry-After"]) <= 10
            status, about = health(address)
            assert status == 503
            assert "does not answer" in about["reason"]
            time.sleep(max(0, stopped + seconds - time.monotonic()))
            broker.start()
            back = time.monotonic()
            until(lambda: any(status == 200 and when > back for when, status in statuses))
        finally:
            over.set()
        for each in sending:
            each.result()
        first = min(when for when, status in statuses if status == 200 and when > back)
        assert first - back < 5
        assert set(Counter(status for _when, status in statuses)) <= {200, 303, 503}
        assert all(process.is_running() for process in processes)
        assert health(address)[0] == 200
        assert list((tmp_path / "uploads").iterdir()) == []


def test_a_redis_without_memory_costs_a_sentence_and_nothing_else(tmp_path, redis, worker, goldfinch):
    data = Redis.from_url(redis.url)
    with web(redis, redis, tmp_path / "uploads") as address:
        data.config_set("maxmemory", 1)
        try:
            answer = send_photo(address, goldfinch)
            assert (answer.status, sentence_on(answer.page)) == (503, UNAVAILABLE)
            time.sleep(5)  # the worker asks for jobs meanwhile, and sends heartbeats
        finally:
            data.config_set("maxmemory", 0)
        until(lambda: send_photo(address, goldfinch).status == 200)
        assert worker.is_running()


@pytest.mark.parametrize("kind", ["redis", "rabbitmq", "sqs"])
def test_a_broker_that_is_frozen_keeps_nobody_waiting_for_ever(tmp_path, own_redis, broker_of, goldfinch, kind):
    broker = broker_of(kind)
    with (
        together(brokers.worker(broker, own_redis, **SMALL_NETWORK), web(broker, own_redis, tmp_path / "uploads")) as (
            _worker,
            address,
        ),
        ThreadPoolExecutor(51) as people,
    ):
        assert send_photo(address, goldfinch).status == 200
        broker.freeze()
        begun = time.monotonic()
        asked = people.submit(health, address)
        answers = list(people.map(lambda _number: send_photo(address, goldfinch), range(50)))
        assert {answer.status for answer in answers} == {503}
        assert asked.result()[0] == 503
        assert time.monotonic() - begun < 25
        broker.thaw()
        until(lambda: send_photo(address, goldfinch).status == 200)


def test_of_a_thousand_at_once_as_many_wait_as_may_and_all_of_those_are_answered(tmp_path, redis, worker, network):
    photos = [colored_photo(number) for number in range(196)]
    longest = 0
    Redis.from_url(redis.url).delete(WAITING)  # a job that was lost in another test stays in the queue for two minutes
    with (
        web(redis, redis, tmp_path / "uploads", BIRD_RESULT_WAIT="0.1") as address,
        ThreadPoolExecutor(1000) as people,
    ):
        client = client_of(redis, redis)
        sent = [
            people.submit(send_photo, address, photos[number % 196], client=number % 250 + 1) for number in range(1000)
        ]
        while not all(answer.done() for answer in sent):
            longest = max(longest, client.state().waiting)
            time.sleep(0.05)
        answers = [answer.result() for answer in sent]
        assert set(Counter(answer.status for answer in answers)) <= {200, 303, 503}
        assert longest <= 33
        accepted = 0
        for number, answer in enumerate(answers):
            if answer.status == 503:
                assert says_busy(answer), sentence_on(answer.page)
            else:
                accepted += 1
                page = follow(address, answer).page
                assert candidates_on(page) == candidates_of(network, photos[number % 196])
                np.testing.assert_allclose(color_on(page), color_of(number % 196), atol=6)
        assert 33 <= accepted < 1000
        assert client.state().waiting == 0


def test_the_web_process_of_a_split_deployment_has_no_tensorflow_and_takes_little_memory(
    tmp_path, redis, worker, goldfinch
):
    with web(redis, redis, tmp_path / "uploads") as address:
        answered = metrics_at(address)["bird_jobs_total", "answered"]
        for _ in range(30):
            assert send_photo(address, goldfinch).status == 200
        assert metrics_at(address)["bird_jobs_total", "answered"] >= answered + 30
        assert metrics_at(address)["bird_workers",] == 1
        for process in servers.processes_at(address):
            mapped = [each.path for each in process.memory_maps()]
            assert not [path for path in mapped if re.search(r"tensorflow|keras|h5py|grpc|onnxruntime", path)]
            assert process.memory_info().rss < 150e6
        # The one that has a network shows that this would be seen.
        assert any("onnxruntime" in each.path for each in worker.children()[0].memory_maps())
        assert not any("onnxruntime" in each.path for each in worker.memory_maps())  # it could not fork then


def test_an_answer_of_another_model_is_shown_with_its_own_labels(tmp_path, redis, worker, network, goldfinch):
    pair = {"BIRD_MODEL": str(MODELS / MODEL_FILE), "BIRD_LABELS": str(MODELS / LABELS_FILE)}
    with web(redis, redis, tmp_path / "uploads", **pair) as address:
        page = send_photo(address, goldfinch).page
        assert candidates_on(page) == candidates_of(network, goldfinch)
        assert "another model" in page
        status, about = health(address)
        assert (status, about["mode"], about["labels"]) == (200, "queue", 121)
        assert about["model"] == sha256(MODELS / MODEL_FILE)
        (worker_info,) = about["workers"]
        assert (worker_info["labels"], worker_info["model"]) == (len(network.labels), sha256(KERAS2 / "model.h5"))
        assert worker_info["engine"] == {"name": "onnx", "precision": "float32", "device": "CPU"}
    with web(redis, redis, tmp_path / "uploads", BIRD_MODEL=str(tmp_path / "none.h5")) as address:  # none is needed
        page = send_photo(address, goldfinch).page
        assert candidates_on(page) == candidates_of(network, goldfinch)
        assert "another model" not in page
        # Only the worker has looked into the network.
        with urllib.request.urlopen(f"{address}/api/v1/model", timeout=10) as model:
            assert json.load(model)["input_range"] == network.engine.info.input_range


def test_without_a_worker_a_person_is_told_at_once_and_the_app_is_not_healthy(tmp_path, own_redis, goldfinch):
    with web(own_redis, own_redis, tmp_path / "uploads") as address:
        answer = send_photo(address, goldfinch)
        assert (answer.status, sentence_on(answer.page)) == (503, UNAVAILABLE)
        status, about = health(address)
        assert (status, about["reason"]) == (503, "no worker is there")
        with brokers.worker(own_redis, own_redis, **SMALL_NETWORK):
            assert send_photo(address, goldfinch).status == 200
            assert health(address)[0] == 200
        assert health(address)[0] == 503  # the worker has removed itself


def test_one_process_is_healthy_by_itself(client):
    answer = client.get("/healthz")
    about = answer.json
    engine = about.pop("engine")
    assert (engine["name"], engine["device"]) == ("onnx", "CPU")
    assert engine["precision"] in ("int8", "float32")  # some processors compute int8 otherwise
    model = sha256(MODELS / MODEL_FILE)
    assert (answer.status_code, about) == (200, {"mode": "one process", "labels": 121, "model": model, "waiting": 0})
    assert client.get("/identifications/abc").status_code == 404


@pytest.mark.parametrize(
    "job", ["abc", "A" * 22, "A" * 2000, "%00", "..%2f..", "{birds}:line", "*", "a b", "%F0%9F%90%A6", "a/b"]
)
def test_an_answer_that_is_not_there_is_not_found(waiting_web, job):
    answer = get(waiting_web, f"/identifications/{job.replace(' ', '%20')}")
    assert answer.status == 404
    assert "not" in sentence_on(answer.page) or "no such answer" in sentence_on(answer.page)


@pytest.fixture(scope="module")
def waiting_web(tmp_path_factory, redis: Broker, worker: psutil.Process) -> Iterator[str]:
    """A web process that sends everybody to a page of their own at once."""
    with web(redis, redis, tmp_path_factory.mktemp("web") / "uploads", BIRD_RESULT_WAIT="0") as address:
        yield address


def test_of_several_photos_in_one_form_only_the_first_is_waited_for_in_vain(
    tmp_path, redis, worker, network, goldfinch
):
    photos = [goldfinch, colored_photo(1), colored_photo(2)]
    parts = [form(photo, "bird.jpg").removesuffix(b"--f9d2c7--\r\n") for photo in photos]
    (child,) = worker.children()
    with web(redis, redis, tmp_path / "uploads", BIRD_RESULT_WAIT="2") as address:
        child.suspend()
        begun = time.monotonic()
        try:
            request = urllib.request.Request(address, b"".join(parts) + b"--f9d2c7--\r\n", servers.FORM_HEADERS)
            with urllib.request.urlopen(request, timeout=60) as answer:
                page = answer.read().decode()
        finally:
            child.resume()
        assert 2 < time.monotonic() - begun < 4
        own_pages = re.findall(r'<a href="(/identifications/[^"]+)">', page)
        assert len(own_pages) == page.count("data-pending") == 3
        for own_page, photo in zip(own_pages, photos, strict=True):
            answered = follow(address, Answer(303, {"Location": own_page}, ""))
            assert candidates_on(answered.page) == candidates_of(network, photo)


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
def test_a_card_that_waits_becomes_the_answer(browser, waiting_web, worker, network, goldfinch, tmp_path, script):
    photo = tmp_path / "goldfinch.jpg"
    photo.write_bytes(goldfinch)
    (child,) = worker.children()
    with browser.new_context(java_script_enabled=script) as context:
        page = context.new_page()
        complaints = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(waiting_web)
        child.suspend()
        try:
            page.get_by_label("A photo of a bird").set_input_files(photo)
            if not script:
                page.get_by_role("button", name="Name the bird").click()
            expect(page.get_by_role("heading", name="Your photo is in line.")).to_be_visible()
            assert ("/identifications/" in page.url) is not script
            own_page = page.get_by_role("link", name="A page of its own").get_attribute("href")
            expect(page.get_by_alt_text("The photo you sent")).to_be_visible()
            page.wait_for_timeout(2500)  # it asks again meanwhile
            expect(page.get_by_role("heading", name="Your photo is in line.")).to_be_visible()
        finally:
            child.resume()
        (label, *_rest) = network.classify(open_photo(io.BytesIO(goldfinch)).pixels()).candidates
        expect(page.get_by_text(f"Predicted : {label.label}")).to_be_attached(timeout=15_000)
        expect(page.get_by_role("heading", name="Your photo is in line.")).to_have_count(0)
        if script:
            expect(page.get_by_role("article", name="goldfinch.jpg").locator(".name")).to_have_text("goldfinch.jpg")
        page.goto(waiting_web + own_page)
        expect(page.get_by_label("Another photo")).to_be_visible()
        expect(page.get_by_text(f"Predicted : {label.label}")).to_be_attached()  # it is kept
        assert complaints == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"BIRD_QUEUE_URL": "localhost"}, "BIRD_QUEUE_URL must be the address of a Redis"),
        ({"BIRD_QUEUE_URL": "amqp://guest:secret@localhost"}, "BIRD_RESULT_URL is needed"),
        ({"BIRD_QUEUE_URL": "redis://:top@secret#1@localhost"}, "In a password, write @ as %40, # as %23,"),
        ({"BIRD_QUEUE_URL": "redis://:secret@localhost", "BIRD_RESULT_URL": "db+sqlite:///x"}, "BIRD_RESULT_URL must"),
        ({"BIRD_QUEUE_URL": "redis://localhost", "BIRD_RESULT_WAIT": "soon"}, "BIRD_RESULT_WAIT must be a number"),
        ({"BIRD_RESULT_WAIT": "-1"}, "BIRD_RESULT_WAIT must be a number of seconds from 0 to 20, not -1."),
    ],
)
def test_a_setting_of_the_queue_that_cannot_be_used_stops_the_start(uploads, settings, sentence):
    failed = servers.start_and_fail(uploads, port=servers.free_port(), **settings)
    (line,) = failed.stderr.splitlines()
    assert sentence in line
    assert "secret" not in line
    assert failed.returncode == 4
