"""Counts the answers that workers publish, next to everything that the product does."""

import threading
from collections import Counter
from types import TracebackType
from typing import Self

from redis import Redis, RedisError

RECONNECT_INTERVAL = 0.2  # seconds
ANSWERS = "celery-task-meta-*"  # the channels on which Celery publishes answers, one for each job


class Watch:
    """Listens to the answers that are published while the block runs.

    :ivar published: how many for each job, by the name of its channel.
    :param url: the address of the Redis that keeps them, itself and no proxy.
    """

    def __init__(self, url: str) -> None:
        self.published: Counter[str] = Counter()
        self._url = url
        self._is_over = threading.Event()
        self._is_listening = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_listening.wait()
        return self

    def __exit__(self, _type: type | None, _error: BaseException | None, _traceback: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()

    def _listen(self) -> None:
        while not self._is_over.wait(RECONNECT_INTERVAL):
            try:
                with Redis.from_url(self._url, decode_responses=True) as redis, redis.pubsub() as channel:
                    channel.psubscribe(ANSWERS)
                    self._is_listening.set()
                    while not self._is_over.is_set():
                        message = channel.get_message(timeout=RECONNECT_INTERVAL)
                        if message and message["type"] == "pmessage":
                            self.published[message["channel"]] += 1
            except RedisError:
                continue  # it is being restarted
