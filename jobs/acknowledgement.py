"""When a token is used up, and when it is given back to the broker.

The broker forgets a token only when the worker acknowledges it, and Celery does so when the task has ended:

- it returns, or raises ``Ignore``: acknowledged;
- it raises ``Reject``, or runs longer than ``TIME_LIMIT``: given back to the broker;
- its worker is gone: the broker gives it to another one, at once or after ``REDELIVERY``.

Whoever gets a token that was given back takes the same job again, at once. Without it, that takes until the lease ends.
"""

import logging
from typing import Any

from celery.worker.request import Request
from celery.worker.state import task_ready

log = logging.getLogger(__name__)


class TokenRequest(Request):
    """A token in the worker's main process, which acknowledges it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Celery would only log these errors when it cannot acknowledge a token. It would then keep it for ever, and
        # take no other. Now they reach the consumer, which connects again.
        self._connection_errors = ()

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Give a token back whose job took too long; Celery would mark it as failed."""
        if soft:
            super().on_timeout(soft, timeout)
            return
        task_ready(self)
        log.error("A job took longer than %s seconds; its process is killed.", timeout)
        self.reject(requeue=True)
