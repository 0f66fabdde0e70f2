"""The files for a host of your own: systemd units, nginx configuration, and a restart behind systemd's socket."""

import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support import nginx
from tests.support.servers import ROOT

from .beanstalk import APP_PORT, Instance
from .visits import is_answered, send, wait_until_ready

UNITS = ("birds.socket", "birds.service", "birds-worker.service")


def unit_lines(name: str, key: str) -> list[str]:
    """The values that a unit file gives to a key."""
    return re.findall(rf"^{key}=(.*)$", (ROOT / "deploy" / name).read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def host(instance: Instance) -> Instance:
    """The shared instance in the role of /opt/birds, with the app stopped."""
    if instance.is_running():
        instance.service.stop()
    (instance.current / ".venv").symlink_to(instance.venv)
    return instance


@pytest.fixture(scope="module")
def address(host: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of nginx with deploy/nginx.conf."""
    with nginx.in_front_of(f"http://127.0.0.1:{APP_PORT}", tmp_path_factory.mktemp("nginx"), host.current) as address:
        yield address


@pytest.fixture(scope="module")
def systemd(host: Instance, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Systemd"]:
    """systemd with the service started and ready."""
    systemd = Systemd(host, tmp_path_factory.mktemp("uploads"))
    systemd.start()
    try:
        wait_until_ready(address)
        yield systemd
    finally:
        systemd.close()


def test_the_unit_files_are_valid(host, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for name in UNITS:
        text = (ROOT / "deploy" / name).read_text().replace("/opt/birds", str(host.current))
        (tmp_path / name).write_text(text)
    found = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in UNITS)], capture_output=True, text=True
    )
    assert (found.returncode, found.stderr) == (0, "")


class Systemd:
    """What systemd does with the two units: it holds the socket and passes it to the service at each start."""

    def __init__(self, host: Instance, uploads: Path) -> None:
        [listen] = unit_lines("birds.socket", "ListenStream")
        assert listen == f"127.0.0.1:{APP_PORT}"
        self._socket = socket.create_server(("127.0.0.1", APP_PORT), backlog=4096)
        [command] = unit_lines("birds.service", "ExecStart")
        self._command = command.replace("/opt/birds", str(host.current))
        self._environment = dict(line.split("=", 1) for line in unit_lines("birds.service", "Environment"))
        self._environment |= {"BIRD_UPLOADS": str(uploads), "BIRD_RATE_LIMIT": "", "PATH": "/usr/bin:/bin"}
        self._host = host

    def start(self) -> None:
        """Start the service."""
        descriptor = self._socket.fileno()
        script = f"exec 3<&{descriptor}; LISTEN_FDS=1 LISTEN_PID=$$ exec {self._command}"
        self._process = subprocess.Popen(
            ["bash", "-c", script], cwd=self._host.current, env=self._environment, pass_fds=[descriptor]
        )

    def stop(self) -> int:
        """Stop the service.

        :return: its exit code.
        """
        self._process.send_signal(signal.SIGTERM)  # KillMode=mixed: SIGTERM goes to the main process only
        return self._process.wait(timeout=60)

    def close(self) -> None:
        """Stop the service and close the socket."""
        if self._process.poll() is None:
            self.stop()
        self._socket.close()


def test_nginx_serves_static_files_hides_metrics_and_says_whether_the_client_uses_https(systemd, address):
    style = requests.get(f"{address}/static/style.css")
    assert (style.headers["Server"].partition("/")[0], style.headers["Cache-Control"]) == ("nginx", "no-cache")
    assert requests.get(f"{address}/metrics").status_code == 404
    spoofed = requests.post(address, headers={"X-Forwarded-Proto": "https"}, allow_redirects=False)
    assert "; Secure" not in spoofed.headers["Set-Cookie"]


def test_a_restart_turns_nobody_away(systemd, address, goldfinch):
    is_over = threading.Event()

    def visit() -> list[requests.Response]:
        answers = []
        while not is_over.is_set():
            answers.append(send(address, goldfinch))
        return answers

    with ThreadPoolExecutor() as visitors:
        visits = [visitors.submit(visit) for _ in range(4)]
        assert systemd.stop() == 0
        systemd.start()
        wait_until_ready(address)
        is_over.set()
    answers = [answer for visit in visits for answer in visit.result()]
    assert len(answers) >= 4
    assert all(map(is_answered, answers))
