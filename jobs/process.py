"""What one worker owns: its settings, model pair and job store, and whether its processes have loaded the model.

Celery's main process talks to the broker and never imports TensorFlow, which does not survive a fork. The processes of
its pool are forked from it. Each of them loads the network and works on one job at a time.
"""

import ctypes
import json
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, NoReturn

import settings
from inference.engine import EngineInfo, engine_json, in_words, read_engine_info
from inference.errors import PairError
from inference.loader import load_classifier
from inference.pair import Pair, check_pair
from settings import Settings

from .health import Report
from .lease import LeaseKeeper
from .store import JobStore

if TYPE_CHECKING:
    from inference.classifier import Classifier

log = logging.getLogger(__name__)

MAX_ENGINE = 1000  # bytes of an EngineInfo as JSON
MAX_FAILURE = 1000  # bytes of the sentence that says why a pool process could not load the model
RESTART = 1  # exit status with which systemd starts the worker again


def stop_worker(reason: str, status: int = settings.CANNOT_START) -> NoReturn:
    """End this process with one line that says why.

    :raises SystemExit: always.
    """
    print(f"worker: {reason}", file=sys.__stderr__, flush=True)  # sys.stderr is Celery's, which makes log lines of it
    sys.exit(status)


@dataclass
class WorkerProcess:
    """A process of the worker, the main one or one of its pool.

    :param load: loads the network of a pair, as ``load_classifier`` does.
    :ivar takes_jobs: set in the main process while it takes jobs from the broker.
    :ivar classifier: in a pool process, once it has loaded the model.
    :ivar lease: of the job that a pool process works on.
    """

    settings: Settings
    pair: Pair
    store: JobStore
    load: Callable[..., "Classifier"] = load_classifier
    takes_jobs: threading.Event = field(default_factory=threading.Event)
    classifier: "Classifier" = field(init=False)
    lease: LeaseKeeper = field(init=False)

    def __post_init__(self) -> None:
        # Shared memory, in which a pool process tells the main process whether it has loaded the model, and how.
        self._loaded = multiprocessing.Semaphore(0)
        self._failure = multiprocessing.Array(ctypes.c_char, MAX_FAILURE)
        self._engine = multiprocessing.Array(ctypes.c_char, MAX_ENGINE)
        self.lease = LeaseKeeper(self.store)

    @classmethod
    def from_environment(cls) -> "WorkerProcess":
        """The main process, before it starts any other.

        :raises SystemExit: a setting or the model pair cannot be used.
        """
        try:
            found = settings.from_environment()
            if not found.queue_url:
                stop_worker("BIRD_QUEUE_URL is not set. Give it the address of the broker that the web process uses.")
            return cls(found, check_pair(found.model, found.labels), JobStore(found.result_url))
        except (settings.SettingError, PairError) as error:
            stop_worker(str(error))

    # --- In a process of the pool

    def load_model(self, **_signal: object) -> None:
        """Load the model before this pool process gets its first job. End the process if that fails."""
        try:
            self.classifier = self.load(self.pair, self.settings.network)
        except Exception as error:
            reason = str(error) if isinstance(error, PairError) else f"{type(error).__name__}: {error}"
            self._failure.value = reason.encode()[: MAX_FAILURE - 1]
            os._exit(settings.CANNOT_START)  # Celery would only log an exception, and go on without a model
        self.lease.start()
        log.info(in_words(self.classifier.engine))
        self._engine.value = json.dumps(asdict(self.classifier.engine.info)).encode()
        self._loaded.release()

    # --- In the main process

    def await_model(self, seconds: float) -> bool:
        """Wait until one more pool process has loaded the model.

        :param seconds: how long at most.
        :return: whether it has.
        :raises SystemExit: a pool process could not load it.
        """
        if self._loaded.acquire(timeout=seconds):
            return True
        self.stop_if_model_failed(settings.CANNOT_START)
        return False

    def stop_if_model_failed(self, status: int = RESTART) -> None:
        """Stop if a pool process could not load the model.

        :param status: the exit status. The default is for a process that replaces one that was killed: the pair on
            disk may be a new one by now, with which a worker can start.
        :raises SystemExit: one could not.
        """
        if self._failure.value:
            stop_worker(self._failure.value.decode(errors="replace"), status)

    @property
    def engine(self) -> EngineInfo | None:
        """How the network runs; None before a pool process has loaded it."""
        return read_engine_info(json.loads(self._engine.value or b"null"))

    def health(self) -> Report:
        """What ``/healthz`` answers, and with which status."""
        if not self.takes_jobs.is_set():
            return {"reason": "The model is being loaded, or the queue cannot be reached."}, 503
        about: dict[str, object] = {"mode": "worker", "labels": len(self.pair.labels), "model": self.pair.sha256}
        return about | ({"engine": engine_json(self.engine)} if self.engine else {}), 200
