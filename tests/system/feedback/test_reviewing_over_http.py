"""What a server makes of forms for the review page that are no forms."""

import socket

import pytest

from tests.support import servers
from tests.support.corrections import feedback_settings

MALFORMED = "Transfer-Encoding: chunked\r\n\r\nZZ\r\nkey=a"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory):
    """The port of a site with a review page."""
    folder = tmp_path_factory.mktemp("review")
    settings = servers.SMALL_NETWORK | feedback_settings(folder)
    with servers.running(servers.GUNICORN, folder / "uploads", **settings) as address:
        yield int(address.rpartition(":")[2])


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_the_page_asks_for_its_key(port, method):
    assert send(port, f"{method} /review HTTP/1.1\r\nHost: birds\r\nConnection: close\r\n\r\n") == 200


def test_a_malformed_key_is_the_senders_mistake(port):
    head = f"POST /review/key HTTP/1.1\r\nHost: birds\r\nConnection: close\r\n{FORM}"
    assert send(port, head + MALFORMED) == 400


def send(port: int, request: str) -> int:
    """The status of the answer to a request."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request.encode())
        return int(connection.makefile("rb").readline().split()[1])
