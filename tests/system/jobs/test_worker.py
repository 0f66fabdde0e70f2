"""The worker, and what breaks it: every job is answered, or fails alone. No web process is needed."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from redis import Redis

from inference import LABELS_FILE
from jobs import TASK
from jobs.celery_config import celery_app
from jobs.errors import JobFailedError
from jobs.messages import VERSION
from jobs.store import JobStore
from jobs.tokens import send_token
from tests.support import brokers, servers
from tests.support.brokers import HANGS, KILLS, RAISES, Broker
from tests.support.servers import KERAS2, SMALL_NETWORK, together, until
from tests.support.split import client_of, gray, health, look_up_all, send

MODELS = servers.ROOT / "models"


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[psutil.Process, Broker]]:
    """A worker that some images break, and its Redis."""
    with (
        brokers.started(brokers.redis(tmp_path_factory.mktemp("breakable"))) as redis,
        brokers.worker(redis, redis, module="tests.support.breakable_worker", **SMALL_NETWORK) as worker,
    ):
        yield worker, redis


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_when_a_worker_is_killed_amid_200_jobs_all_are_answered_by_another(own_redis, broker_of, network, kind):
    broker = own_redis if kind == "redis" else broker_of(kind)
    client = client_of(broker, own_redis)
    with together(
        brokers.worker(broker, own_redis, **SMALL_NETWORK),
        brokers.worker(broker, own_redis, **SMALL_NETWORK),
    ) as (doomed, other):
        pool_processes = [*doomed.children(), *other.children()]
        for process in pool_processes:
            process.suspend()  # until all jobs are there
        job_ids = [send(client, gray(number)) for number in range(200)]
        for process in pool_processes:
            process.resume()
        until(lambda: client.state().waiting < 170)
        for process in [doomed, *doomed.children()]:
            process.kill()
        answers = look_up_all(client, job_ids, 120)
        until(lambda: len(client.state().workers) == 1)
    for number, answer in enumerate(answers):
        expected = network.classify(gray(number))
        assert answer.label == expected.label
        assert answer.confidence == pytest.approx(expected.confidence, abs=1e-4)


@pytest.mark.parametrize("breaks", [KILLS, HANGS, RAISES], ids=["kills", "hangs", "raises"])
def test_a_photo_that_breaks_the_network_is_tried_twice_and_fails_alone(breakable, breaks):
    worker, redis = breakable
    client = client_of(redis, redis)
    (pool_process,) = worker.children()
    pool_process.suspend()  # until all jobs are there
    before, poison, after = (send(client, gray(number)) for number in (100, breaks, 101))
    pool_process.resume()
    assert len(look_up_all(client, [before, after], 90)) == 2
    with pytest.raises(JobFailedError, match=r"failed on it twice\. Please try another photo\."):
        look_up_all(client, [poison], 90)
    # A process that is killed cannot say that it failed: this is seen when the job is begun for the third time.
    tries = Redis.from_url(redis.url).hget(f"{{birds}}:job:{poison}", "tries")
    assert int(tries) == (2 if breaks == RAISES else 3)
    assert worker.is_running()


def test_answers_that_find_no_redis_for_longer_than_a_try_may_take_are_not_lost(breakable):
    worker, redis = breakable
    client = client_of(redis, redis)
    (pool_process,) = worker.children()
    pool_process.suspend()  # until all jobs are there
    job_ids = [send(client, gray(number)) for number in range(100, 140)]
    pool_process.resume()
    until(lambda: client.state().waiting < 40)
    redis.stop()
    time.sleep(7)  # a try may take 3 here
    redis.start()
    assert len(look_up_all(client, job_ids, 90)) == 40


def test_a_job_or_a_message_of_the_release_before_that_is_no_image_fails_alone(redis, worker):
    client = client_of(redis, redis)
    for message in (["nonsense"], [7], [], [{"a": 1}], ["x", "y"]):
        job_id = f"job{len(str(message))}"
        brokers.send_version_1(redis, job_id, message)
        with pytest.raises(JobFailedError):
            look_up_all(client, [job_id], 30)
    JobStore(redis.url).add("job", b"nonsense", 300)
    send_token(celery_app(redis.url, redis.url))
    with pytest.raises(JobFailedError):
        look_up_all(client, ["job"], 30)
    assert client_of(redis, redis, result_wait=20).classify(gray(5)).label


def test_a_message_of_a_later_release_is_left_to_a_later_worker_and_keeps_no_job_waiting(own_redis):
    data = Redis.from_url(own_redis.url)
    later = {"version": VERSION + 1}
    celery_app(own_redis.url, own_redis.url).send_task(TASK, kwargs=later, task_id="later", ignore_result=True)
    with brokers.worker(own_redis, own_redis, **SMALL_NETWORK):
        client = client_of(own_redis, own_redis)
        assert look_up_all(client, [send(client, gray(5))], 30)
    assert data.llen("birds") + data.hlen("{birds}:unacked") == 1


def test_each_process_of_a_worker_has_a_network(own_redis, network):
    client = client_of(own_redis, own_redis)
    with brokers.worker(own_redis, own_redis, concurrency=2, **SMALL_NETWORK) as worker:
        first, second = worker.children()
        first.suspend()
        try:
            (answer,) = look_up_all(client, [send(client, gray(7))], 30)
        finally:
            first.resume()
        second.suspend()
        try:
            look_up_all(client, [send(client, gray(8))], 30)
        finally:
            second.resume()
    assert answer.label == network.classify(gray(7)).label


def test_a_worker_says_at_healthz_what_it_can_name(own_redis, network):
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"
    with brokers.worker(own_redis, own_redis, **SMALL_NETWORK, BIRD_HEALTH_PORT=str(port)):
        engine = {"name": "onnx", "precision": "float32", "device": "CPU"}
        expected = {"mode": "worker", "labels": len(network.labels), "model": network.sha256, "engine": engine}
        assert health(address) == (200, expected)
        own_redis.stop()
        until(lambda: health(address)[0] == 503)
        own_redis.start()
        until(lambda: health(address)[0] == 200)


def test_a_worker_whose_pair_was_replaced_ends_so_that_it_is_started_again(tmp_path, own_redis):
    pair = {"BIRD_MODEL": tmp_path / "model.h5", "BIRD_LABELS": tmp_path / "class_indices.npy"}
    for path in pair.values():
        shutil.copy(KERAS2 / path.name, path)
    with brokers.worker(own_redis, own_redis, **{name: str(path) for name, path in pair.items()}) as worker:
        shutil.copy(KERAS2 / "model.h5", tmp_path / "new.h5")
        (tmp_path / "new.h5").rename(tmp_path / "model.h5")
        (pool_process,) = worker.children()
        pool_process.kill()
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
        assert client_of(own_redis, own_redis).state().workers == ()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"BIRD_QUEUE_URL": ""}, "worker: BIRD_QUEUE_URL is not set."),
        ({"BIRD_PRECISION": "float16"}, "worker: BIRD_PRECISION must be"),
        ({"BIRD_HEALTH_PORT": "70000"}, "worker: BIRD_HEALTH_PORT must be a port"),
        ({"BIRD_MODEL": "/nowhere.h5"}, "worker: /nowhere.h5 is missing."),
        ({"BIRD_LABELS": str(MODELS / LABELS_FILE)}, "classes apart, but"),  # seen when the model is loaded
    ],
)
def test_a_worker_that_cannot_work_says_why_and_ends(redis, settings, sentence):
    environment = brokers.environment(redis, redis, **SMALL_NETWORK) | settings
    command = [sys.executable, "-m", "celery", "-A", "jobs.worker", "worker"]
    ended = subprocess.run(
        command, cwd=servers.ROOT, env=environment, capture_output=True, text=True, timeout=servers.START_LIMIT
    )
    assert ended.returncode == 4
    assert [line for line in ended.stderr.splitlines() if line.startswith("worker: ") and sentence in line]


def test_a_worker_imports_nothing_of_the_web(redis):
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, jobs.worker; print(*sys.modules)"],
        cwd=servers.ROOT,
        env=brokers.environment(redis, redis, **SMALL_NETWORK),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {"celery", "jobs.store"} <= set(loaded)
    assert not [name for name in loaded if name.partition(".")[0] in {"web", "application", "tensorflow", "keras"}]
