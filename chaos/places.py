"""Where jobs and answers are in a run: which broker, which store, and whether they keep their data."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support import brokers
from tests.support.brokers import Broker

from . import proxy
from .proxy import Proxy

REDIS, RABBITMQ = "redis", "rabbitmq"
FSYNC = ["--appendonly", "yes", "--appendfsync", "everysec"]
MEMORY_ONLY = ["--appendonly", "no", "--save", ""]


@dataclass(frozen=True)
class Places:
    """The servers of a run.

    :param store: the Redis that keeps answers and the job store; maybe the broker itself.
    """

    broker: Broker
    store: Broker


@contextlib.contextmanager
def started(kind: str, folder: Path, *, has_own_store: bool, is_persistent: bool) -> Iterator[Places]:
    """Start a broker and a store.

    :param kind: of broker, ``REDIS`` or ``RABBITMQ``.
    :param has_own_store: whether the store is another Redis than the broker.
    :param is_persistent: whether they keep on disk what they are given.
    """
    with contextlib.ExitStack() as stack:

        def start(kind: str, name: str) -> Broker:
            own = folder / name
            own.mkdir()
            broker = brokers.BROKERS[kind](own)
            if kind == REDIS:
                broker.command += FSYNC if is_persistent else MEMORY_ONLY
            return stack.enter_context(brokers.started(broker))

        broker = start(kind, "broker")
        yield Places(broker, start(REDIS, "store") if has_own_store or kind != REDIS else broker)


def stop(server: Broker, *, hard: bool) -> None:
    """Stop a server.

    :param hard: with SIGKILL, which leaves it no time to write anything.
    """
    if not hard:
        server.stop()
    elif server.process:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


def forget(server: Broker) -> None:
    """Remove the data of a RabbitMQ that is stopped; a Redis with ``MEMORY_ONLY`` has none on disk."""
    shutil.rmtree(server.folder / "mnesia", ignore_errors=True)


@contextlib.contextmanager
def behind_proxies(places: Places) -> Iterator[tuple[Places, list[Proxy]]]:
    """Have somebody reach the servers through proxies only.

    :return: the places as seen by them, and the proxies: that of the broker and that of the store.
    """
    with proxy.running(places.broker.port) as to_broker, proxy.running(places.store.port) as to_store:
        yield (
            Places(_through(to_broker, places.broker), _through(to_store, places.store)),
            [to_broker, to_store],
        )


def _through(way: Proxy, broker: Broker) -> Broker:
    return replace(broker, url=broker.url.replace(f":{broker.port}", f":{way.port}"), port=way.port)
