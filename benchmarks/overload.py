"""64 clients at once, more than the queue has room for."""

import contextlib
import statistics
import threading
from collections.abc import Callable, Iterator

import psutil

from tests.support import servers

from .compared import Addresses
from .load import Load, put_load_on
from .table import APP, NAMES, PLAIN, ratios, row

CLIENTS = 64
PLAIN_SECONDS = 20  # a longer run gives the same rate


def overload(
    addresses: Addresses, content: bytes, network: Callable[[int], list[float]], seconds: float, *, heeding: bool
) -> None:
    """The answers of each in turn.

    :param network: runs the app's bare network so many times, and gives the milliseconds of each run.
    :param heeding: whether those who are refused wait as long as ``Retry-After`` says.
    """
    loads, gained, bare = {}, {}, network(100)
    for name, address in addresses.items():
        idle = servers.memory_at(address)
        with watched_memory(address) as memory:
            limit = min(seconds, PLAIN_SECONDS) if name == PLAIN else seconds
            loads[name] = put_load_on(address, content, CLIENTS, seconds=limit, heed_retry_after=heeding)
        gained[name] = f"{(max(memory) - idle) / 1e6:.0f} MB"
    again = "when told to" if heeding else "at once"
    rates = {name: [load.rate] for name, load in loads.items()}
    row(
        f"answers a second, {CLIENTS} clients for {seconds:.0f} s, who try again {again}",
        *(f"{loads[name].rate:.1f} /s" for name in NAMES),
        *ratios(rates, "as many"),
    )
    possible = 1000 / statistics.median(bare + network(100))
    row("— of what the bare network gives", "", "", f"{loads[APP].rate / possible:.2f} of {possible:.0f} /s")
    row("— answers", *(loads[name].describe(200) for name in NAMES))
    row("— refused (503)", *(loads[name].describe(503) for name in NAMES))
    row("— refused within 100 ms", *(within(loads[name], 503) for name in NAMES))
    row("— any other status", *(others(loads[name]) for name in NAMES))
    row("— memory above idle, at most", *(gained[name] for name in NAMES))


def within(load: Load, status: int) -> str:
    """The share of answers that took no more than 100 ms."""
    return f"{100 * load.share_within(100, status):.1f} %" if load.milliseconds.get(status) else ""


def others(load: Load) -> str:
    """How many answers had an unexpected status."""
    counts = {status: len(times) for status, times in load.milliseconds.items() if times and status not in (200, 503)}
    return ", ".join(f"{status or 'closed'}: {count}" for status, count in sorted(counts.items())) or "none"


@contextlib.contextmanager
def watched_memory(address: str) -> Iterator[list[int]]:
    """The memory of a server in bytes, measured twice a second while the block lasts."""
    processes = servers.processes_at(address)
    values, done = [servers.memory_at(address)], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            with contextlib.suppress(psutil.NoSuchProcess):  # a decoder process is replaced now and then
                values.append(sum(process.memory_info().rss for process in processes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield values
    finally:
        done.set()
        watcher.join()
