"""jobs/register.py: the line that web processes and workers share, in a real Redis."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inference.line import FIRST_GUESS, BusyError
from jobs import MAX_TRIES, LostError, UnavailableError, UnknownJobError, register
from jobs.register import Place, Register, Worker

from . import brokers
from .brokers import Broker

WORKER = Worker("a@birds", "c0ffee", 121)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis."""
    with brokers.started(brokers.redis(tmp_path_factory.mktemp("redis"))) as broker:
        yield broker


@pytest.fixture
def notes(redis: Broker) -> Register:
    """An empty register, with a worker in it."""
    notes = Register(redis.url)
    notes._redis.flushdb()
    notes.beat(WORKER)
    return notes


def test_of_a_thousand_who_come_at_once_as_many_get_in_as_may_wait(notes):
    def enter(number: int) -> str:
        try:
            notes.enter(f"job {number}", 32)
        except BusyError as error:
            return str(error).partition(". ")[0]
        return "entered"

    with ThreadPoolExecutor(50) as people:
        answers = list(people.map(enter, range(1000)))
    assert Counter(answers) == {"entered": 33, "The app is busy: 33 photos are in line": 967}
    assert notes.state().waiting == 33


def test_a_job_knows_how_many_are_before_it_and_how_long_it_should_take(notes):
    for number in range(21):
        notes.enter(f"job {number}", 100)
    assert notes.place("job 0") == Place(0, 1)
    assert notes.place("job 20") == Place(20, 3)  # 21 times the first guess
    notes.begin("job 0")
    notes.forget("job 1")
    assert notes.place("job 0").ahead is None
    assert notes.place("job 20").ahead == 18
    with pytest.raises(UnknownJobError):
        notes.place("job 1")


def test_the_pace_is_that_of_all_workers_together(notes):
    for number in range(100):
        notes.enter(f"job {number}", 200)
    begun = time.monotonic()
    for number in range(100):
        notes.begin(f"job {number}")
        time.sleep(0.01)
        notes.finish(f"job {number}")
    each = (time.monotonic() - begun) / 100
    assert notes.state().pace == pytest.approx(each, rel=0.3, abs=0.003)


def test_a_job_that_is_begun_makes_room_for_another(notes):
    notes.enter("first", 0)
    with pytest.raises(BusyError):
        notes.enter("second", 0)
    with pytest.raises(BusyError):
        notes.state().check(0)
    assert notes.begin("first") == 1
    notes.enter("second", 0)


def test_the_tries_of_a_job_are_counted_and_a_job_that_is_done_or_forgotten_is_not_tried(notes):
    notes.enter("job", 5)
    assert [notes.begin("job") for _ in range(MAX_TRIES + 1)] == list(range(1, MAX_TRIES + 2))
    notes.finish("job")
    assert notes.begin("job") == 0
    notes.enter("given up", 5)
    notes.forget("given up")
    assert notes.begin("given up") == 0
    assert notes.begin("never heard of") == 0
    notes.finish("never heard of")
    with pytest.raises(UnknownJobError):
        notes.place("never heard of")


def test_a_job_whose_message_was_lost_does_not_keep_its_place_for_ever(notes, monkeypatch):
    notes.enter("lost", 0)
    monkeypatch.setattr(register, "LONGEST_WAIT", 0.1)
    time.sleep(0.2)
    assert notes.begin("lost") == 0
    notes.enter("next", 0)
    monkeypatch.setattr(register, "OVERDUE", 0.1)
    with pytest.raises(LostError):
        notes.place("lost")


def test_no_more_get_in_than_would_have_their_turn_in_time(notes, monkeypatch):
    monkeypatch.setattr(register, "LONGEST_WAIT", 0.5)  # seconds, at first for five photos
    for number in range(6):
        notes.enter(f"job {number}", 100)
    with pytest.raises(BusyError):
        notes.enter("job 6", 100)
    with pytest.raises(BusyError):
        notes.state().check(100)


def test_the_notes_of_a_job_whose_person_has_the_answer_go_soon_and_still_tell_the_pace(notes):
    notes.enter("job", 5)
    notes.begin("job")
    time.sleep(0.2)
    notes.answered("job")
    notes.finish("job")
    assert notes.state().pace > FIRST_GUESS
    assert 0 < notes._redis.ttl("{birds}:job:job") <= 5


def test_a_worker_that_gives_no_sign_of_life_is_not_counted_on(notes, monkeypatch):
    assert notes.state().workers == (WORKER,)
    other = Worker("b@birds", "decaf", 5)
    notes.beat(other)
    notes.beat(other)
    assert set(notes.state().workers) == {WORKER, other}
    notes.sign_off(other)
    assert notes.state().workers == (WORKER,)
    monkeypatch.setattr(register, "SILENCE", 0.1)
    time.sleep(0.2)
    for ask in (lambda: notes.enter("job", 5), lambda: notes.state().check(5)):
        with pytest.raises(UnavailableError) as error:
            ask()
        assert error.value.reason == "no worker is there"
    assert notes.state().waiting == 0


def test_a_thumbnail_is_kept_with_the_job_and_both_for_an_hour(notes):
    notes.enter("job", 5)
    assert notes.thumbnail("job") == b""
    notes.keep_thumbnail("job", b"\xff\xd8")
    assert notes.thumbnail("job") == b"\xff\xd8"
    assert 3590 < notes._redis.ttl("{birds}:job:job") <= 3600
    notes.forget("job")
    notes.keep_thumbnail("job", b"late")
    with pytest.raises(UnknownJobError):
        notes.place("job")
    assert 3590 < notes._redis.ttl("{birds}:job:job") <= 3600


def test_the_first_guess_of_the_pace_stands_until_a_job_is_done(notes):
    assert notes.state().pace == FIRST_GUESS


def test_a_redis_that_is_gone_frozen_or_back_is_noticed_at_once(tmp_path: Path):
    with brokers.started(brokers.redis(tmp_path)) as redis:
        notes = Register(redis.url)
        notes.beat(WORKER)
        redis.stop()
        with pytest.raises(UnavailableError) as error:
            notes.enter("job", 5)
        assert error.value.reason == "the Redis of BIRD_RESULT_URL does not answer"
        redis.start()
        notes.beat(WORKER)
        notes.enter("job", 5)
        assert notes.place("job") == Place(0, 1)
        redis.freeze()
        begun = time.monotonic()
        with pytest.raises(UnavailableError):
            notes.state()
        assert time.monotonic() - begun < 10
        redis.thaw()
        assert notes.state().waiting == 1
