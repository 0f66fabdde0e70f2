"""The consumer, which takes jobs from the broker."""

import logging
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection
from kombu.asynchronous import set_event_loop

RECONNECT_INTERVAL = 1  # seconds between two attempts to reach a broker that is gone

log = logging.getLogger(__name__)


class Consumer(CeleryConsumer):
    """Celery's consumer, except that it tries every second to reach a broker that is gone, not ever more rarely.

    Workers do not talk to each other: without mingle and gossip the start is a second faster.
    """

    hub: Any  # the event loop, or None

    def __init__(self, on_task_request: Any, *, worker_options: dict[str, Any], **options: Any) -> None:
        no_gossip = {"without_mingle": True, "without_gossip": True}
        super().__init__(on_task_request, worker_options=worker_options | no_gossip, **options)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect to the broker, however long it takes until it answers.

        :raises WorkerShutdown: the worker was told to stop meanwhile.
        """
        # When a connection ends, kombu forgets the event loop, without which it asks Amazon SQS for no more jobs.
        if self.hub:
            set_event_loop(self.hub)

        def report(error: Exception, _interval: float) -> None:
            log.error("The broker %s does not answer: %s", conn.as_uri(), error)

        return conn.ensure_connection(
            report,
            max_retries=None,  # type: ignore[arg-type]  # no limit, which the type stubs of kombu do not allow
            interval_start=RECONNECT_INTERVAL,
            interval_step=0,
            interval_max=RECONNECT_INTERVAL,
            callback=maybe_shutdown,
        )
