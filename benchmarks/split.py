"""What the queue costs, and what further workers bring: python -m benchmarks.split [FOLDER]

FOLDER holds pictures, <label>/*.jpg; without it, drawings stand in, which are smaller in the queue. Needs redis-server;
with rabbitmq-server, RabbitMQ too. Moto's stand-in for Amazon SQS says nothing of Amazon's, and is left out.
"""

import contextlib
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from celery import Celery

from inference.line import BusyError
from inference.photo import open_photo
from jobs.client import RemoteClassifier
from jobs.messages import encode_pixels
from tests import brokers, servers
from tests.brokers import Broker
from tests.drawings import draw_goldfinch, encoded
from tests.test_load import until

from .load import put_load_on

ROUNDS = 100
JOBS = 400


def pictures(folder: Path | None) -> list[np.ndarray]:
    """``ROUNDS`` pictures as the network sees them."""
    if folder is None:
        return [open_photo(io.BytesIO(encoded(draw_goldfinch(), "JPEG"))).pixels()] * ROUNDS
    paths = sorted(folder.glob("*/*.jpg"))
    with contextlib.ExitStack() as files:
        return [
            open_photo(files.enter_context(path.open("rb"))).pixels()
            for path in paths[:: max(1, len(paths) // ROUNDS)][:ROUNDS]
        ]


def client_of(broker: Broker, results: Broker) -> RemoteClassifier:
    return RemoteClassifier(broker.url, results.url, labels=(), sha256="", max_waiting=JOBS, result_wait=60)


def milliseconds(work: Callable[[np.ndarray], float | None], of: list[np.ndarray]) -> list[float]:
    """How long each took, without the seconds that ``work`` says do not count."""
    times = []
    for pixels in of:
        begun = time.perf_counter()
        left_out = work(pixels) or 0
        times.append(1000 * (time.perf_counter() - begun - left_out))
    return times


def network_of(client: RemoteClassifier) -> Callable[[np.ndarray], float]:
    """What has a worker name the species, and says how long its network took."""
    return lambda pixels: client.classify(pixels).seconds


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def spread(times: list[float]) -> str:
    nearly_all = sorted(times)[len(times) * 9 // 10]
    return f"{statistics.median(times):.1f} ms (nine of ten within {nearly_all:.1f})"


@contextlib.contextmanager
def plain_worker(redis: Broker) -> Iterator[Celery]:
    """The plain worker, and the plain app that asks it."""
    os.environ["PLAIN_URL"] = redis.url.replace("/0", "/1")
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-q", "-A", "benchmarks.plain_worker", "worker", "-c", "1"],
        cwd=servers.ROOT,
    )
    from .plain_worker import app

    try:
        until(lambda: app.control.ping(timeout=1))
        yield app
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def hand_over(redis: Broker, of: list[np.ndarray], folder: Path) -> None:
    """The way to a worker and back, without the network's own time."""
    sizes = [len(encode_pixels(pixels)) for pixels in of]
    row("a photo in the queue", "", f"{statistics.median(sizes) / 1000:.0f} kB, at most {max(sizes) / 1000:.0f} kB", "")
    with plain_worker(redis) as app:
        ask = lambda pixels: app.send_task("plain", (pixels.tolist(),)).get() and None  # noqa: E731
        milliseconds(ask, of[:10])
        plain = milliseconds(ask, of)
    for kind in ("redis", "rabbitmq"):
        with contextlib.ExitStack() as stack:
            broker = redis if kind == "redis" else stack.enter_context(brokers.started(brokers.rabbitmq(folder)))
            stack.enter_context(brokers.worker(broker, redis))
            client = client_of(broker, redis)
            milliseconds(network_of(client), of[:10])
            ours = milliseconds(network_of(client), of)
        ratio = statistics.median(plain) / statistics.median(ours)
        beside = f"{spread(plain)}, by Redis" if kind == "redis" else ""
        row(f"hand-over by {kind}, without the network", beside, spread(ours), f"{ratio:.1f} times as fast")


def rate(client: RemoteClassifier, of: list[np.ndarray]) -> float:
    """Photos a second when 16 people ask again and again."""
    with ThreadPoolExecutor(16) as people:
        begun = time.perf_counter()
        list(people.map(client.classify, (of * (JOBS // len(of) + 1))[:JOBS]))
        return JOBS / (time.perf_counter() - begun)


def workers(redis: Broker, of: list[np.ndarray]) -> None:
    """One worker, and two, on the same cores; and what is left of the processor for others."""
    client = client_of(redis, redis)
    with brokers.worker(redis, redis) as first:
        rate(client, of[:10])
        alone = rate(client, of)
        network = statistics.median(client.classify(pixels).seconds for pixels in of)
        row("photos a second, 1 worker", "", f"{alone:.1f}", f"{alone * network:.2f} of the bare network's rate")
        memory = psutil.Process(first.pid).children()[0].memory_info().rss
        with brokers.worker(redis, redis):
            both = rate(client, of)
        row("photos a second, 2 workers on the same cores", "", f"{both:.1f}", f"{both / alone:.2f} of one worker's")
        row("memory of a worker's process with the network", "", f"{memory / 1e6:.0f} MB", "")


def burst(redis: Broker, folder: Path) -> None:
    """A thousand at once: at the seam, and at the web process."""
    client = client_of(redis, redis)
    client.max_waiting, client.result_wait = 32, 60
    pixels = open_photo(io.BytesIO(encoded(draw_goldfinch(), "JPEG"))).pixels()
    refused: list[float] = []

    def ask(_number: int) -> str:
        begun = time.perf_counter()
        try:
            client.check()
            client.classify(pixels)
        except BusyError:
            refused.append(1000 * (time.perf_counter() - begun))
            return "busy"
        return "answered"

    with brokers.worker(redis, redis), ThreadPoolExecutor(1000) as people:
        client.classify(pixels)
        outcomes = Counter(people.map(ask, range(1000)))
        within = sum(each <= 100 for each in refused) / len(refused)
        row(
            "1,000 jobs at once, at the seam",
            "",
            f"{dict(outcomes)}; refused: {spread(refused)}",
            f"{within:.1%} within 100 ms",
        )
        urls = {"BIRD_QUEUE_URL": redis.url, "BIRD_RESULT_URL": redis.url}
        with servers.running(servers.GUNICORN, folder / "uploads", **urls) as address:
            for clients in (100, 1000):
                load = put_load_on(address, encoded(draw_goldfinch(), "JPEG"), clients, seconds=0.5)
                row(
                    f"{clients} clients at once, at the web process",
                    "",
                    f"answered {load.describe(200)}; own page {load.describe(303)}; busy {load.describe(503)}",
                    f"{load.share_within(100, 503):.1%} within 100 ms",
                )
            web = servers.processes_at(address)
            memory = [process.memory_info().rss for process in web]
            row(
                "memory of the web process, and of the one that reads photos",
                "",
                f"{memory[1] / 1e6:.0f} MB and {memory[2] / 1e6:.0f} MB",
                "",
            )


def main() -> None:
    of = pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    row("what", "Celery's defaults, a list of numbers", "this app", "ratio")
    row("---", "---", "---", "---")
    with tempfile.TemporaryDirectory() as folder, brokers.started(brokers.redis(Path(folder))) as redis:
        hand_over(redis, of, Path(folder))
        workers(redis, of)
        burst(redis, Path(folder))


if __name__ == "__main__":
    main()
