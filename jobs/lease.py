"""The lease with which a process of the pool holds the job that it works on."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import UnavailableError
from .store import JobStore

RENEWAL = 1  # seconds between two renewals

log = logging.getLogger(__name__)


class LeaseKeeper:
    """Renews the lease of a job as long as this process lives, however long the network takes.

    :param store: of the jobs.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._job_id: str | None = None

    def start(self) -> None:
        """Start the thread that renews. It does not survive a fork."""
        threading.Thread(target=self._renew_for_ever, name="lease", daemon=True).start()

    @contextmanager
    def hold(self, job_id: str) -> Iterator[None]:
        """Keep the lease of a job, which ``JobStore.take`` gave, until the block ends."""
        self._job_id = job_id
        try:
            yield
        finally:
            self._job_id = None

    def _renew_for_ever(self) -> None:
        while True:
            time.sleep(RENEWAL)
            if job_id := self._job_id:
                try:
                    self._store.renew(job_id)
                except UnavailableError as error:
                    log.warning("The lease of a job could not be renewed: %s", error.reason)
