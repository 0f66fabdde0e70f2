"""What visitors send, including those who are slow or send nothing."""

import contextlib
import socket
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import requests

from tests.support.servers import FORM_HEADERS, form, until

TOO_LARGE = "Uploaded file too large."
wait_until = partial(until, seconds=120)  # an idle machine loads the model in ten


def send(address: str, photo: bytes, path: str = "/", name: str = "bird.jpg") -> requests.Response:
    """Post a photo as a browser does, and follow redirects."""
    with requests.Session() as browser:
        return browser.post(address + path, files={"bird_image": (name, photo, "image/jpeg")}, timeout=120)


def is_answered(answer: requests.Response) -> bool:
    """Whether a response is the page that names the bird."""
    return answer.status_code == 200 and "Predicted : " in answer.text


def health(address: str) -> requests.Response:
    """The response of /healthz."""
    return requests.get(f"{address}/healthz", timeout=5)


def wait_until_ready(address: str) -> None:
    """Wait until /healthz says that photos are answered."""
    wait_until(lambda: health(address).status_code == 200)


@contextlib.contextmanager
def connections(address: str, count: int) -> Iterator[list[socket.socket]]:
    """Open connections on which nothing has been sent yet, ten from each client's address.

    :param address: an http:// URL with a port.
    """
    parts = urlsplit(address)
    server = (parts.hostname or "", parts.port or 80)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(server, 60, source_address=(f"127.0.0.{1 + n // 10}", 0)))
            for n in range(count)
        ]


def raw_upload(photo: bytes) -> bytes:
    """A whole HTTP request that posts a photo."""
    body = form(photo, "bird.jpg")
    head = f"POST / HTTP/1.1\r\nHost: birds\r\nContent-Type: {FORM_HEADERS['Content-Type']}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def drip(clients: list[socket.socket], request: bytes, *, rate: int, seconds: float) -> int:
    """Slowly send the beginning of a request over each connection.

    :param rate: bytes a second, for each connection.
    :param seconds: how long.
    :return: how many bytes have been sent over each.
    """
    sent, started = 0, time.monotonic()
    while time.monotonic() - started < seconds and sent < len(request):
        for client in clients:
            client.sendall(request[sent : sent + rate // 10])
        sent += rate // 10
        time.sleep(0.1)
    return sent


def read_to_end(client: socket.socket) -> str:
    """Read until the server closes the connection."""
    with client.makefile("rb") as answer:
        return answer.read().decode()
