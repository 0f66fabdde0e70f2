"""The simulation next to a real site, at three loads: python -m benchmarks.simulated_and_real

The web process, Redis and two workers are real; only the network is one that sleeps, because two real ones would share
the cores of this machine. Photos are sent to both at the same times. Needs redis-server.
"""

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from inference.photo import open_photo
from jobs.client import RemoteClassifier
from tests.support import brokers, servers
from tests.support.servers import send_photo
from tests.support.split import client_of

from .load import send_photos
from .photos import small_jpeg
from .queueing import Simulation, Site
from .random_times import poisson

LOADS = (0.6, 0.9, 1.3)
SECONDS = 40  # of each load
WORKERS = 2
NETWORK, SPREAD = 0.1, 0.5  # seconds that the network sleeps, and their deviation as a share (slow_worker.py)
MAX_WAITING = 32


@dataclass(frozen=True)
class Figures:
    """What is compared. Times are in milliseconds, from the photo that is sent to its answer."""

    answered: float  # a second
    refused: float  # %
    half: float
    nearly_all: float  # 95 % of the answers


def figures(seconds: Sequence[float], refused: int) -> Figures:
    """:param seconds: of each answer."""
    times = sorted(1000 * each for each in seconds)
    share = 100 * refused / (refused + len(times))
    return Figures(len(times) / SECONDS, share, statistics.median(times), times[len(times) * 95 // 100])


def service(client: RemoteClassifier, photo: bytes) -> float:
    """Seconds that a worker takes for a photo when all are busy, all that is not the network included."""
    pixels = open_photo(io.BytesIO(photo)).pixels()

    def ask(_number: int) -> float:
        client.classify(pixels)
        return time.perf_counter()

    with ThreadPoolExecutor(8) as clients:
        done = sorted(clients.map(ask, range(120)))
    first, last = 10, 111  # not the beginning, and not the end, when a worker may be idle
    return WORKERS * (done[last] - done[first]) / (last - first)


def lone(address: str, photo: bytes) -> float:
    """Seconds until the answer to a photo if there is no other, the mean."""
    begun = time.perf_counter()
    for _ in range(30):
        assert send_photo(address, photo).status == 200
    return (time.perf_counter() - begun) / 30


def real(address: str, photo: bytes, times: Sequence[float]) -> Figures:
    load = send_photos(address, photo, times, seconds=SECONDS)
    assert set(load.milliseconds) <= {200, 503}, set(load.milliseconds)
    return figures([each / 1000 for each in load.milliseconds[200]], len(load.milliseconds[503]))


def simulated(times: Sequence[float], service: float, way: float) -> Figures:
    """:param way: seconds that an answer takes besides the worker."""
    outcome = Simulation(Site(times, WORKERS, service, SPREAD * NETWORK / service, MAX_WAITING)).run(2 * SECONDS)
    return figures([way + taken for _time, taken in outcome.answers], len(outcome.refusals))


def print_point(load: float, service: float, found: Figures, expected: Figures) -> None:
    row = [f"{load}", f"{1000 * service:.0f}"]
    for name in ("answered", "refused", "half", "nearly_all"):
        got, predicted = getattr(found, name), getattr(expected, name)
        row.append(f"{got:.1f}, {predicted:.1f}" + (f" ({100 * (predicted / got - 1):+.0f} %)" if got else ""))
    print("|", " | ".join(row), "|", flush=True)


def main() -> None:
    head = ["load", "service, ms", "answered/s: real, simulated", "refused, %", "half within ms", "95 % within ms"]
    print("|", " | ".join(head), "|\n|", " | ".join(["---"] * len(head)), "|")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(brokers.started(brokers.redis(folder)))
        for _ in range(WORKERS):
            worker = brokers.worker(redis, redis, module="benchmarks.slow_worker", SLOW_SECONDS=str(NETWORK))
            stack.enter_context(worker)
        log = stack.enter_context((folder / "web.log").open("w"))
        settings = {
            "QUEUE_URL": redis.url,
            "RESULT_URL": redis.url,
            "RESULT_WAIT": "10",
            "MAX_WAITING": str(MAX_WAITING),
        }
        named = {f"BIRD_{name}": value for name, value in settings.items()}
        address = stack.enter_context(servers.running(servers.GUNICORN, folder / "uploads", output=log, **named))
        photo, client = small_jpeg(), client_of(redis, redis, result_wait=60)
        for load in LOADS:
            before = service(client, photo)
            times = list(poisson([(WORKERS * load / before, SECONDS)], seed=1))
            found = real(address, photo, times)
            mean = (before + service(client, photo)) / 2  # other programs may have taken a core meanwhile
            print_point(load, mean, found, simulated(times, mean, max(0.0, lone(address, photo) - mean)))


if __name__ == "__main__":
    main()
