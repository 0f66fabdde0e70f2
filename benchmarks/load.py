"""Clients that send a photo to a server again and again for a time."""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.support.servers import FORM_HEADERS, form

CLOSED = 0  # instead of a status: gunicorn closed a connection that had been idle, just when a photo was sent over it


@dataclass
class Load:
    """The answers that the clients got.

    :param seconds: for which they sent photos.
    :param answered: photos that were identified within these seconds.
    :param milliseconds: of every answer, by status; or ``CLOSED``.
    """

    seconds: float = 0.0
    answered: int = 0
    milliseconds: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def rate(self) -> float:
        """Photos identified per second, without those that were answered after the time was over."""
        return self.answered / self.seconds

    def share_within(self, limit: float, status: int) -> float:
        """The share of answers that took no more than this many milliseconds."""
        times = self.milliseconds[status]
        return sum(each <= limit for each in times) / len(times) if times else 1.0

    def describe(self, status: int) -> str:
        """How many answers with a status there were, and how long they took."""
        times = sorted(self.milliseconds[status])
        if not times:
            return "none"
        nearly_all = times[len(times) * 99 // 100]
        return (
            f"{len(times)}: median {statistics.median(times):.0f} ms, "
            f"99 % within {nearly_all:.0f} ms, at most {times[-1]:.0f} ms"
        )


def put_load_on(address: str, content: bytes, clients: int, *, seconds: float, heed_retry_after: bool = True) -> Load:
    """Let clients send a photo again and again until the time is over.

    :param clients: how many; each sends its next photo when it has the answer to the last one.
    :param heed_retry_after: whether those who are refused wait as long as ``Retry-After`` says.
    """
    return asyncio.run(_put_load_on(address, form(content, "bird.jpg"), clients, seconds, heed_retry_after))


def send_photos(address: str, content: bytes, times: Sequence[float], *, seconds: float) -> Load:
    """Send a photo at each of these times, however long the answers to those before take; nobody tries again.

    :param times: in seconds from now, in order.
    """
    return asyncio.run(_send_photos(address, form(content, "bird.jpg"), times, seconds))


async def _send(session: aiohttp.ClientSession, address: str, body: bytes) -> tuple[int, float]:
    """The status of the answer, and ``Retry-After``."""
    try:
        async with session.post(address, data=body, headers=FORM_HEADERS, allow_redirects=False) as answer:
            await answer.read()
            return answer.status, float(answer.headers.get("Retry-After", 0))
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        return CLOSED, 0


async def _send_photos(address: str, body: bytes, times: Sequence[float], seconds: float) -> Load:
    load, begun = Load(seconds), time.perf_counter()

    async def send(session: aiohttp.ClientSession) -> None:
        sent = time.perf_counter()
        status, _retry_after = await _send(session, address, body)
        now = time.perf_counter()
        load.milliseconds[status].append(1000 * (now - sent))
        load.answered += status == 200 and now <= begun + seconds

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
        for each in times:
            await asyncio.sleep(begun + each - time.perf_counter())
            group.create_task(send(session))
    return load


async def _put_load_on(address: str, body: bytes, clients: int, seconds: float, heed_retry_after: bool) -> Load:
    load, end = Load(seconds), time.perf_counter() + seconds

    async def client(session: aiohttp.ClientSession) -> None:
        while (sent := time.perf_counter()) < end:
            status, retry_after = await _send(session, address, body)
            now = time.perf_counter()
            load.milliseconds[status].append(1000 * (now - sent))
            load.answered += status == 200 and now <= end
            if status == 503 and heed_retry_after:
                await asyncio.sleep(retry_after)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return load
