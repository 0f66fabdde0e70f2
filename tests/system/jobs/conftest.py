"""The brokers, workers and networks of these tests. Every one is real, but for moto in place of Amazon SQS."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from inference.classifier import Classifier
from inference.loader import load_classifier
from inference.pair import check_pair
from tests.support import brokers
from tests.support.brokers import Broker
from tests.support.servers import KERAS2, SMALL_NETWORK


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Redis that carries jobs and keeps answers, and runs throughout."""
    with brokers.started(brokers.redis(tmp_path_factory.mktemp("redis"))) as broker:
        yield broker


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Broker]:
    """A Redis that one test has for itself and its own workers."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with brokers.started(brokers.redis(folder)) as broker:
        yield broker


@pytest.fixture(scope="module")
def broker_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Broker]]:
    """Gives a broker of a kind: started for the first test that asks, and without jobs for the next ones."""
    started: dict[str, Broker] = {}
    with contextlib.ExitStack() as stack:

        def broker_of(kind: str) -> Broker:
            if kind not in started:
                broker = brokers.BROKERS[kind](tmp_path_factory.mktemp(kind))
                started[kind] = stack.enter_context(brokers.started(broker))
            brokers.make_as_new(started[kind])
            return started[kind]

        yield broker_of


@pytest.fixture(scope="module")
def worker(redis: Broker) -> Iterator[psutil.Process]:
    """A worker with a small network."""
    with brokers.worker(redis, redis, **SMALL_NETWORK) as process:
        yield process


@pytest.fixture(scope="module")
def network() -> Classifier:
    """The same network in this process, to know the right answers."""
    return load_classifier(check_pair(KERAS2 / "model.h5", KERAS2 / "class_indices.npy"))
