"""jobs/client.py: what becomes of a job that no worker answers, or answers in a way that cannot be read."""

import base64
import json
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import boto3
import numpy as np
import pytest
from redis import Redis

from inference import Candidate, Identification
from inference.engine import EngineInfo
from inference.input_range import InputRange
from inference.options import EngineName, Precision
from inference.regions import Region
from jobs.celery_config import celery_app
from jobs.client import RemoteClassifier
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError, UnknownJobError
from jobs.messages import VERSION, decode_picture, decode_pixels, encode_identification
from jobs.pending import PendingJob, Position
from jobs.queue_state import WorkerInfo
from jobs.store import WORKERS, JobStore
from jobs.tokens import count_tokens, send_missing_tokens
from tests.support import brokers
from tests.support.brokers import Broker
from tests.support.servers import until

BLACK = np.zeros((224, 224, 3), dtype="uint8")
NOISE = np.random.default_rng(6).integers(0, 256, (224, 224, 3), dtype="uint8")  # cannot be compressed
WORKER = WorkerInfo("nobody", "", 2)  # so that a job is accepted
TOKEN_SIZE = 2000  # bytes; SQS bills each 64 kB
ANSWER = Identification("Sora", 0.75, (Candidate("Sora", 0.75),), "c0ffee", 0.04)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis."""
    with brokers.started(brokers.redis(tmp_path_factory.mktemp("redis"))) as broker:
        yield broker


@pytest.fixture
def redis(server: Broker) -> Redis:
    """The data of that Redis: a worker, and nothing else."""
    redis = Redis.from_url(server.url)
    redis.flushdb()
    JobStore(server.url).heartbeat(WORKER)
    return redis


@pytest.fixture
def client(server: Broker, redis: Redis) -> RemoteClassifier:
    """A classifier for which two jobs may wait, and which waits for no answer."""
    return client_of(server, server)


def client_of(broker: Broker, results: Broker) -> RemoteClassifier:
    return RemoteClassifier(broker.url, results.url, labels=(), max_waiting=2, result_wait=0)


def pending_job(client: RemoteClassifier) -> str:
    """The ID of a job that has been sent and is not answered."""
    pending = client.classify(BLACK)
    assert isinstance(pending, PendingJob)
    return pending.id


def store_meta(redis: Redis, job_id: str, status: str, result: object) -> None:
    """Store what a worker stores when a job has ended."""
    meta = {"status": status, "result": result, "traceback": None, "children": [], "task_id": job_id}
    redis.set(f"celery-task-meta-{job_id}", json.dumps(meta))


def test_a_job_that_waits_is_a_value_with_a_position(client):
    first, second = pending_job(client), pending_job(client)
    client.keep_thumbnail(second, b"\xff\xd8")
    assert client.look_up(first) == (b"", Position(0, 1))
    assert client.look_up(second) == (b"\xff\xd8", Position(1, 1))


def test_it_classifies_as_many_photos_at_once_as_may_wait_and_one_more(client):
    assert (client.batch_size, client.concurrency) == (1, 3)
    for _ in range(client.concurrency):
        client.check()
        pending_job(client)
    with pytest.raises(BusyError):
        client.check()
    with pytest.raises(BusyError):
        client.classify(BLACK)


def test_how_the_network_runs_is_known_if_all_workers_say_the_same(client, redis, server):
    assert client.engine_info() is None  # an earlier release says nothing
    redis.delete(WORKERS)
    store = JobStore(server.url)
    compiled = EngineInfo(EngineName.ONNX, Precision.INT8, "CPU", InputRange.ZERO_TO_ONE)
    as_saved = replace(compiled, engine=EngineName.TENSORFLOW, precision=Precision.FLOAT32)
    for name, said, meant in [("a", compiled, compiled), ("b", compiled, compiled), ("c", as_saved, None)]:
        store.heartbeat(WorkerInfo(name, "", 2, said))
        assert client.engine_info() == meant


def test_an_answer_is_found_again_and_again(client, redis):
    job_id = pending_job(client)
    store_meta(redis, job_id, "SUCCESS", encode_identification(ANSWER))
    assert [client.look_up(job_id)[1] for _ in range(2)] == [ANSWER, ANSWER]


def test_an_answer_is_about_the_region_whose_pixels_were_sent(client, redis):
    regions = [Region(0.25, 0.1, 0.5, 0.4), Region(1 / 3, 2 / 3, 2 / 3, 1 / 3)]
    for region in regions:
        pending = client.classify(BLACK, region=region)
        store_meta(redis, pending.id, "SUCCESS", encode_identification(ANSWER))
        found = [client.look_up(pending.id)[1] for _ in range(2)]
        assert found == [replace(ANSWER, region=found[0].region)] * 2
        assert astuple(found[0].region) == pytest.approx(astuple(region), abs=1e-4)


def test_an_answer_to_a_whole_photo_is_about_the_region_that_the_worker_found(client, redis):
    job_id = pending_job(client)
    found = replace(ANSWER, region=Region(0.5, 0.5, 0.25, 0.25), others=(replace(ANSWER, activation=((1.0,),)),))
    store_meta(redis, job_id, "SUCCESS", encode_identification(found))
    assert client.look_up(job_id)[1] == found


def test_the_picture_of_a_job_is_in_redis_and_not_in_the_message(client, redis):
    picture = np.repeat(np.repeat(NOISE, 8, axis=0), 8, axis=1)
    pending = client.classify(NOISE, picture=picture)
    later = pending_job(client)
    assert client.keep_picture(later, picture)
    pictures = [decode_picture(redis.get(f"{{birds}}:picture:{job_id}")) for job_id in (pending.id, later)]
    assert [each.shape for each in pictures] == [picture.shape, picture.shape]
    assert max(len(message) for message in redis.lrange("birds", 0, -1)) < TOKEN_SIZE
    for job_id in (pending.id, later):
        client.drop(job_id)
    assert redis.keys("*picture*") == []


def test_a_picture_that_a_worker_has_missed_is_too_late(client, server):
    job_id = pending_job(client)
    assert JobStore(server.url).picture(job_id) == b""  # as the worker asks for it
    assert not client.keep_picture(job_id, NOISE)


def test_an_answer_of_an_earlier_release_that_says_less_is_found(client, redis):
    job_id = pending_job(client)
    known = ("label", "confidence", "candidates", "model", "seconds")
    store_meta(redis, job_id, "SUCCESS", {name: encode_identification(ANSWER)[name] for name in known})
    assert client.look_up(job_id)[1] == ANSWER


def test_a_job_that_failed_is_told_from_one_that_was_lost(client, redis):
    failed, lost = pending_job(client), pending_job(client)
    store_meta(redis, failed, "FAILURE", {"exc_type": "FailedError", "exc_module": "jobs", "exc_message": []})
    with pytest.raises(JobFailedError):
        client.look_up(failed)
    redis.zrem("{birds}:line", lost)  # as if no worker had ever got it
    with pytest.raises(JobLostError):
        client.look_up(lost)


@pytest.mark.parametrize("result", [{"species": "Sora"}, [], "Sora", 7, None])
def test_an_answer_of_another_release_that_cannot_be_read_is_lost(client, redis, result):
    job_id = pending_job(client)
    store_meta(redis, job_id, "SUCCESS", result)
    with pytest.raises(JobLostError):
        client.look_up(job_id)


def test_an_answer_that_is_no_json_is_lost(client, redis):
    job_id = pending_job(client)
    redis.set(f"celery-task-meta-{job_id}", b"\x80\x05N.")
    with pytest.raises(JobLostError):
        client.look_up(job_id)


def test_a_job_that_is_dropped_is_unknown(client):
    job_id = pending_job(client)
    client.drop(job_id)
    with pytest.raises(UnknownJobError):
        client.look_up(job_id)


def test_a_job_that_the_broker_does_not_take_leaves_nothing_behind(tmp_path: Path, server, redis):
    broker = brokers.redis(tmp_path)  # never started
    with pytest.raises(UnavailableError) as error:
        client_of(broker, server).classify(BLACK)
    assert error.value.reason == "the broker of BIRD_QUEUE_URL does not answer"
    assert set(redis.keys()) == {b"{birds}:workers", b"{birds}:counts", b"{birds}:rounds"}


def test_a_job_whose_redis_goes_away_while_it_is_sent_is_refused(client, monkeypatch):
    # A mock, since Redis would have to go away within the millisecond between two calls.
    def lose(_job_id: str) -> None:
        raise RuntimeError("Retry limit exceeded while trying to reconnect to the Celery result store backend.")

    monkeypatch.setattr(client._backend.result_consumer, "consume_from", lose)
    with pytest.raises(UnavailableError):
        client.classify(np.zeros((224, 224, 3), np.uint8), wait=0)
    assert client.state().waiting == 0


def test_the_message_of_a_job_is_a_small_token_that_says_its_version(tmp_path, server, redis):
    with brokers.started(brokers.sqs(tmp_path)) as broker:
        pending = client_of(broker, server).classify(NOISE)
        queue = boto3.resource(
            "sqs",
            endpoint_url=f"http://127.0.0.1:{broker.port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        ).get_queue_by_name(QueueName="birds")
        (message,) = queue.receive_messages()
    assert len(message.body) < TOKEN_SIZE
    assert pending.id not in message.body
    arguments, options, _ = json.loads(json.loads(message.body)["body"])
    assert (arguments, options) == ([], {"version": VERSION})
    np.testing.assert_array_equal(decode_pixels(redis.get(f"{{birds}}:pixels:{pending.id}")), NOISE)


@pytest.mark.parametrize("kind", brokers.BROKERS)
def test_only_tokens_that_the_broker_does_not_have_are_sent_again(tmp_path, kind):
    with brokers.started(brokers.BROKERS[kind](tmp_path)) as broker:
        brokers.make_as_new(broker)
        app = celery_app(broker.url, "redis://", for_web=True)
        assert count_tokens(app) == 0
        assert send_missing_tokens(app, waiting=3) == 3
        until(lambda: count_tokens(app) == 3)
        assert [send_missing_tokens(app, waiting) for waiting in (2, 3, 5)] == [0, 0, 2]
        until(lambda: count_tokens(app) == 5)
        app.close()


def test_while_a_worker_is_of_the_release_before_a_message_holds_the_pixels_and_the_id(client, redis, server):
    JobStore(server.url)._call("heartbeat", json.dumps({"name": "b@birds", "model": "", "labels": 2}))
    job_id = pending_job(client)
    message = json.loads(redis.lindex("birds", 0))
    (pixels,), options, _ = json.loads(message["body"])
    assert message["headers"]["id"] == job_id
    assert options == {}
    np.testing.assert_array_equal(decode_pixels(base64.b64decode(pixels)), BLACK)
