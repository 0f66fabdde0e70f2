"""How long one person waits for the answer to a photo while a program sends a folder: python -m benchmarks.fairness

Both have addresses of their own, which works on Linux. Each row is measured in the single process, behind nginx, and in
a web process with a worker; nginx and redis-server must be installed. Photos are sent with ``crop=0,0,1,1``, so that
none gets a closer look.
"""

import argparse
import asyncio
import contextlib
import http.client
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from tests.support import brokers, nginx, servers
from tests.support.servers import FORM_HEADERS, form

from .photos import FILES

DEPLOYMENTS = ("single", "nginx", "split")
IDLE_PHOTOS = 100  # that the person sends, one after the other, while nobody else does
FOLDER = 500  # photos
WHOLE = "crop=0,0,1,1"
PERSON, PROGRAM = ("127.0.0.2", 0), ("127.0.0.3", 0)  # from which they send, at any port
#: How many connections the program opens, and whether it waits as long as ``Retry-After`` says.
PROGRAMS = ((8, True), (32, True), (32, False), (FOLDER, True), (FOLDER, False))

Times = list[float]  # milliseconds


def person(address: str, content: bytes, goes_on: Callable[[int], bool]) -> Times:
    """How long each photo took that a person sent, one after the other, until it was answered.

    :param goes_on: tells from the number of the answers so far whether the person sends another photo.
    """
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120, source_address=PERSON)
    body = form(content, "bird.jpg")
    times: Times = []
    while goes_on(len(times)):
        begun = time.perf_counter()
        while True:  # as the page's script does: refused photos are sent again
            connection.request("POST", f"/?{WHOLE}", body, FORM_HEADERS)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 503:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        if answer.status not in (200, 303):
            raise RuntimeError(f"the person got status {answer.status}")
        times.append(1000 * (time.perf_counter() - begun))
    return times


async def send_folder(address: str, content: bytes, connections: int, heeds: bool, begun: Event) -> float:
    """Send the folder through the API, each photo until it is answered; how many were answered per second."""
    numbers, path = iter(range(FOLDER)), f"{address}/api/v1/identifications?{WHOLE}"

    async def send_some(session: aiohttp.ClientSession) -> None:
        for _ in numbers:
            status = 503
            while status == 503:
                with contextlib.suppress(aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                    async with session.post(path, data=content) as answer:
                        await answer.read()
                        status = answer.status
                        if status == 503 and heeds:
                            await asyncio.sleep(float(answer.headers["Retry-After"]))

    started = time.perf_counter()
    headers, connector = {"Content-Type": "image/jpeg"}, aiohttp.TCPConnector(limit=0, local_addr=PROGRAM)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        sending = asyncio.gather(*(send_some(session) for _ in range(connections)))
        await asyncio.sleep(0.5)  # until the queue is as full as the program can make it
        begun.set()
        await sending
    return FOLDER / (time.perf_counter() - started)


def program(address: str, content: bytes, connections: int, heeds: bool, begun: Event, rate: Connection) -> None:
    """The process of the program, apart from the person's, so that neither waits for the other's."""
    rate.send(asyncio.run(send_folder(address, content, connections, heeds, begun)))


def during(address: str, content: bytes, connections: int, heeds: bool) -> tuple[Times, float]:
    """The person's times while the program sends its folder, and the program's photos per second."""
    spawn = multiprocessing.get_context("spawn")
    begun, (received, sent) = spawn.Event(), spawn.Pipe(duplex=False)
    process = spawn.Process(target=program, args=(address, content, connections, heeds, begun, sent))
    process.start()
    begun.wait()
    times = person(address, content, lambda _answers: process.is_alive())
    process.join()
    return times, received.recv()


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def p95(times: Times) -> float:
    return statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]


def spread(times: Times) -> str:
    return f"{statistics.median(times):.0f} / {p95(times):.0f} ms"


def measure(deployment: str, address: str, kinds: list[str]) -> None:
    """The rows of one deployment."""
    for kind in kinds:
        content = FILES[kind]()
        person(address, content, lambda answers: answers < 10)  # warms up
        idle = person(address, content, lambda answers: answers < IDLE_PHOTOS)
        row(deployment, kind, "none", spread(idle), "", "")
        for connections, heeds in PROGRAMS:
            times, rate = during(address, content, connections, heeds)
            sending = f"{connections} connections" + ("" if heeds else ", ignoring `Retry-After`")
            row(
                deployment,
                kind,
                sending,
                f"{spread(times)}, {len(times)} photos",
                f"{p95(times) / p95(idle):.1f}",
                f"{rate:.1f} /s",
            )


@contextlib.contextmanager
def served(deployment: str) -> Iterator[str]:
    """The app under gunicorn; behind nginx, or with a worker if it is split."""
    settings = {"BIRD_PROXIES": "1" if deployment == "nginx" else "0", "BIRD_RATE_LIMIT": ""}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if deployment == "split":
            redis = stack.enter_context(brokers.started(brokers.redis(folder)))
            stack.enter_context(brokers.worker(redis, redis))
            settings |= {"BIRD_QUEUE_URL": redis.url, "BIRD_RESULT_URL": redis.url}
        address = stack.enter_context(servers.running(servers.GUNICORN, folder / "uploads", **settings))
        if deployment == "nginx":
            (folder / "nginx").mkdir()
            address = stack.enter_context(nginx.in_front_of(address, folder / "nginx"))
        yield address


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__.splitlines()[0])
    parser.add_argument("--deployment", choices=DEPLOYMENTS, action="append")
    parser.add_argument("--kind", choices=tuple(FILES), action="append")
    options = parser.parse_args()
    row("deployment", "photos", "the program's folder", "median / p95 of the person", "p95 : idle", "the program gets")
    row(*["---"] * 6)
    for deployment in options.deployment or DEPLOYMENTS:
        with served(deployment) as address:
            measure(deployment, address, options.kind or list(FILES)[:2])


if __name__ == "__main__":
    main()
