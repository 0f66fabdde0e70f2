"""chaos/: what it complains about, and what it takes for right."""

import contextlib
import socket
import threading
from collections import Counter
from contextlib import closing

import numpy as np
import pytest

from chaos import proxy
from chaos.fates import ANSWERED, CHANGED, FAILED, PENDING, REFUSED, WRONG, Job, Outcome
from chaos.images import image_of, is_deadly, number_of


def outcome(*jobs: Job, begun: dict[int, int] | None = None, published: dict[str, int] | None = None) -> Outcome:
    """What was seen of these jobs, and of one that was answered at once."""
    begun = {job.number: 1 for job in jobs} | (begun or {})
    done = Counter(job.number for job in jobs if job.fate == ANSWERED)
    return Outcome([Job(0, ended=0.2, fate=ANSWERED), *jobs], Counter(begun), done, published or {})


def complaints(found: Outcome, *, store_forgets: bool = False) -> list[str]:
    return list(found.complaints(15, store_forgets=store_forgets))


@pytest.mark.parametrize("fate", [ANSWERED, FAILED, REFUSED + "BusyError"])
def test_a_job_that_is_answered_refused_or_explained_is_all_right(fate):
    job = Job(1, is_deadly=fate == FAILED, ended=1, fate=fate)
    assert complaints(outcome(job, begun={1: 2}, published={"one": 1})) == []


def test_a_job_that_is_not_deadly_may_fail_only_where_workers_are_killed():
    found = outcome(Job(1, ended=1, fate=FAILED), begun={1: 2})
    assert complaints(found) == ["1 jobs failed, although nothing killed what worked on them"]
    found.kills["pool process"] = 2
    assert complaints(found) == []


@pytest.mark.parametrize("fate", [PENDING, WRONG, CHANGED, "JobLostError", "UnknownJobError", "broken: KeyError()"])
def test_any_other_fate_is_not(fate):
    assert complaints(outcome(Job(1, ended=1, fate=fate))) == [f"1 jobs: {fate}"]


def test_only_a_store_that_forgets_may_lose_jobs():
    lost = outcome(Job(1, ended=1, fate="JobLostError"), Job(2, ended=1, fate="UnknownJobError"))
    assert complaints(lost, store_forgets=True) == []
    assert complaints(outcome(Job(1, ended=1, fate=PENDING)), store_forgets=True) == [f"1 jobs: {PENDING}"]


def test_a_job_that_is_answered_twice_or_tried_too_often_is_noticed():
    found = outcome(Job(7, ended=1, fate=ANSWERED), begun={7: 3}, published={"seven": 2})
    assert complaints(found) == ["1 jobs were answered twice", "1 jobs were tried more than 2 times, such as job 7"]


def test_a_deadly_job_cannot_have_been_answered():
    deadly = Job(1, is_deadly=True, ended=1, fate=ANSWERED)
    assert complaints(outcome(deadly)) == ["1 jobs were answered, although each try was killed"]


def test_a_wait_counts_only_while_nothing_is_broken():
    found = outcome(Job(1, sent=100, ended=130, fate=ANSWERED), begun={1: 2})
    assert complaints(found) == ["1 jobs waited longer than 15 s, 1 of them hit"]
    found.faults = [(90, 105), (110, 120), (129, 200), (300, 400)]
    assert found.longest(found.hit) == 30 - 5 - 10 - 1
    assert complaints(found) == []


def test_a_run_without_an_answer_shows_nothing():
    nothing = Outcome([Job(0, fate=REFUSED + "UnavailableError")], Counter(), Counter(), {})
    assert complaints(nothing) == ["no job was answered"]


def test_each_image_says_which_job_it_is_of():
    for number in (0, 1, 4711, 19_999):
        assert number_of(image_of(number)) == number_of(image_of(number, is_deadly=True)) == number
    assert is_deadly(image_of(3, is_deadly=True))
    assert not is_deadly(image_of(3))
    assert len({tuple(np.ravel(image_of(number)[0, 0])) for number in range(5000)}) == 5000


@pytest.fixture
def echo():
    """The port of a server that sends back what it gets."""

    def serve() -> None:
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            with connection, contextlib.suppress(ConnectionResetError):
                while data := connection.recv(100):
                    connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_cut_connection_hangs_and_goes_on_or_is_reset(echo):
    with (
        proxy.running(echo) as way,
        closing(socket.create_connection(("127.0.0.1", way.port), timeout=5)) as client,
    ):
        client.sendall(b"one")
        assert client.recv(100) == b"one"
        way.hang()
        client.sendall(b"two")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        way.mend()
        client.settimeout(5)
        assert client.recv(100) == b"two"
        way.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(100)
