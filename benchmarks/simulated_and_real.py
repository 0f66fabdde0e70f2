"""The simulation next to a real site, at three loads: python -m benchmarks.simulated_and_real

A worker has one core, and the web process, Redis and the clients have the other, as if they were two machines. The network runs
in float32, so that the worker is what limits the site. Photos are sent at the same times to both. Needs two cores and redis-server.
"""

import io
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from inference.photo import open_photo
from jobs.client import RemoteClassifier
from tests.support import brokers, servers
from tests.support.servers import send_photo
from tests.support.split import client_of

from .load import send_photos
from .photos import small_jpeg
from .queueing import Simulation, Site, poisson

LOADS = (0.6, 0.9, 1.3)
SECONDS = 40  # of each load
MAX_WAITING = 32
WEB_CORE, WORKER_CORE = 0, 1


@dataclass(frozen=True)
class Figures:
    """What is compared. Times are in seconds, from the photo that is sent to its answer."""

    answered: float  # a second
    refused: float  # of all
    median: float
    nearly_all: float  # 95 % of the answers


def figures(answered: Sequence[float], refused: int) -> Figures:
    times = sorted(answered)
    return Figures(
        len(times) / SECONDS, refused / (refused + len(times)), statistics.median(times), times[len(times) * 95 // 100]
    )


def service(client: RemoteClassifier, photo: bytes) -> tuple[float, float]:
    """Seconds that the busy worker takes for a photo: the mean, and the standard deviation as a share of it."""
    pixels = open_photo(io.BytesIO(photo)).pixels()

    def ask(_number: int) -> float:
        client.classify(pixels)
        return time.perf_counter()

    with ThreadPoolExecutor(8) as clients:
        done = sorted(clients.map(ask, range(300)))
    gaps = [after - before for before, after in pairwise(done[20:-8])]
    return statistics.mean(gaps), statistics.stdev(gaps) / statistics.mean(gaps)


def lone(address: str, photo: bytes) -> float:
    """Seconds until the answer to a photo if there is no other, the median."""
    times = []
    for _ in range(30):
        begun = time.perf_counter()
        assert send_photo(address, photo).status == 200
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def real(address: str, photo: bytes, times: Sequence[float]) -> Figures:
    load = send_photos(address, photo, times, seconds=SECONDS)
    assert set(load.milliseconds) <= {200, 503}, set(load.milliseconds)
    return figures([each / 1000 for each in load.milliseconds[200]], len(load.milliseconds[503]))


def simulated(times: Sequence[float], mean: float, spread: float, way: float) -> Figures:
    """:param way: seconds that an answer takes besides the worker."""
    outcome = Simulation(Site(times, 1, mean, spread, MAX_WAITING)).run(SECONDS + MAX_WAITING)
    return figures([way + taken for _time, taken in outcome.answers], len(outcome.refusals))


def print_point(load: float, service: str, found: Figures, expected: Figures) -> None:
    def cell(got: float, expected: float, form: str) -> str:
        return (
            f"{got:{form}} ({expected:{form}}, {100 * (expected / got - 1):+.0f} %)"
            if got
            else f"0 ({expected:{form}})"
        )

    cells = (
        cell(found.answered, expected.answered, ".1f"),
        cell(100 * found.refused, 100 * expected.refused, ".1f"),
        cell(1000 * found.median, 1000 * expected.median, ".0f"),
        cell(1000 * found.nearly_all, 1000 * expected.nearly_all, ".0f"),
    )
    print("|", " | ".join([f"{load}", service, *cells]), "|", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, brokers.started(brokers.redis(Path(name))) as redis:
        os.sched_setaffinity(0, {WORKER_CORE})  # what is started from here on inherits it
        with brokers.worker(redis, redis, BIRD_ENGINE="onnx", BIRD_PRECISION="float32"):
            os.sched_setaffinity(0, {WEB_CORE})
            settings = {"BIRD_QUEUE_URL": redis.url, "BIRD_RESULT_URL": redis.url, "BIRD_RESULT_WAIT": "10"}
            settings["BIRD_MAX_WAITING"] = str(MAX_WAITING)
            log = Path(name, "web.log").open("w")
            with log, servers.running(servers.GUNICORN, Path(name, "uploads"), output=log, **settings) as address:
                photo, client = small_jpeg(), client_of(redis, redis, result_wait=60)
                print("| load | service, ms | answered a second | refused, % | half within ms | 95 % within ms |")
                print("| --- " * 6 + "|")
                for load in LOADS:
                    before, _spread = service(client, photo)
                    times = list(poisson([(load / before, SECONDS)], seed=1))
                    found = real(address, photo, times)
                    after, spread = service(client, photo)  # other programs may have taken the core meanwhile
                    way = max(0.0, lone(address, photo) - after)
                    expected = simulated(times, (before + after) / 2, spread, way)
                    print_point(load, f"{1000 * before:.1f}, {1000 * after:.1f}", found, expected)


if __name__ == "__main__":
    main()
