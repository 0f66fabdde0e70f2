"""What the queue costs, and what a second worker gains: python -m benchmarks.split [FOLDER]

FOLDER holds photos, <label>/*.jpg; without it, one drawing is used, which is smaller in the queue than a photo. Needs
redis-server and rabbitmq-server. Amazon SQS is not measured: moto's simulation says nothing about the real one.
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
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from celery import Celery

from inference import Identification
from inference.photo import open_photo
from jobs.client import RemoteClassifier
from jobs.errors import BusyError
from jobs.messages import encode_pixels
from tests.support import brokers, servers
from tests.support.brokers import Broker
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.servers import until

from .load import put_load_on

ROUNDS = 100
JOBS = 400

Pixels = npt.NDArray[np.uint8]


def images(folder: Path | None) -> list[Pixels]:
    """``ROUNDS`` images as the network gets them."""
    if folder is None:
        return [open_photo(io.BytesIO(encoded(draw_goldfinch(), "JPEG"))).pixels()] * ROUNDS
    paths = sorted(folder.glob("*/*.jpg"))
    with contextlib.ExitStack() as files:
        return [
            open_photo(files.enter_context(path.open("rb"))).pixels()
            for path in paths[:: max(1, len(paths) // ROUNDS)][:ROUNDS]
        ]


def client_of(broker: Broker, results: Broker, max_waiting: int = JOBS) -> RemoteClassifier:
    return RemoteClassifier(broker.url, results.url, labels=(), max_waiting=max_waiting, result_wait=60)


def milliseconds(work: Callable[[Pixels], float], images: list[Pixels]) -> list[float]:
    """How long each call of ``work`` took, less the seconds that it returns."""
    times = []
    for pixels in images:
        begun = time.perf_counter()
        excluded = work(pixels)
        times.append(1000 * (time.perf_counter() - begun - excluded))
    return times


def network_seconds(client: RemoteClassifier, pixels: Pixels) -> float:
    """Have a worker name the species; the seconds that its network took."""
    answer = client.classify(pixels)
    assert isinstance(answer, Identification)
    return answer.seconds


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def spread(times: list[float]) -> str:
    ninth_decile = sorted(times)[len(times) * 9 // 10]
    return f"{statistics.median(times):.1f} ms (nine of ten within {ninth_decile:.1f})"


@contextlib.contextmanager
def plain_worker(redis: Broker) -> Iterator[Celery]:
    """A worker as Celery sets it up by default, and the app that sends it jobs."""
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


def transfer(redis: Broker, images: list[Pixels], folder: Path) -> None:
    """The way to a worker and back, without the network's own time."""
    sizes = [len(encode_pixels(pixels)) for pixels in images]
    row("a photo in the queue", "", f"{statistics.median(sizes) / 1000:.0f} kB, at most {max(sizes) / 1000:.0f} kB", "")
    with plain_worker(redis) as app:

        def ask(pixels: Pixels) -> float:
            app.send_task("plain", (pixels.tolist(),)).get()
            return 0

        milliseconds(ask, images[:10])
        plain = milliseconds(ask, images)
    for kind in ("redis", "rabbitmq"):
        with contextlib.ExitStack() as stack:
            broker = redis if kind == "redis" else stack.enter_context(brokers.started(brokers.rabbitmq(folder)))
            stack.enter_context(brokers.worker(broker, redis))
            client = client_of(broker, redis)
            milliseconds(partial(network_seconds, client), images[:10])
            ours = milliseconds(partial(network_seconds, client), images)
        ratio = statistics.median(plain) / statistics.median(ours)
        beside = f"{spread(plain)}, by Redis" if kind == "redis" else ""
        row(f"transfer by {kind}, without the network", beside, spread(ours), f"{ratio:.1f} times as fast")


def rate(client: RemoteClassifier, images: list[Pixels]) -> float:
    """Photos a second when 16 clients send one after the other."""
    with ThreadPoolExecutor(16) as clients:
        begun = time.perf_counter()
        list(clients.map(client.classify, (images * (JOBS // len(images) + 1))[:JOBS]))
        return JOBS / (time.perf_counter() - begun)


def rate_alone(redis: Broker, worker: psutil.Process, images: list[Pixels]) -> float:
    """Photos a second of a worker that finds all of them in the queue, so that no client takes its cores."""
    client = RemoteClassifier(redis.url, redis.url, labels=(), max_waiting=JOBS, result_wait=0)
    processes = [worker, *worker.children()]
    for process in processes:
        process.suspend()
    for pixels in (images * (JOBS // len(images) + 1))[:JOBS]:
        client.classify(pixels)
    begun = time.perf_counter()
    for process in processes:
        process.resume()
    until(lambda: client.state().waiting == 0)
    return JOBS / (time.perf_counter() - begun)


def workers(redis: Broker, images: list[Pixels]) -> None:
    """One worker, and two on the same cores."""
    client = client_of(redis, redis)
    with brokers.worker(redis, redis) as first:
        rate(client, images[:10])
        alone = rate(client, images)
        network = statistics.median(network_seconds(client, pixels) for pixels in images)
        row("photos a second, 1 worker", "", f"{alone:.1f}", f"{alone * network:.2f} of the bare network's rate")
        undisturbed = rate_alone(redis, first, images)
        row("photos a second, 1 worker, if they are in the queue already", "", f"{undisturbed:.1f}", "")
        memory = psutil.Process(first.pid).children()[0].memory_info().rss
        with brokers.worker(redis, redis):
            both = rate(client, images)
        row("photos a second, 2 workers on the same cores", "", f"{both:.1f}", f"{both / alone:.2f} of one worker's")
        row("memory of a worker's pool process", "", f"{memory / 1e6:.0f} MB", "")


def burst(redis: Broker, folder: Path) -> None:
    """A thousand photos at once: by the client of the queue, and through the web process."""
    client = client_of(redis, redis, max_waiting=32)
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

    with brokers.worker(redis, redis), ThreadPoolExecutor(1000) as clients:
        client.classify(pixels)
        outcomes = Counter(clients.map(ask, range(1000)))
        within = sum(each <= 100 for each in refused) / len(refused)
        row(
            "1,000 jobs at once, by the client of the queue",
            "",
            f"{dict(outcomes)}; refused: {spread(refused)}",
            f"{within:.1%} within 100 ms",
        )
        urls = {"BIRD_QUEUE_URL": redis.url, "BIRD_RESULT_URL": redis.url}
        with servers.running(servers.GUNICORN, folder / "uploads", **urls) as address:
            for count in (100, 1000):
                load = put_load_on(address, encoded(draw_goldfinch(), "JPEG"), count, seconds=0.5)
                row(
                    f"{count} clients at once, at the web process",
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
    measured = images(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    row("what", "Celery's defaults, a list of numbers", "this app", "ratio")
    row("---", "---", "---", "---")
    with tempfile.TemporaryDirectory() as folder, brokers.started(brokers.redis(Path(folder))) as redis:
        transfer(redis, measured, Path(folder))
        workers(redis, measured)
        burst(redis, Path(folder))


if __name__ == "__main__":
    main()
