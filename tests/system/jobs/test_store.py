"""jobs/store.py: the job store that web processes and workers share, in a real Redis."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from inference.engine import EngineInfo
from inference.input_range import InputRange
from inference.options import EngineName, Precision
from jobs import MAX_TRIES, store
from jobs.errors import BusyError, JobLostError, UnavailableError, UnknownJobError
from jobs.pending import Position
from jobs.retry_after import INITIAL_SERVICE_TIME
from jobs.store import JobStore, WorkerInfo
from tests.support import brokers
from tests.support.brokers import Broker

WORKER = WorkerInfo("a@birds", "c0ffee", 121)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis."""
    with brokers.started(brokers.redis(tmp_path_factory.mktemp("redis"))) as broker:
        yield broker


@pytest.fixture
def jobs(redis: Broker) -> JobStore:
    """A job store with a worker, and without jobs."""
    jobs = JobStore(redis.url)
    jobs._redis.flushdb()
    jobs.heartbeat(WORKER)
    return jobs


def test_of_a_thousand_jobs_at_once_as_many_are_added_as_may_wait(jobs):
    def add(number: int) -> str:
        try:
            jobs.add(f"job {number}", 32)
        except BusyError as error:
            return str(error).partition(". ")[0]
        return "added"

    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(add, range(1000)))
    assert Counter(answers) == {"added": 33, "The app is busy: 33 photos are in line": 967}
    assert jobs.state().waiting == 33


def test_a_job_has_a_position_and_an_estimated_time(jobs):
    for number in range(21):
        jobs.add(f"job {number}", 100)
    assert jobs.position("job 0") == Position(0, 1)
    assert jobs.position("job 20") == Position(20, 3)  # 21 times the initial service time
    jobs.begin("job 0")
    jobs.drop("job 1")
    assert jobs.position("job 0").ahead is None
    assert jobs.position("job 20").ahead == 18
    with pytest.raises(UnknownJobError):
        jobs.position("job 1")


def test_the_mean_service_time_is_that_of_all_workers_together(jobs):
    for number in range(100):
        jobs.add(f"job {number}", 200)
    begun = time.monotonic()
    for number in range(100):
        jobs.begin(f"job {number}")
        time.sleep(0.01)
        jobs.finish(f"job {number}")
    each = (time.monotonic() - begun) / 100
    assert jobs.state().mean_service_time == pytest.approx(each, rel=0.3, abs=0.003)


def test_a_job_that_is_begun_makes_room_for_another(jobs):
    jobs.add("first", 0)
    with pytest.raises(BusyError):
        jobs.add("second", 0)
    with pytest.raises(BusyError):
        jobs.state().check(0)
    assert jobs.begin("first") == 1
    jobs.add("second", 0)


def test_the_tries_of_a_job_are_counted_and_a_job_that_is_done_or_dropped_is_not_tried(jobs):
    jobs.add("job", 5)
    assert [jobs.begin("job") for _ in range(MAX_TRIES + 1)] == list(range(1, MAX_TRIES + 2))
    jobs.finish("job")
    assert jobs.begin("job") == 0
    jobs.add("given up", 5)
    jobs.drop("given up")
    assert jobs.begin("given up") == 0
    assert jobs.begin("never heard of") == 0
    jobs.finish("never heard of")
    with pytest.raises(UnknownJobError):
        jobs.position("never heard of")


def test_a_job_whose_message_was_lost_does_not_keep_its_position_for_ever(jobs, monkeypatch):
    jobs.add("lost", 0)
    monkeypatch.setattr(store, "LONGEST_WAIT", 0.1)
    time.sleep(0.2)
    assert jobs.begin("lost") == 0
    jobs.add("next", 0)
    monkeypatch.setattr(store, "LOST_AFTER", 0.1)
    with pytest.raises(JobLostError):
        jobs.position("lost")


def test_no_job_is_added_that_would_wait_too_long(jobs, monkeypatch):
    monkeypatch.setattr(store, "LONGEST_WAIT", 0.5)  # seconds, at first for five photos
    for number in range(6):
        jobs.add(f"job {number}", 100)
    with pytest.raises(BusyError):
        jobs.add("job 6", 100)
    with pytest.raises(BusyError):
        jobs.state().check(100)


def test_a_job_whose_answer_was_fetched_goes_soon_and_still_counts_for_the_mean_service_time(jobs):
    jobs.add("job", 5)
    jobs.begin("job")
    time.sleep(0.2)
    jobs.mark_fetched("job")
    jobs.finish("job")
    assert jobs.state().mean_service_time > INITIAL_SERVICE_TIME
    assert 0 < jobs._redis.ttl("{birds}:job:job") <= 5


def test_a_worker_without_heartbeat_counts_as_gone(jobs, monkeypatch):
    assert jobs.state().workers == (WORKER,)
    other = WorkerInfo("b@birds", "decaf", 5)
    jobs.heartbeat(other)
    jobs.heartbeat(other)
    assert set(jobs.state().workers) == {WORKER, other}
    jobs.remove_worker(other)
    assert jobs.state().workers == (WORKER,)
    monkeypatch.setattr(store, "HEARTBEAT_TIMEOUT", 0.1)
    time.sleep(0.2)
    for ask in (lambda: jobs.add("job", 5), lambda: jobs.state().check(5)):
        with pytest.raises(UnavailableError) as error:
            ask()
        assert error.value.reason == "no worker is there"
    assert jobs.state().waiting == 0


ENGINE = EngineInfo(EngineName.ONNX, Precision.INT8, "CPU", InputRange.ZERO_TO_255)


@pytest.mark.parametrize(
    ("more", "engine"),
    [
        ({}, None),
        ({"input_range": "0-255"}, None),
        ({"engine": {**asdict(ENGINE), "later": "release"}, "later": "release"}, ENGINE),
        ({"engine": {**asdict(ENGINE), "input_range": "0-65535"}}, None),
        ({"engine": {**asdict(ENGINE), "precision": "int4"}}, None),
        ({"engine": "of a later release"}, None),
    ],
)
def test_a_worker_of_another_release_may_say_less_or_more(jobs, more, engine):
    jobs._heartbeat([store.WORKERS], [json.dumps({"name": "b@birds", "model": "decaf", "labels": 5, **more})])
    assert set(jobs.state().workers) == {WORKER, WorkerInfo("b@birds", "decaf", 5, engine)}


def test_a_thumbnail_is_kept_with_the_job_and_both_for_an_hour(jobs):
    jobs.add("job", 5)
    assert jobs.thumbnail("job") == b""
    jobs.keep_thumbnail("job", b"\xff\xd8")
    assert jobs.thumbnail("job") == b"\xff\xd8"
    assert 3590 < jobs._redis.ttl("{birds}:job:job") <= 3600
    jobs.drop("job")
    jobs.keep_thumbnail("job", b"late")
    with pytest.raises(UnknownJobError):
        jobs.position("job")
    assert 3590 < jobs._redis.ttl("{birds}:job:job") <= 3600


def test_a_picture_is_kept_until_the_job_is_done_or_dropped(jobs):
    for end in (jobs.finish, jobs.drop):
        jobs.add("job", 5)
        assert jobs.keep_picture("job", b"\xff\xd8")
        assert jobs.picture("job") == b"\xff\xd8"
        assert 0 < jobs._redis.ttl("{birds}:picture:job") <= store.LOST_AFTER
        end("job")
        assert not jobs._redis.exists("{birds}:picture:job")
        jobs.drop("job")


def test_a_picture_is_not_kept_for_a_job_that_needs_none_any_more(jobs):
    jobs.add("done", 5)
    jobs.finish("done")
    for job_id in ("done", "never heard of"):
        assert jobs.keep_picture(job_id, b"\xff\xd8")  # it is not too late for a worker that was not sure
        assert jobs.picture(job_id) == b""
    assert not jobs._redis.exists("{birds}:job:never heard of")


def test_a_picture_comes_too_late_if_a_worker_has_asked_for_it(jobs):
    jobs.add("job", 5)
    assert jobs.picture("job") == b""
    assert not jobs.keep_picture("job", b"\xff\xd8")
    jobs.finish("job")
    assert not jobs.keep_picture("job", b"\xff\xd8")
    assert jobs.picture("job") == b""
    assert 3590 < jobs._redis.ttl("{birds}:job:job") <= 3600


def test_the_mean_service_time_is_assumed_until_a_job_is_done(jobs):
    assert jobs.state().mean_service_time == INITIAL_SERVICE_TIME


def test_a_redis_that_is_gone_frozen_or_back_is_noticed_at_once(tmp_path: Path):
    with brokers.started(brokers.redis(tmp_path)) as redis:
        jobs = JobStore(redis.url)
        jobs.heartbeat(WORKER)
        redis.stop()
        with pytest.raises(UnavailableError) as error:
            jobs.add("job", 5)
        assert error.value.reason == "the Redis of BIRD_RESULT_URL does not answer"
        redis.start()
        jobs.heartbeat(WORKER)
        jobs.add("job", 5)
        assert jobs.position("job") == Position(0, 1)
        redis.freeze()
        begun = time.monotonic()
        with pytest.raises(UnavailableError):
            jobs.state()
        assert time.monotonic() - begun < 10
        redis.thaw()
        assert jobs.state().waiting == 1
