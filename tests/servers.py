"""The app in processes of its own, as people run it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FLASK = [sys.executable, "application.py"]
GUNICORN = [
    sys.executable,
    "-m",
    "gunicorn",
    "--threads",
    "4",
    "--timeout",
    "120",
    "application:application",
]  # listens on PORT
START_LIMIT = 120  # seconds; TensorFlow's import alone takes many on a busy machine


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(port: int, uploads: Path, **settings: str) -> dict[str, str]:
    """Where the app listens and keeps uploads, and its other settings; none of the caller's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BIRD_", "FLASK_"))}
    return kept | {"PORT": str(port), "BIRD_UPLOADS": str(uploads)} | settings


@contextlib.contextmanager
def running(command: list[str], uploads: Path, **settings: str) -> Iterator[str]:
    """Run the app until the block ends.

    :return: its address, once it answers.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, cwd=ROOT, env=environment(port, uploads, **settings))
    try:
        wait_until_it_answers(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=40)


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


def start_and_fail(uploads: Path, *, port: int, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start the app where it cannot start; what it printed, and its exit code."""
    return subprocess.run(
        FLASK,
        cwd=ROOT,
        env=environment(port, uploads, **settings),
        capture_output=True,
        text=True,
        timeout=START_LIMIT,
    )


def post_photo(address: str, content: bytes, name: str = "bird.jpg") -> tuple[int, str]:
    """Post a file as a browser does, redirect and cookie included: the last answer's status, and its page."""
    head = f'--b\r\nContent-Disposition: form-data; name="bird_image"; filename="{name}"\r\n\r\n'
    form = urllib.request.Request(
        address,
        data=head.encode() + content + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(form, timeout=60) as answer:
        return answer.status, answer.read().decode()
