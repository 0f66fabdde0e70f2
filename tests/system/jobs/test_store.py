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
from jobs.messages import VERSION, encode_result
from jobs.pending import Position
from jobs.queue_state import EVENTS, WorkerInfo
from jobs.retry_after import INITIAL_SERVICE_TIME
from jobs.sender import BATCH_TURN, Sender
from jobs.store import JobStore, TakenJob
from tests.support import brokers
from tests.support.brokers import Broker

WORKER = WorkerInfo("a@birds", "c0ffee", 121)
PIXELS = b"RIFF"
RESULT = encode_result("job", {})
PICTURE = "{birds}:picture:job"
KEPT_FOR_JOBS = (b"birds}:job", b"turns", b"line", b"shares")  # parts of keys


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


def left_of_jobs(jobs: JobStore) -> set[str]:
    """The keys of jobs that are in Redis."""
    return {key.decode() for key in jobs._redis.keys("*") if any(name in key for name in KEPT_FOR_JOBS)}


def test_of_a_thousand_jobs_at_once_as_many_are_added_as_may_wait(jobs):
    def add(number: int) -> str:
        try:
            jobs.add(f"job {number}", PIXELS, 32)
        except BusyError as error:
            return str(error).partition(". ")[0]
        return "added"

    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(add, range(1000)))
    assert Counter(answers) == {"added": 33, "The app is busy: 33 photos are in line": 967}
    assert jobs.state().waiting == 33


def test_many_threads_that_are_busy_with_other_things_find_the_redis_too(jobs):
    def call_now_and_then(_number: int) -> None:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            jobs.check(32)
            sum(1 for _ in range(60_000))  # they wait for one another

    with ThreadPoolExecutor(64) as threads:
        assert len(list(threads.map(call_now_and_then, range(64)))) == 64


def test_a_job_has_a_position_and_an_estimated_time(jobs):
    for number in range(21):
        jobs.add(f"job {number}", PIXELS, 100)
    assert jobs.position("job 0") == Position(0, 1)
    assert jobs.position("job 20") == Position(20, 3)  # 21 times the initial service time
    assert jobs.take("token") == TakenJob("job 0", 1, PIXELS)
    jobs.drop("job 1")
    assert jobs.position("job 0").ahead is None
    assert jobs.position("job 20").ahead == 18
    with pytest.raises(UnknownJobError):
        jobs.position("job 1")


def test_the_mean_service_time_is_that_of_all_workers_together(jobs):
    for number in range(100):
        jobs.add(f"job {number}", PIXELS, 200)
    begun = time.monotonic()
    for number in range(100):
        jobs.take(f"token {number}")
        time.sleep(0.01)
        jobs.finish(f"job {number}", RESULT)
    each = (time.monotonic() - begun) / 100
    assert jobs.state().mean_service_time == pytest.approx(each, rel=0.3, abs=0.003)


def test_a_job_that_is_begun_makes_room_for_another(jobs):
    jobs.add("first", PIXELS, 0)
    with pytest.raises(BusyError):
        jobs.add("second", PIXELS, 0)
    with pytest.raises(BusyError):
        jobs.check(0)
    assert jobs.take("token").id == "first"
    jobs.add("second", PIXELS, 0)


def test_the_tries_of_a_job_are_counted_and_a_job_that_is_done_or_dropped_is_not_tried(jobs):
    jobs.add("job", PIXELS, 5)
    assert [jobs.take("token").tries for _ in range(MAX_TRIES + 1)] == list(range(1, MAX_TRIES + 2))
    jobs.finish("job", RESULT)
    jobs.add("given up", PIXELS, 5)
    jobs.drop("given up")
    for job_id in ("job", "given up", "never heard of"):
        jobs.give_back(TakenJob(job_id, 1, PIXELS))
        jobs.renew(job_id)
        assert jobs.take_this(job_id, PIXELS) is None
    assert jobs.take("token") is jobs.take("another") is None
    jobs.finish("never heard of", RESULT)
    with pytest.raises(UnknownJobError):
        jobs.position("never heard of")
    assert left_of_jobs(jobs) == {"{birds}:job:job"}


def test_a_job_that_nobody_takes_does_not_keep_its_position_for_ever(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "LONGEST_WAIT", 0.1)
    monkeypatch.setattr(store, "LOST_AFTER", 1)
    jobs = JobStore(redis.url)
    jobs.add("lost", PIXELS, 0)
    time.sleep(0.2)
    jobs.add("next", PIXELS, 0)
    assert jobs.take("token").id == "next"
    assert jobs.take("token 2") is None
    time.sleep(1)
    with pytest.raises(JobLostError):
        jobs.position("lost")


def test_a_job_whose_worker_was_lost_late_is_tried_again(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "LONGEST_WAIT", 0.3)
    monkeypatch.setattr(store, "LOST_AFTER", 1)
    monkeypatch.setattr(store, "LEASE", 0.1)
    jobs = JobStore(redis.url)
    jobs.add("job", PIXELS, 5)
    jobs.take("token")
    time.sleep(0.4)
    assert jobs.heartbeat(WORKER) == 1
    assert jobs.state().waiting == 1
    again = jobs.take("another token")
    assert again == TakenJob("job", 2, PIXELS)
    jobs.give_back(again)
    time.sleep(0.7)
    assert jobs.state().waiting == 0
    assert jobs.take("third token") is None


def test_a_client_whose_jobs_all_went_unanswered_can_send_again(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "LONGEST_WAIT", 0.1)
    jobs = JobStore(redis.url)
    for _ in range(2):
        jobs.add("job 1", PIXELS, 3, Sender("somebody"))
        jobs.add("job 2", PIXELS, 3, Sender("somebody"))
        with pytest.raises(BusyError):
            jobs.add("job 3", PIXELS, 3, Sender("somebody"))
        time.sleep(0.2)


def test_no_job_is_added_that_would_wait_too_long(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "ACCEPTABLE_WAIT", 0.5)  # seconds, at first for five photos
    jobs = JobStore(redis.url)
    for number in range(6):
        jobs.add(f"job {number}", PIXELS, 100)
    with pytest.raises(BusyError):
        jobs.add("job 6", PIXELS, 100)
    with pytest.raises(BusyError):
        jobs.check(100)


def test_a_job_whose_answer_was_fetched_goes_soon_and_still_counts_for_the_mean_service_time(jobs):
    jobs.add("job", PIXELS, 5)
    jobs.take("token")
    time.sleep(0.2)
    jobs.mark_fetched("job")
    jobs.finish("job", RESULT)
    assert jobs.state().mean_service_time > INITIAL_SERVICE_TIME
    assert 0 < jobs._redis.ttl("{birds}:job:job") <= 5


def test_a_worker_without_heartbeat_counts_as_gone(redis, jobs, monkeypatch):
    assert jobs.state().workers == (WORKER,)
    other = WorkerInfo("b@birds", "decaf", 5)
    jobs.heartbeat(other)
    jobs.heartbeat(other)
    assert set(jobs.state().workers) == {WORKER, other}
    jobs.remove_worker(other)
    assert jobs.state().workers == (WORKER,)
    monkeypatch.setattr(store, "HEARTBEAT_TIMEOUT", 0.1)
    jobs = JobStore(redis.url)
    time.sleep(0.2)
    for ask in (lambda: jobs.add("job", PIXELS, 5), lambda: jobs.check(5)):
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
    jobs._call("heartbeat", json.dumps({"name": "b@birds", "model": "decaf", "labels": 5, **more}))
    assert set(jobs.state().workers) == {WORKER, WorkerInfo("b@birds", "decaf", 5, engine, version=1)}


def test_a_thumbnail_is_kept_with_the_job_and_both_for_an_hour(jobs):
    jobs.add("job", PIXELS, 5)
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
    for end in (lambda job_id: jobs.finish(job_id, RESULT), jobs.drop):
        jobs.add("job", PIXELS, 5)
        assert jobs.keep_picture("job", b"\xff\xd8")
        assert jobs.picture("job") == b"\xff\xd8"
        assert 0 < jobs._redis.ttl(PICTURE) <= store.LOST_AFTER
        end("job")
        assert not jobs._redis.exists(PICTURE)
        jobs.drop("job")


def test_a_picture_is_not_kept_for_a_job_that_needs_none_any_more(jobs):
    jobs.add("done", PIXELS, 5)
    jobs.finish("done", RESULT)
    for job_id in ("done", "never heard of"):
        assert jobs.keep_picture(job_id, b"\xff\xd8")  # it is not too late for a worker that was not sure
        assert jobs.picture(job_id) == b""
    assert not jobs._redis.exists("{birds}:job:never heard of")


def test_a_picture_comes_too_late_if_a_worker_has_asked_for_it(jobs):
    jobs.add("job", PIXELS, 5)
    assert jobs.picture("job") == b""
    assert not jobs.keep_picture("job", b"\xff\xd8")
    jobs.finish("job", RESULT)
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
            jobs.add("job", PIXELS, 5)
        assert error.value.reason == "the Redis of BIRD_RESULT_URL does not answer"
        redis.start()
        jobs.heartbeat(WORKER)
        jobs.add("job", PIXELS, 5)
        assert jobs.position("job") == Position(0, 1)
        redis.freeze()
        begun = time.monotonic()
        with pytest.raises(UnavailableError):
            jobs.state()
        assert time.monotonic() - begun < 10
        redis.thaw()
        assert jobs.state().waiting == 1


def test_a_taken_job_is_handed_out_again_when_its_lease_ends_unless_it_is_renewed(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "LEASE", 0.3)
    jobs = JobStore(redis.url)
    for job_id in ("lost", "renewed"):
        jobs.add(job_id, PIXELS, 5)
        jobs.take(f"token of {job_id}")
    for _ in range(4):
        time.sleep(0.1)
        jobs.renew("renewed")
    assert jobs.heartbeat(WORKER) == 1  # so many tokens are needed
    assert jobs.position("lost") == Position(0, 1)
    assert jobs.take("another token") == TakenJob("lost", 2, PIXELS)
    assert jobs.take("a third") is None
    assert jobs.take("token of lost") is None
    jobs.finish("lost", RESULT)
    jobs.finish("renewed", RESULT)
    time.sleep(0.4)
    assert jobs.heartbeat(WORKER) == 0


def test_a_job_that_two_workers_do_has_one_answer(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "LEASE", 0.1)
    jobs = JobStore(redis.url)
    published = jobs._redis.pubsub(ignore_subscribe_messages=True)
    published.subscribe("celery-task-meta-job")
    published.get_message(timeout=5)
    jobs.add("job", PIXELS, 5)
    jobs.take("token")
    time.sleep(0.2)
    jobs.heartbeat(WORKER)
    jobs.take("another token")
    jobs.finish("job", RESULT)
    jobs.finish("job", encode_result("job", None), failed=True)
    assert jobs._redis.get("celery-task-meta-job").decode() == RESULT
    assert published.get_message(timeout=5)["data"].decode() == RESULT
    assert published.get_message(timeout=0.2) is None


def test_a_job_that_is_given_back_is_the_next_one(jobs):
    for number in range(3):
        jobs.add(f"job {number}", PIXELS, 5)
    taken = jobs.take("token")
    jobs.give_back(taken)
    assert jobs.position(taken.id) == Position(0, 1)
    assert [jobs.take(f"token {number}").id for number in range(3)] == ["job 0", "job 1", "job 2"]


def test_a_worker_that_has_lost_a_job_cannot_give_it_back(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "LEASE", 0.1)
    jobs = JobStore(redis.url)
    jobs.add("job", PIXELS, 5)
    lost = jobs.take("token")
    time.sleep(0.2)
    jobs.heartbeat(WORKER)
    assert jobs.take("another token") == TakenJob("job", 2, PIXELS)
    jobs.give_back(lost)
    assert jobs.take("third token") is None


def test_tokens_are_sent_again_if_jobs_wait_beside_an_idle_worker(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "TOKEN_LOST_AFTER", 0.2)
    jobs = JobStore(redis.url)
    for number in range(3):
        jobs.add(f"job {number}", PIXELS, 5)
    assert jobs.heartbeat(WORKER) == 0  # a token may be on its way
    time.sleep(0.3)
    assert jobs.heartbeat(WORKER) == 3
    assert jobs.heartbeat(WORKER) == 0  # they are on their way
    jobs.take("token")
    time.sleep(0.3)
    assert jobs.heartbeat(WORKER) == 0  # the worker is not idle
    jobs.heartbeat(WorkerInfo("b@birds", "c0ffee", 121))
    time.sleep(0.3)
    assert jobs.heartbeat(WORKER) == 2


def test_people_go_before_batches_of_which_one_in_five_leaves(jobs):
    for number in range(8):
        jobs.add(f"batch {number}", PIXELS, 50, Sender("folder", is_batch=True))
        jobs.add(f"person {number}", PIXELS, 50, Sender("phone"))
    assert jobs.position("person 7") == Position(7, 1)
    assert jobs.position("batch 0") == Position(8, 1)
    order = [jobs.take(f"token {number}").id.partition(" ")[0] for number in range(16)]
    assert BATCH_TURN == 5
    assert order == (["person"] * 4 + ["batch"]) + ["person"] * 4 + ["batch"] * 7


@pytest.mark.parametrize("is_batch", [True, False])
def test_clients_take_turns(jobs, is_batch):
    for number in range(4):
        jobs.add(f"many {number}", PIXELS, 50, Sender("many", is_batch))
    jobs.add("few 0", PIXELS, 50, Sender("few", is_batch))
    jobs.add("few 1", PIXELS, 50, Sender("few", is_batch))
    assert jobs.take("token").id == "many 0"
    jobs.add("one 0", PIXELS, 50, Sender("one", is_batch))
    order = [jobs.take(f"token {number}").id for number in range(6)]
    assert order == ["few 0", "many 1", "few 1", "one 0", "many 2", "many 3"]
    assert jobs.take("token 6") is None
    assert {key for key in left_of_jobs(jobs) if "turns" in key or "line" in key} == set()


def test_whoever_has_waited_long_goes_before_all_who_came_later(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "ACCEPTABLE_WAIT", 0.4)
    jobs = JobStore(redis.url)
    jobs.add("batch 0", PIXELS, 50, Sender("folder", is_batch=True))
    jobs.add("batch 1", PIXELS, 50, Sender("folder", is_batch=True))
    time.sleep(0.5)
    jobs.add("batch 2", PIXELS, 50, Sender("another folder", is_batch=True))
    jobs.add("person", PIXELS, 50, Sender("phone"))
    assert [jobs.take(f"token {number}").id for number in range(4)] == ["batch 0", "batch 1", "person", "batch 2"]
    assert {key for key in left_of_jobs(jobs) if "turns" in key or "line" in key} == set()


def test_one_client_may_have_half_of_the_places(jobs):
    for number in range(5):
        jobs.add(f"job {number}", PIXELS, 9, Sender("many"))
    with pytest.raises(BusyError, match=r"^5 photos from your address are still in line"):
        jobs.add("job 5", PIXELS, 9, Sender("many"))
    jobs.add("other", PIXELS, 9, Sender("few"))
    jobs.take("token")
    jobs.add("job 5", PIXELS, 9, Sender("many"))


@pytest.mark.parametrize("is_batch", [True, False])
def test_a_job_that_is_dropped_makes_room_for_another_of_its_client(jobs, is_batch):
    many, few = Sender("many", is_batch), Sender("few", is_batch)
    jobs.add("other", PIXELS, 9, few)
    for number in range(5):
        jobs.add(f"job {number}", PIXELS, 9, many)
    jobs.drop("job 0")
    jobs.add("job 5", PIXELS, 9, many)
    with pytest.raises(BusyError, match=r"^5 photos from your address are still in line"):
        jobs.add("job 6", PIXELS, 9, many)


def test_a_job_that_is_tried_again_takes_no_place_of_its_client(jobs):
    for number in range(5):
        jobs.add(f"job {number}", PIXELS, 9, Sender("many"))
    jobs.give_back(jobs.take("token"))
    jobs.add("job 5", PIXELS, 9, Sender("many"))
    for number in range(6):
        jobs.take(f"token {number}")
    assert {key for key in left_of_jobs(jobs) if "{birds}:job" not in key} == set()


def test_batches_leave_a_quarter_of_the_places_to_people(jobs):
    for number in range(9):
        jobs.add(f"job {number}", PIXELS, 11, Sender(f"program {number}", is_batch=True))
    with pytest.raises(BusyError, match=r"^The app is busy: 9 photos are in line"):
        jobs.add("job 9", PIXELS, 11, Sender("another", is_batch=True))
    for number in range(3):
        jobs.add(f"photo {number}", PIXELS, 11, Sender(f"person {number}"))
    with pytest.raises(BusyError, match=r"^The app is busy: 12 photos are in line"):
        jobs.add("photo 3", PIXELS, 11, Sender("person 3"))


def test_pixels_stay_until_the_job_is_answered(jobs):
    pixels = "{birds}:pixels:job"
    jobs.add("job", PIXELS, 5)
    job = jobs.take("token")
    assert 0 < jobs._redis.ttl(pixels) <= store.LOST_AFTER
    jobs.give_back(job)
    assert jobs._redis.get(pixels) == PIXELS
    jobs.finish("job", RESULT)
    assert not jobs._redis.exists(pixels)
    jobs.add("job", PIXELS, 5)
    jobs.drop("job")
    assert not jobs._redis.exists(pixels)


def test_a_job_of_the_release_before_is_taken_with_the_pixels_in_its_message(redis, jobs, monkeypatch):
    monkeypatch.setattr(store, "LEASE", 0.1)
    jobs = JobStore(redis.url)
    jobs._redis.zadd(store.WAITING, {"old": time.time()})
    jobs._redis.hset("{birds}:job:old", "entered", time.time())
    assert jobs.take("token") is None  # there are no pixels here yet
    assert jobs.take_this("old", PIXELS) == TakenJob("old", 1, PIXELS)
    time.sleep(0.2)
    assert jobs.heartbeat(WORKER) == 1
    assert jobs.take("token") == TakenJob("old", 2, PIXELS)
    assert jobs.take_this("old", PIXELS) is None  # another worker has it


def test_while_a_worker_is_of_the_release_before_the_broker_decides_whose_turn_it_is(jobs):
    assert jobs.add("job", PIXELS, 5) == VERSION
    assert jobs.take("token").id == "job"
    jobs._call("heartbeat", json.dumps({"name": "b@birds", "model": "decaf", "labels": 5}))
    for number in range(6):
        assert jobs.add(f"job {number}", PIXELS, 5, Sender("somebody")) == 1
        jobs._redis.zrem(store.WAITING, f"job {number}")  # as that worker does when it begins
    assert jobs.take("another token") is None


def test_what_happens_to_jobs_is_counted_with_its_times_and_rates(redis, jobs, monkeypatch):
    assert jobs.figures().counts == {**dict.fromkeys(EVENTS, 0), "wait_seconds": 0, "service_seconds": 0}
    for number in range(3):
        jobs.add(f"job {number}", PIXELS, 2, refused_elsewhere=2)
    with pytest.raises(BusyError):
        jobs.add("job 3", PIXELS, 2)
    with pytest.raises(BusyError):
        jobs.check(2)
    time.sleep(0.1)
    assert jobs.figures().oldest >= 0.1
    jobs.give_back(jobs.take("token"))
    jobs.finish(jobs.take("token").id, RESULT, 0.2)
    jobs.finish(jobs.take("token").id, RESULT, 0.4, failed=True)
    jobs.heartbeat(WorkerInfo("b@birds", "c0ffee", 121, processes=4))
    figures = jobs.figures()
    waited, worked = figures.counts.pop("wait_seconds"), figures.counts.pop("service_seconds")
    assert figures.counts == {"added": 3, "refused": 8, "started": 2, "answered": 1, "failed": 1, "handed_again": 1}
    assert 0.2 <= waited < 2
    assert worked == pytest.approx(0.6)
    assert 0.2 < figures.service_seconds < 0.4
    assert figures.workers == 5
    assert figures.added_per_second == pytest.approx(3 / store.RATE_WINDOW, rel=0.1)
    assert figures.refused_per_second == pytest.approx(8 / store.RATE_WINDOW, rel=0.1)
    monkeypatch.setattr(store, "RATE_WINDOW", 0.1)
    time.sleep(0.5)
    assert JobStore(redis.url).figures().added_per_second < 0.01
