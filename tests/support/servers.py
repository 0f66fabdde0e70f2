"""The app in processes of its own, started as people start it."""

import contextlib
import http.client
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).parent.parent.parent
FLASK = [sys.executable, "application.py"]
GUNICORN = [sys.executable, "-m", "gunicorn", "application:application"]  # gunicorn.conf.py has the rest
START_LIMIT = 120  # seconds; TensorFlow's import alone takes many on a busy machine
KERAS2 = ROOT / "tests" / "support" / "keras2"
SMALL_NETWORK = {"BIRD_MODEL": str(KERAS2 / "model.h5"), "BIRD_LABELS": str(KERAS2 / "class_indices.npy")}

#: Below the ports that the system gives to clients (ip(7)), which could otherwise take one before the server does. Each
#: pytest process has its own.
PORTS = range(20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8, 32_768, 8)
_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, a different one each time."""
    while True:
        port = secrets.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def environment(port: int, uploads: Path, **settings: str) -> dict[str, str]:
    """The environment of an app with these settings, and with none from the environment of the tests.

    By default the app refuses nothing: the drawings of the tests look unlike photos of birds.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIRD_", "FLASK_", "TF_"))}
    return kept | {"PORT": str(port), "BIRD_UPLOADS": str(uploads), "BIRD_STRICTNESS": "0"} | settings


@contextlib.contextmanager
def running(
    command: list[str], uploads: Path, *, code: Path = ROOT, output: IO[str] | None = None, **settings: str
) -> Iterator[str]:
    """Run the app until the block ends.

    :param code: the release that runs.
    :param output: where it prints; by default where the tests do.
    :return: its address, once it answers.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command, cwd=code, env=environment(port, uploads, **settings), stdout=output, stderr=output
    )
    try:
        wait_until_it_answers(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=40)


@contextlib.contextmanager
def together(*programs: AbstractContextManager) -> Iterator[list]:
    """Start several programs at the same time, since none keeps more than one core busy, and stop them together.

    :return: the value of each context manager.
    """
    stacks = [ExitStack() for _ in programs]
    with ThreadPoolExecutor(len(programs)) as pool:
        starts = [pool.submit(stack.enter_context, program) for stack, program in zip(stacks, programs, strict=True)]
        wait(starts)
        try:
            yield [start.result() for start in starts]
        finally:
            list(pool.map(ExitStack.close, stacks))


def wait_until_it_answers(address: str, process: subprocess.Popen) -> None:
    """:raises RuntimeError: the process ends, or does not answer within ``START_LIMIT``."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the app ended with exit code {process.returncode}")
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(address, timeout=START_LIMIT):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the app did not answer within {START_LIMIT} s")


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for a condition.

    :raises AssertionError: it does not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def start_and_fail(
    uploads: Path, *, port: int, command: list[str] = FLASK, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run an app that is expected not to start; what it printed, and its exit status."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(port, uploads, **settings),
        capture_output=True,
        text=True,
        timeout=START_LIMIT,
    )


def one_line_refusal(uploads: Path, *, command: list[str] = FLASK, **settings: str) -> str:
    """Start the app where it must end with exit status 4 and print no traceback; the one line that it prints."""
    ended = start_and_fail(uploads, port=free_port(), command=command, **settings)
    assert ended.returncode == 4
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("application: ")]
    return line


def leftovers(uploads: Path) -> list[str]:
    """The names of the files in an uploads folder."""
    return [path.name for path in uploads.iterdir()]


FORM_HEADERS = {"Content-Type": "multipart/form-data; boundary=f9d2c7"}


def form(content: bytes, name: str) -> bytes:
    """The body of a form with one file, to be sent with ``FORM_HEADERS``."""
    head = f'--f9d2c7\r\nContent-Disposition: form-data; name="bird_image"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--f9d2c7--\r\n"


def post_photo(address: str, content: bytes, name: str = "bird.jpg") -> tuple[int, str]:
    """Post a file and follow a redirect, cookie included, as a browser does; the last status and page."""
    request = urllib.request.Request(address, form(content, name), FORM_HEADERS)
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(request, timeout=60) as answer:
        return answer.status, answer.read().decode()


@dataclass(frozen=True)
class Answer:
    """The answer of a server to one request."""

    status: int
    headers: Message
    page: str


def send_photo(address: str, content: bytes, name: str = "bird.jpg", path: str = "/", client: int = 1) -> Answer:
    """Post a file; no redirect is followed.

    :param client: from 1 to 254; each has an address of its own, 127.0.0.``client``, from 2 on only on Linux.
    """
    connection = http.client.HTTPConnection(
        urlsplit(address).netloc, timeout=60, source_address=(f"127.0.0.{client}", 0)
    )
    connection.request("POST", path, form(content, name), FORM_HEADERS)
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    return Answer(answer.status, answer.headers, page)


def processes_at(address: str) -> list[psutil.Process]:
    """The processes of an app that was started here: the one that listens, gunicorn's worker, the decoder process."""
    port = int(address.rpartition(":")[2])
    for process in psutil.Process().children():
        if any(connection.laddr.port == port for connection in process.net_connections("tcp")):
            workers = process.children() if "gunicorn" in process.cmdline() else []
            return [process, *workers, *filter(_is_decoder, process.children(recursive=True))]
    raise LookupError(f"nothing listens at {address}")


def _is_decoder(process: psutil.Process) -> bool:
    """Whether it is a decoder process. Between fork and exec it looks like a second app, with all of its memory."""
    try:
        return "inference.decoder" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def memory_at(address: str) -> int:
    """The memory that an app takes, in bytes."""
    memory = 0
    for process in processes_at(address):
        with contextlib.suppress(psutil.NoSuchProcess):
            memory += process.memory_info().rss
    return memory


def processor_time_at(address: str) -> float:
    """The processor time that an app has taken until now, that of its ended processes included, in seconds."""
    app, *others = processes_at(address)
    seconds = sum(app.cpu_times()[:4])
    for other in others:
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += sum(other.cpu_times()[:2])
    return seconds
