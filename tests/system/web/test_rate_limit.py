"""The limit of photos for each client, on real servers: behind a proxy, and shared by web processes with a queue."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.support import brokers, servers
from tests.support.api import IDENTIFICATIONS, JOB, metrics_at, problem_in, send
from tests.support.brokers import Broker
from tests.support.pages import sentence_on
from tests.support.servers import SMALL_NETWORK

UNAVAILABLE = "No photo can be identified at the moment. Please try again in a few seconds."


def count_as_one(address: str, *, path: str = IDENTIFICATIONS, forwarded: str | None = None) -> requests.Response:
    """Send a form without a photo, which counts as one; through a proxy if an address is forwarded."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return requests.post(address + path, files={"other": b""}, headers=headers, allow_redirects=False, timeout=60)


def test_no_client_is_limited_unless_a_limit_is_set(server):
    assert {count_as_one(server[0]).status_code for _ in range(70)} == {400}


def test_behind_a_proxy_each_client_has_one_limit_for_page_cards_and_api(tmp_path):
    with servers.running(servers.GUNICORN, tmp_path / "uploads", BIRD_PROXIES="1", **SMALL_NETWORK) as address:
        for path in ("/", "/cards", IDENTIFICATIONS):
            statuses = [count_as_one(address, path=path, forwarded="192.0.2.1").status_code for _ in range(20)]
            assert set(statuses) == {302 if path == "/" else 400}
        page, card, answer = (
            count_as_one(address, path=path, forwarded="192.0.2.1") for path in ("/", "/cards", IDENTIFICATIONS)
        )
        sentence = problem_in(answer, 429)
        wait = int(answer.headers["Retry-After"])
        assert 0 < wait <= 61  # rounded up
        assert sentence.startswith("Too many uploads came from your address in a short time. ")
        assert sentence.endswith(f" Please try again in {wait} seconds.")
        for other in (page, card):
            assert other.status_code == 429
            assert int(other.headers["Retry-After"]) - wait in (0, 1)
            assert re.sub(r"\d+", "", sentence_on(other.text)) == re.sub(r"\d+", "", sentence)
        assert 'name="bird_image"' in page.text  # the form is still there
        assert requests.get(address, headers={"X-Forwarded-For": "192.0.2.1"}, timeout=60).ok
        # What the client itself says of others is not believed.
        assert count_as_one(address, forwarded="203.0.113.9, 192.0.2.1").status_code == 429
        assert count_as_one(address, forwarded="192.0.2.1, 203.0.113.9").status_code == 400
        assert metrics_at(address)["bird_photos_total", "limited"] == 4
        assert metrics_at(address)["bird_photos_total", "refused"] == 61


@dataclass(frozen=True)
class Webs:
    """Two web processes that share a Redis, behind a proxy, and no worker."""

    first: str
    second: str
    redis: Broker


@pytest.fixture(scope="module")
def webs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webs]:
    """Two web processes; a client may send three photos a minute to both together."""
    folder = tmp_path_factory.mktemp("webs")
    with brokers.started(brokers.redis(folder)) as redis:
        options = {"BIRD_QUEUE_URL": redis.url, "BIRD_PROXIES": "1", "BIRD_RATE_LIMIT": "3 per minute", **SMALL_NETWORK}
        both = [servers.running(servers.GUNICORN, folder / name, **options) for name in ("first", "second")]
        with servers.together(*both) as (first, second):
            yield Webs(first, second, redis)


def test_without_a_worker_no_photo_is_identified_at_the_moment(webs, goldfinch):
    answer = send(webs.first, goldfinch)
    assert problem_in(answer, 503) == UNAVAILABLE
    assert 5 <= int(answer.headers["Retry-After"]) <= 10
    assert metrics_at(webs.first)["bird_photos_total", "unavailable"] > 0


def test_web_processes_with_a_queue_share_one_limit(webs):
    for address in (webs.first, webs.second, webs.first):
        assert count_as_one(address, forwarded="192.0.2.2").status_code == 503
    for address in (webs.first, webs.second):
        assert problem_in(count_as_one(address, forwarded="192.0.2.2"), 429).startswith("Too many uploads")
        assert count_as_one(address, forwarded="192.0.2.3").status_code == 503


def test_a_redis_that_is_frozen_or_gone_keeps_nobody_waiting_and_the_limit_goes_on_in_memory(webs):
    webs.redis.freeze()
    try:
        begun = time.monotonic()
        assert problem_in(count_as_one(webs.first, forwarded="192.0.2.4"), 503) == UNAVAILABLE
        assert time.monotonic() - begun < 5
    finally:
        webs.redis.thaw()
    webs.redis.stop()
    try:
        job = requests.get(f"{webs.second}{IDENTIFICATIONS}/{'A' * 22}", timeout=60)
        assert problem_in(job, 503, JOB, "GET") == UNAVAILABLE
        assert 5 <= int(job.headers["Retry-After"]) <= 10
        statuses = [count_as_one(webs.second, forwarded="192.0.2.5").status_code for _ in range(4)]
        assert statuses == [503, 503, 503, 429]
    finally:
        webs.redis.start()
