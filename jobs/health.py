"""Whether a worker takes jobs, for who asks by HTTP: a load balancer, a deployment."""

import json
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds; who says nothing keeps no thread

    def __init__(self, health: Callable[[], tuple[dict[str, object], int]], *arguments: object) -> None:
        self._health = health
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer at /healthz alone."""
        about, status = self._health() if self.path == "/healthz" else ({}, HTTPStatus.NOT_FOUND)
        body = json.dumps(about).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_about: object) -> None:
        """It is asked every few seconds."""


def answer_health(port: int, health: Callable[[], tuple[dict[str, object], int]]) -> None:
    """Answer http://127.0.0.1:port/healthz in a thread of its own, as long as this process lives.

    :param health: what to say, and the status.
    :raises OSError: the port is taken.
    """
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, health))
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
