"""A host of one's own: the units for systemd, the configuration of nginx, and a restart behind systemd's socket."""

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

from tests.servers import ROOT, free_port

from .beanstalk import APP_PORT, Instance, nginx_running
from .visits import is_answered, send, wait_until_ready

UNITS = ("birds.socket", "birds.service", "birds-worker.service")
HTTP = """
pid nginx.pid;
events {{}}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    include {site};
}}
"""


def unit_lines(name: str, key: str) -> list[str]:
    """What a unit sets a key to."""
    return re.findall(rf"^{key}=(.*)$", (ROOT / "deploy" / name).read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def host(instance: Instance) -> Instance:
    """The folder as /opt/birds, and nothing that runs in it."""
    if instance.is_running():
        instance.service.stop()
    (instance.current / ".venv").symlink_to(instance.venv)
    return instance


@pytest.fixture(scope="module")
def address(host: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of nginx with deploy/nginx.conf, which finds the folder somewhere else than in /opt, and not on port 80."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    site = (ROOT / "deploy" / "nginx.conf").read_text().replace("/opt/birds", str(host.current))
    site = site.replace("listen 80;", f"listen 127.0.0.1:{port};").replace("listen [::]:80;", "")
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(HTTP.format(site=folder / "site.conf"))
    with nginx_running(folder, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def systemd(host: Instance, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Systemd"]:
    """With the service started."""
    systemd = Systemd(host, tmp_path_factory.mktemp("uploads"))
    systemd.start()
    try:
        wait_until_ready(address)
        yield systemd
    finally:
        systemd.close()


def test_systemd_finds_no_fault_with_the_units(host, tmp_path):
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
    """What systemd does with birds.socket and birds.service: it has the socket, and hands it to each start."""

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
        """Stop it; the exit code."""
        self._process.send_signal(signal.SIGTERM)  # KillMode=mixed: its first process alone
        return self._process.wait(timeout=60)

    def close(self) -> None:
        """Stop it, and let the socket go."""
        if self._process.poll() is None:
            self.stop()
        self._socket.close()


def test_nginx_serves_static_files_closes_metrics_and_tells_the_app_whether_it_is_https(systemd, address):
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
