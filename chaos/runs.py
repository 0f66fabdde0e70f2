"""The runs: a load, and what is broken meanwhile."""

import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.split import client_of

from . import notes, places
from .crew import Crew
from .fates import Interval, Outcome
from .load import Load
from .places import Places
from .proxy import Proxy
from .watch import Watch

MAX_WAITING = 1000  # jobs; more than wait in any run, so that few are refused
PATIENCE = 200  # seconds after which a job without an answer is lost
EVENT_PATIENCE = 0.2  # seconds to wait for an event to kill a worker at


@dataclass(frozen=True)
class Conditions:
    """What the runs have in common.

    :param broker: its kind.
    :param has_own_store: whether the store is another Redis than the broker.
    :param is_persistent: whether broker and store keep their data on disk.
    :param rate: jobs a second.
    :param workers: how many there are.
    """

    broker: str
    has_own_store: bool = False
    is_persistent: bool = False
    rate: float = 10
    workers: int = 6


@dataclass
class Stage:
    """What there is to break.

    :param servers: themselves, not the proxies in front of them.
    :param proxies: from web process and workers to broker and store; none if nothing is to be cut.
    :ivar faults: when something was broken for a while.
    """

    conditions: Conditions
    servers: Places
    crew: Crew
    proxies: list[Proxy]
    faults: list[Interval] = field(default_factory=list)


def kill_workers(stage: Stage, number: int, seconds: float) -> None:
    """Kill workers at random instants, half of them when a job has just begun or is just done.

    :param seconds: that it takes, about; longer if the machine is too slow to start as many workers.
    """
    for _ in range(number):
        time.sleep(random.expovariate(number / seconds))
        if random.random() < 0.5:
            stage.crew.kill_at_random()
        else:
            stage.crew.kill_at_an_event(EVENT_PATIENCE)


def restart(stage: Stage, number: int, *, of_store: bool) -> None:
    """Restart the broker or the store, with SIGTERM and SIGKILL by turns.

    :param number: of restarts.
    """
    server = stage.servers.store if of_store else stage.servers.broker
    for each in range(number):
        time.sleep(random.uniform(1, 5))
        begin = time.monotonic()
        places.stop(server, hard=each % 2 == 1)
        if not stage.conditions.is_persistent:
            places.forget(server)
        time.sleep(random.uniform(0, 2))
        server.start()
        stage.faults.append((begin, time.monotonic()))


def cut(stage: Stage, number: int, longest: float) -> None:
    """Cut connections, each time those of one or two of the proxies: they hang or are reset.

    :param number: of cuts.
    :param longest: seconds that a cut takes at most; at least one.
    """
    for _ in range(number):
        time.sleep(random.uniform(2, 8))
        begin = time.monotonic()
        cut_off = random.sample(stage.proxies, random.choice((1, 2)))
        for proxy in cut_off:
            random.choice((proxy.hang, proxy.reset))()
        time.sleep(random.uniform(1, longest))
        for proxy in cut_off:
            proxy.mend()
        stage.faults.append((begin, time.monotonic()))


def run(conditions: Conditions, break_it: Callable[[Stage], None], *, with_proxies: bool = False) -> Outcome:
    """Put load on workers while they, or what they need, are broken.

    :param break_it: returns when everything is whole again.
    :param with_proxies: between clients and workers on one side, broker and store on the other.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        _stage(conditions, Path(name), with_proxies) as (stage, seen_by_web),
        Watch(stage.servers.store.url) as watch,
    ):
        client = client_of(seen_by_web.broker, seen_by_web.store, max_waiting=MAX_WAITING)
        load = Load(client, conditions.rate)
        with ThreadPoolExecutor(1) as thread:
            breaking = thread.submit(break_it, stage)
            load.send_while(lambda: not breaking.done(), PATIENCE)
        breaking.result()
        begun, done = (notes.count(stage.crew.notes, event) for event in (notes.BEGUN, notes.DONE))
        return Outcome(load.jobs, begun, done, watch.published, stage.crew.kills, stage.faults)


@contextlib.contextmanager
def _stage(conditions: Conditions, folder: Path, with_proxies: bool) -> Iterator[tuple[Stage, Places]]:
    """Everything that a run needs, and the servers as the clients reach them."""
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(
            places.started(
                conditions.broker,
                folder,
                has_own_store=conditions.has_own_store,
                is_persistent=conditions.is_persistent,
            )
        )
        seen_by_web = seen_by_workers = servers
        proxies: list[Proxy] = []
        if with_proxies:
            seen_by_web, of_web = stack.enter_context(places.behind_proxies(servers))
            seen_by_workers, of_workers = stack.enter_context(places.behind_proxies(servers))
            proxies = of_web + of_workers
        crew = stack.enter_context(Crew(seen_by_workers.broker, seen_by_workers.store, conditions.workers, folder))
        yield Stage(conditions, servers, crew, proxies), seen_by_web
