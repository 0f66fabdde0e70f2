"""Workers that are killed, and the service manager that starts a new one at once for each that ended."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from jobs.store import JobStore
from tests.support import servers
from tests.support.brokers import Broker, environment
from tests.support.servers import SMALL_NETWORK

from . import notes

#: What is killed: the process that runs the network, the worker's main process, or both at the same moment.
POOL_PROCESS, MAIN_PROCESS, BOTH = "pool process", "main process", "both"
KINDS = (POOL_PROCESS, POOL_PROCESS, MAIN_PROCESS, BOTH)  # a new main process takes five times as long to start
ORPHAN_LIFETIME = 2  # seconds that a pool process may go on without its main process, as with KillMode=mixed of systemd
CHECK_INTERVAL = 0.05  # seconds


class Crew:
    """A number of workers.

    :ivar kills: how many of each kind there were.
    :param broker: with the address at which workers find it.
    :param results: the same of the store.
    :param size: how many workers.
    :param folder: for what they write.
    """

    def __init__(self, broker: Broker, results: Broker, size: int, folder: Path) -> None:
        self.notes = folder / "notes"
        self.notes.touch()
        self.kills: Counter[str] = Counter()
        self.starts = 0
        self._environment = environment(broker, results, **SMALL_NETWORK, **{notes.FILE: str(self.notes)})
        self._store = JobStore(results.url)
        self._unread_notes = self.notes.open()
        self._pool_processes: dict[int, int] = {}  # the last of each worker that has loaded the network
        self._log = (folder / "workers.log").open("ab")
        self._orphans: list[tuple[float, int]] = []
        self._is_over = threading.Event()
        self._lock = threading.Lock()  # of the workers
        self._size = size
        self._workers = [self._start() for _ in range(size)]
        self._manager = threading.Thread(target=self._manage)

    def __enter__(self) -> Self:
        """Wait until all of them take jobs."""
        self._manager.start()
        try:
            servers.until(lambda: len(self._store.state().workers) == self._size, servers.START_LIMIT)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, _type: type | None, _error: BaseException | None, _traceback: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        self._is_over.set()
        self._manager.join()
        for worker in self._workers:
            _kill_group(worker.pid)
            worker.wait()
        for _time, group in self._orphans:
            _kill_group(group)
        self._log.close()
        self._unread_notes.close()

    def kill_at_random(self) -> None:
        """Kill a worker that takes jobs, whatever it does at this moment."""
        ready = self._await_ready()
        with self._lock:
            worker = random.choice(list(ready))
            self._kill(worker, ready[worker])

    def kill_at_an_event(self, patience: float) -> None:
        """Kill a worker that has just begun a job, or has done it and not yet delivered the answer.

        :param patience: seconds to wait for such a moment; after them any worker is killed.
        """
        ready = self._await_ready()
        note = notes.next_note(self.notes, patience)
        if note is None or note.worker not in ready:
            self.kill_at_random()
            return
        time.sleep(random.uniform(0, 0.005))  # storing the answer and acknowledging the job takes about this long
        with self._lock:
            self._kill(note.worker, note.pool_process)

    def _await_ready(self) -> dict[int, int]:
        """Wait until half of the workers take jobs: with fewer, jobs would wait for a busy machine, not for the queue.

        :return: the process IDs of those that do, and of their pool processes.
        """
        while True:
            loaded = [note for note in notes.read(self._unread_notes) if note.event == notes.LOADED]
            self._pool_processes |= {note.worker: note.pool_process for note in loaded}
            with self._lock:
                pool_processes = {worker.pid: self._pool_processes.get(worker.pid, 0) for worker in self._workers}
            ready = {worker: pool for worker, pool in pool_processes.items() if pool and _is_alive(pool)}
            if len(ready) >= self._size / 2:
                return ready
            time.sleep(CHECK_INTERVAL)

    def _kill(self, worker: int, pool_process: int) -> None:
        kind = random.choice(KINDS)
        with contextlib.suppress(ProcessLookupError):
            if kind == BOTH:
                os.killpg(worker, signal.SIGKILL)
            else:
                os.kill(pool_process if kind == POOL_PROCESS else worker, signal.SIGKILL)
            self.kills[kind] += 1

    def _manage(self) -> None:
        while not self._is_over.wait(CHECK_INTERVAL):
            with self._lock:
                for place, worker in enumerate(self._workers):
                    if worker.poll() is not None:
                        self._orphans.append((time.monotonic() + ORPHAN_LIFETIME, worker.pid))
                        self._workers[place] = self._start()
            for end, group in [orphan for orphan in self._orphans if orphan[0] < time.monotonic()]:
                _kill_group(group)
                self._orphans.remove((end, group))

    def _start(self) -> "subprocess.Popen[bytes]":
        self.starts += 1
        return subprocess.Popen(
            [sys.executable, "-m", "celery", "-q", "-A", "chaos.worker", "worker", "-n", f"{self.starts}@chaos"],
            cwd=servers.ROOT,
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )


def _is_alive(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
