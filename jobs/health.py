"""The HTTP server with which a worker answers ``/healthz``, for a load balancer or a deployment."""

import json
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What /healthz answers: a JSON object, and the HTTP status.
Report = tuple[dict[str, object], int]


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds; a client that sends nothing must not keep a thread

    def __init__(self, report: Callable[[], Report], *arguments: Any) -> None:
        self._report = report
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer ``/healthz``; anything else is not found."""
        content, status = self._report() if self.path == "/healthz" else ({}, HTTPStatus.NOT_FOUND)
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: these requests come every few seconds."""


def serve_health(port: int, report: Callable[[], Report]) -> None:
    """Answer ``http://127.0.0.1:<port>/healthz`` in a daemon thread until the process ends.

    :param report: called for each request.
    :raises OSError: the port cannot be used.
    """
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, report))
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
