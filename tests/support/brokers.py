"""Brokers as real servers on this machine (Redis, RabbitMQ, and moto in place of Amazon SQS), and workers."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from redis import Redis

from jobs import QUEUE, TASK
from jobs.celery_config import celery_app
from jobs.store import JOB, WAITING, JobStore

from . import servers

START_LIMIT = 60  # seconds; RabbitMQ takes ten on a quiet machine
#: Debian's script in /usr/sbin would run it as another user, who may not write to a test's folder.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
MOTO = [sys.executable, "-m", "moto.server"]

KILLS, HANGS, RAISES = 11, 22, 33  # the first number of the pixels, and what it does to breakable_worker.py


@dataclass
class Broker:
    """A server that can be stopped and started again at the same address.

    :param url: for BIRD_QUEUE_URL.
    """

    url: str
    command: list[str]
    port: int
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    clean_up: list[str] = field(default_factory=lambda: ["true"])  # a command, run after the last stop
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with open(self.folder / "broker.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        """:raises RuntimeError: it does not, within ``START_LIMIT``."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "broker.log").read_text())

    def stop(self) -> None:
        """Stop the server as an administrator does: it may write its data to disk."""
        self.process.terminate()
        self.process.wait(timeout=START_LIMIT)

    def freeze(self) -> None:
        """Suspend the server: connections stay open, but nothing is answered."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a suspended server go on."""
        os.killpg(self.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def started(broker: Broker) -> Iterator[Broker]:
    """Run a broker until the block ends, and leave none of its processes."""
    broker.start()
    try:
        yield broker
    finally:
        if broker.process.poll() is None:
            broker.thaw()
            broker.stop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(broker.process.pid, signal.SIGKILL)
        subprocess.run(broker.clean_up, check=True, stdout=subprocess.DEVNULL)


def redis(folder: Path, password: str = "") -> Broker:
    """Debian's Redis; its data survives a stop."""
    needs("redis-server")
    port = servers.free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "3600 1"]
    command += ["--requirepass", password]
    user = f":{quote(password, safe='')}@" if password else ""
    return Broker(f"redis://{user}127.0.0.1:{port}/0", command, port, folder)


def rabbitmq(folder: Path) -> Broker:
    """Debian's RabbitMQ, with its own Erlang port mapper."""
    needs("epmd")
    if not RABBITMQ.exists():
        pytest.skip(f"{RABBITMQ} is not here: install Debian's rabbitmq-server")
    port, mapper_port = servers.free_port(), str(servers.free_port())
    config = folder / "rabbitmq.conf"
    config.write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nloopback_users = none\n")
    environment = {
        "HOME": str(folder),  # of Erlang's cookie
        "ERL_EPMD_PORT": mapper_port,
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"birds{port}@localhost",
        "RABBITMQ_DIST_PORT": str(servers.free_port()),
        "RABBITMQ_CONFIG_FILE": str(config),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
    }
    end_mapper = ["epmd", "-port", mapper_port, "-kill"]
    return Broker(f"amqp://guest:guest@127.0.0.1:{port}//", [str(RABBITMQ)], port, folder, environment, end_mapper)


def sqs(folder: Path) -> Broker:
    """moto in place of Amazon SQS, which a test cannot reach."""
    port = servers.free_port()
    command = [*MOTO, "-H", "127.0.0.1", "-p", str(port)]
    return Broker(f"sqs://key:secret@127.0.0.1:{port}//", command, port, folder)


BROKERS: dict[str, Callable[[Path], Broker]] = {"redis": redis, "rabbitmq": rabbitmq, "sqs": sqs}


def make_as_new(broker: Broker) -> None:
    """Have a broker run, without jobs, in whatever state a test left it."""
    if broker.process.poll() is None:
        broker.thaw()
    else:
        broker.start()
    app = celery_app(broker.url, "redis://")
    with app.connection_for_write() as connection:
        queue = app.amqp.queues[QUEUE](connection.default_channel)
        queue.queue_declare()
        queue.purge()


def send_version_1(redis: Broker, job_id: str, arguments: list[object]) -> None:
    """Send a job as a web process of the release before does, but with arguments that it would not send."""
    store = Redis.from_url(redis.url)
    store.zadd(WAITING, {job_id: time.time()})
    store.hset(JOB + job_id, "entered", time.time())
    celery_app(redis.url, redis.url).send_task(TASK, arguments, task_id=job_id)


def needs(program: str) -> None:
    """Skip the test if a program is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@contextlib.contextmanager
def worker(
    broker: Broker,
    results: Broker,
    *,
    module: str = "jobs.worker",
    concurrency: int = 1,
    python: str = sys.executable,
    code: Path = servers.ROOT,
    **settings: str,
) -> Iterator[psutil.Process]:
    """Run a worker until the block ends.

    :param module: the Celery app.
    :param concurrency: how many networks it has.
    :param python: of the virtual environment in which it runs.
    :param code: the release that it runs.
    :return: the worker's main process, once it takes jobs.
    """
    name = f"worker{servers.free_port()}@birds"
    command = [python, "-m", "celery", "-q", "-A", module, "worker", "-n", name, "-c", str(concurrency)]
    store = JobStore(results.url)
    process = subprocess.Popen(command, cwd=code, env=environment(broker, results, **settings))
    try:
        deadline = time.monotonic() + servers.START_LIMIT
        while not any(each.name.startswith(name) for each in store.state().workers):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the worker did not start: {process.returncode}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        for child in psutil.Process(process.pid).children() if process.poll() is None else []:
            child.resume()  # a test may have stopped it
        process.terminate()
        process.wait(timeout=40)


def environment(broker: Broker, results: Broker, **settings: str) -> dict[str, str]:
    """The environment of a worker: these settings, and none of the caller's own."""
    urls = {"BIRD_QUEUE_URL": broker.url, "BIRD_RESULT_URL": results.url}
    return servers.environment(0, results.folder / "uploads", **urls, **settings)
