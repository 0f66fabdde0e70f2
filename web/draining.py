"""Reading what a client still sends when it is answered, so that it gets the answer and keeps no thread."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from flask import Flask, request
from werkzeug.wrappers import Response

DRAIN_LIMIT = 2**30  # bytes that are read before the sender is answered
DRAIN_SECONDS = 30  # then the connection is no longer read: a sender that trickles bytes must not keep a thread
DRAIN_BLOCK = 2**16  # bytes


def init_app(app: Flask) -> None:
    """Drain the bodies that no view reads; a server would read them after the answer, without a time limit."""

    @app.after_request
    def drain_unread_body(response: Response) -> Response:
        if request.method != "POST":  # views read the body of a POST, and errors drain it
            drain_request()
        return response


def drain_request() -> None:
    """Read and discard what the client still has to send, up to ``DRAIN_LIMIT`` and ``DRAIN_SECONDS``.

    If a server answers and closes the connection while a browser is still sending, the browser shows "connection reset"
    instead of the answer.
    """
    if not _has_body():
        return
    request.max_content_length = DRAIN_LIMIT
    if request.content_length is None:
        # A chunked body has used up the stream that was limited to MAX_CONTENT_LENGTH.
        vars(request).pop("stream", None)
    # It ends at the limit, or with an exception, which depends on the server, if the client disconnects.
    with _reading_ends_after(DRAIN_SECONDS), contextlib.suppress(Exception):
        while request.stream.read(DRAIN_BLOCK):
            pass


def _has_body() -> bool:
    return bool(request.content_length) or "chunked" in request.headers.get("Transfer-Encoding", "").lower()


@contextlib.contextmanager
def _reading_ends_after(seconds: float) -> Iterator[None]:
    """End all reading from the client after this time, however slowly it sends."""
    connection = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    if connection is None:
        yield
        return
    # A timeout of the socket applies to each read, and a client that sends a byte a second never exceeds it.
    timer = threading.Timer(seconds, _stop_reading, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _stop_reading(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client has disconnected
        # Not the method of an SSLSocket, after which the answer would be sent unencrypted.
        socket.socket.shutdown(connection, socket.SHUT_RD)
