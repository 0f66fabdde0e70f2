"""What clients meet who all come in the same moment: python -m benchmarks.stampede [--address URL] [--clients N]

Without ``--address``, gunicorn and nginx are started as on a host of one's own; nginx must be installed. All clients
are in one thread, because they share the cores with what they measure: sockets that do not block, and an event loop.
"""

import argparse
import heapq
import selectors
import socket
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.support import nginx, servers
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.servers import FORM_HEADERS, form

from .compared import WITHOUT_CLOSER_LOOK

SMALL, LARGE = 50_000, 2_000_000  # bytes of a photo
CHUNK = 1 << 16  # bytes that are sent at once
LONGEST = 120  # seconds until the benchmark gives up
BUSY = 503
LOST = 0  # instead of a status: the connection was closed without an answer


@dataclass(frozen=True)
class Answer:
    """The head of an answer.

    :param status: or ``LOST``.
    :param retry_after: seconds, or None.
    :param from_sending: milliseconds since the first byte was sent.
    :param from_sent: since all was sent; None if the answer came earlier.
    :param from_connecting: milliseconds since the connection was asked for.
    """

    status: int
    retry_after: int | None
    from_sending: float
    from_sent: float | None
    from_connecting: float


@dataclass
class Client:
    """One connection, with one request.

    :param number: of the client, who may come several times.
    """

    number: int
    socket: socket.socket
    connecting: float
    sending: float = 0.0
    sent: int = 0
    sent_all: float | None = None
    received: bytes = b""


@dataclass
class Stampede:
    """Clients who send the same request.

    :param address: an http:// URL.
    :param request: all of its bytes.
    :param again: whether those who are refused wait as long as ``Retry-After`` says, and come again.
    :ivar answers: of each client, one for each time it came.
    :ivar seconds: from the first byte sent until the last answer.
    """

    address: str
    request: bytes
    again: bool = False
    answers: list[list[Answer]] = field(default_factory=list)
    seconds: float = 0.0

    def run(self, clients: int) -> "Stampede":
        """Connect all clients, let them send in the same moment, and wait until each has its answer."""
        self.answers = [[] for _ in range(clients)]
        self._selector, self._absent = selectors.DefaultSelector(), list[tuple[float, int]]()
        arrived = [self._connect(number) for number in range(clients)]
        self._wait_for(arrived)
        started = time.perf_counter()
        for client in arrived:
            self._send(client)
        while self._selector.get_map() or self._absent:
            if time.perf_counter() > started + LONGEST:
                raise TimeoutError(f"Some clients have no answer after {LONGEST} s.")
            self._step()
        self.seconds = time.perf_counter() - started
        return self

    def _connect(self, number: int) -> Client:
        parts = urlsplit(self.address)
        connection = socket.socket()
        connection.setblocking(False)
        if parts.hostname == "127.0.0.1":  # each client has an address of its own, as far as Linux allows
            connection.bind((f"127.0.{1 + number // 250 % 250}.{1 + number % 250}", 0))
        client = Client(number, connection, time.perf_counter())
        connection.connect_ex((parts.hostname or "", parts.port or 80))
        self._selector.register(connection, selectors.EVENT_WRITE, client)
        return client

    def _wait_for(self, clients: list[Client]) -> None:
        """Wait until all are connected."""
        missing = len(clients)
        while missing:
            for key, _events in self._selector.select():
                self._selector.unregister(key.fileobj)
                missing -= 1
        for client in clients:
            self._selector.register(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _step(self) -> None:
        """Handle what has happened, or wait for the next client to come again."""
        until_next = max(0, self._absent[0][0] - time.perf_counter()) if self._absent else 1
        for key, events in self._selector.select(until_next):
            if events & selectors.EVENT_READ:
                self._receive(key.data)
            elif events & selectors.EVENT_WRITE:
                self._send(key.data)
        while self._absent and self._absent[0][0] <= time.perf_counter():
            self._connect(heapq.heappop(self._absent)[1])

    def _send(self, client: Client) -> None:
        client.sending = client.sending or time.perf_counter()
        try:
            client.sent += client.socket.send(memoryview(self.request)[client.sent : client.sent + CHUNK])
        except BlockingIOError:
            pass
        except OSError:
            self._receive(client)  # the answer may be there already
            return
        if client.sent == len(self.request):
            client.sent_all = time.perf_counter()
            self._selector.modify(client.socket, selectors.EVENT_READ, client)

    def _receive(self, client: Client) -> None:
        try:
            received = client.socket.recv(CHUNK)
        except OSError:
            received = b""
        client.received += received
        if received and b"\r\n\r\n" not in client.received:
            return
        self._selector.unregister(client.socket)
        client.socket.close()
        answer = answer_to(client)
        self.answers[client.number].append(answer)
        if self.again and answer.status == BUSY:
            heapq.heappush(self._absent, (time.perf_counter() + (answer.retry_after or 0), client.number))


def answer_to(client: Client) -> Answer:
    """What a client has received."""
    head, is_whole, _body = client.received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _colon, value in (line.partition(": ") for line in lines)}
    retry_after = int(headers["retry-after"]) if "retry-after" in headers else None
    now = time.perf_counter()
    status = int(first.split()[1]) if is_whole else LOST
    from_sent = None if client.sent_all is None else 1000 * (now - client.sent_all)
    return Answer(status, retry_after, 1000 * (now - client.sending), from_sent, 1000 * (now - client.connecting))


def post(path: str, body: bytes) -> bytes:
    """A request that posts a form."""
    head = f"POST {path} HTTP/1.1\r\nHost: birds\r\nContent-Type: {FORM_HEADERS['Content-Type']}\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def photo_of(size: int) -> bytes:
    """A drawing as a JPEG, with zeros after its end that make it as large as this."""
    photo = encoded(draw_goldfinch(), "JPEG")
    return photo + bytes(max(0, size - len(photo)))


def spread(times: Iterable[float]) -> str:
    """The median, what 99 of 100 stay within, and the maximum."""
    ordered = sorted(times)
    if not ordered:
        return "none"
    nearly_all = ordered[len(ordered) * 99 // 100]
    return f"median {statistics.median(ordered):.0f} ms, 99 % within {nearly_all:.0f} ms, at most {ordered[-1]:.0f} ms"


def describe(stampede: Stampede) -> list[str]:
    """The lines that are printed."""
    answers = [answer for visits in stampede.answers for answer in visits]
    refused = [answer for answer in answers if answer.status == BUSY]
    told = Counter(answer.retry_after for answer in refused)
    tries = [len(visits) for visits in stampede.answers]
    return [
        f"statuses: {dict(sorted(Counter(answer.status for answer in answers).items()))}",
        f"503, from sending: {spread(answer.from_sending for answer in refused)}",
        f"503, from having sent all: {spread(each.from_sent for each in refused if each.from_sent is not None)}",
        f"503, from connecting: {spread(answer.from_connecting for answer in refused)}",
        f"others, from sending: {spread(answer.from_sending for answer in answers if answer.status != BUSY)}",
        f"Retry-After: {dict(sorted(told.items(), key=str))}",
        f"the last answer after {stampede.seconds:.1f} s; tries: mean {statistics.mean(tries):.1f}, most {max(tries)}",
    ]


def measure(address: str, clients: int) -> None:
    """Print what a stampede of small photos, one of large ones, and one that comes again meet."""
    for what, size, again in (
        ("photos of 50 kB", SMALL, False),
        ("photos of 2 MB", LARGE, False),
        ("photos of 50 kB, who come again when told to", SMALL, True),
    ):
        request = post(WITHOUT_CLOSER_LOOK, form(photo_of(size), "bird.jpg"))
        print(f"{clients} clients at once, {what}:")
        for line in describe(Stampede(address, request, again).run(clients)):
            print(f"  {line}", flush=True)


def main() -> None:
    """Measure the address that was given, or start a server to measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--address", help="of the server, http://…")
    parser.add_argument("--clients", type=int, default=1000)
    options = parser.parse_args()
    if options.address:
        measure(options.address, options.clients)
        return
    with (
        tempfile.TemporaryDirectory() as name,
        open(Path(name) / "log", "w") as log,
        servers.running(
            servers.GUNICORN, Path(name) / "uploads", output=log, BIRD_PROXIES="1", BIRD_RATE_LIMIT=""
        ) as app,
        nginx.in_front_of(app, Path(name) / "nginx") as address,
    ):
        measure(address, options.clients)


if __name__ == "__main__":
    main()
