"""Clients that send more, less or more slowly than they should."""

import contextlib
import http.client
import socket
from urllib.parse import urlsplit

from .pages import sentence_on
from .servers import FORM_HEADERS, Answer, form

MIB = 2**20
BLOCK = 50_000  # bytes of a chunk


def connected(address: str) -> contextlib.closing[http.client.HTTPConnection]:
    """A connection to a server, which is closed when the block ends."""
    return contextlib.closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=60))


def send_form(connection: http.client.HTTPConnection, size: int, *, path: str = "/", chunked: bool = False) -> Answer:
    """Send a whole form before reading the answer, as a browser does; no redirect is followed.

    :param size: bytes of the file in it, which is not a photo.
    :param chunked: send it without saying how long it is.
    """
    body = form(b"x" * size, "bird.jpg")
    chunks = (body[start : start + BLOCK] for start in range(0, len(body), BLOCK))
    length = {} if chunked else {"Content-Length": str(len(body))}
    connection.request("POST", path, chunks if chunked else body, FORM_HEADERS | length, encode_chunked=chunked)
    answer = connection.getresponse()
    return Answer(answer.status, answer.headers, answer.read().decode())


def browser_like_post(address: str, size: int, *, chunked: bool = False) -> tuple[int, str]:
    """Send a whole form before reading the answer, and follow the redirect, as a browser does.

    :param size: bytes of the file in the form, which is not a photo.
    :return: the status, and the message on the page that the answer leads to.
    """
    with connected(address) as connection:
        answer = send_form(connection, size, chunked=chunked)
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        connection.request("GET", answer.headers["Location"], headers={"Cookie": cookie})
        return answer.status, sentence_on(connection.getresponse().read().decode())


def begin_upload(address: str, *, headers: str, body: bytes = b"", path: str = "/") -> socket.socket:
    """Send the beginning of a form.

    :param headers: how long it is, such as ``Content-Length: 1000``.
    :return: the connection.
    """
    url = urlsplit(address)
    connection = socket.create_connection((url.hostname, url.port), timeout=60)
    lines = [f"POST {path} HTTP/1.1", f"Host: {url.netloc}", f"Content-Type: {FORM_HEADERS['Content-Type']}", headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def abort_upload(address: str, declared: int, sent: int) -> None:
    """Announce a form of ``declared`` bytes, send about ``sent`` of them, and disconnect."""
    body = form(b"x" * sent, "bird.jpg")[:-20]
    begin_upload(address, headers=f"Content-Length: {declared}", body=body).close()
