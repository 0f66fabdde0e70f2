"""Web processes and workers of this release and the one before, side by side, as while a site is updated."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.store import JobStore
from tests.support import brokers, previous_release
from tests.support.photographs import colored_photo
from tests.support.servers import ROOT, SMALL_NETWORK, send_photo, together, until
from tests.support.split import candidates_of, candidates_on, follow, health, send_until_answered, web

LATER = {"BIRD_RESULT_WAIT": "0"}  # every answer is found on a page of its own, which the next web process may serve


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each release."""
    return {"before": previous_release.unpack(tmp_path_factory.mktemp("before")), "this": ROOT}


def test_both_releases_are_what_they_are_called(code):
    assert (code["this"] / "jobs/store.lua").exists()
    assert not (code["before"] / "jobs/store.lua").exists()


@pytest.mark.parametrize(
    ("kind", "web_release", "worker_releases"),
    [
        ("redis", "this", ["before"]),
        ("redis", "before", ["this"]),
        ("redis", "this", ["this", "before"]),
        ("redis", "before", ["this", "before"]),
        ("rabbitmq", "this", ["this", "before"]),
        ("rabbitmq", "before", ["this", "before"]),
    ],
)
def test_a_web_process_and_workers_of_two_releases_understand_each_other(
    tmp_path, own_redis, broker_of, network, code, kind, web_release, worker_releases
):
    broker = own_redis if kind == "redis" else broker_of(kind)
    workers = [brokers.worker(broker, own_redis, code=code[release], **SMALL_NETWORK) for release in worker_releases]
    with together(web(broker, own_redis, tmp_path / "uploads", code=code[web_release]), *workers) as (address, *_):
        assert health(address)[0] == 200
        photos = [colored_photo(number) for number in range(24)]
        with ThreadPoolExecutor(8) as people:
            answers = list(people.map(lambda photo: send_until_answered(address, photo), photos))
        for photo, answer in zip(photos, answers, strict=True):
            assert answer.status == 200
            assert candidates_on(answer.page) == candidates_of(network, photo)
        assert JobStore(own_redis.url).state().waiting == 0


@pytest.mark.parametrize("first", ["workers", "web"])
def test_nobody_loses_an_answer_while_a_site_is_updated(tmp_path, own_redis, network, code, first):
    """What is new starts beside what is old, which then ends. People are sent to the newest web process."""
    redis, sent, over = own_redis, Counter(), threading.Event()

    def start(part: str, release: str) -> Callable[[], None]:
        """Start a web process or a worker; what ends it."""
        stack = contextlib.ExitStack()
        if part == "web":
            addresses.append(stack.enter_context(web(redis, redis, tmp_path / release, code=code[release], **LATER)))
        else:
            stack.enter_context(brokers.worker(redis, redis, code=code[release], **SMALL_NETWORK))
        return stack.close

    addresses: list[str] = []
    ends = {part: start(part, "before") for part in ("workers", "web")}

    def send_again_and_again(person: int) -> None:
        number = person
        while not over.is_set():
            photo = colored_photo(number % 196)
            answer = send_photo(addresses[-1], photo)
            if answer.status != 503:
                page = follow(addresses[-1], answer)
                assert candidates_on(page.page) == candidates_of(network, photo)
            sent[answer.status] += 1
            number += 4

    with ThreadPoolExecutor(4) as people:
        sending = [people.submit(send_again_and_again, person) for person in range(4)]
        try:
            for part in (first, "web" if first == "workers" else "workers"):
                until(lambda: sent.total() > 20)
                end_of_new = start(part, "this")
                sent.clear()
                until(lambda: sent.total() > 20)
                ends[part]()
                ends[part] = end_of_new
                sent.clear()
                until(lambda: sent.total() > 20)
        finally:
            over.set()
        for each in sending:
            each.result()
    for end in ends.values():
        end()
    assert set(sent) <= {200, 303}
