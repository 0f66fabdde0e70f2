"""Whose turn it is: people before batches, and clients by turns within each of the two."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from jobs.sender import BATCH_TURN, Sender

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Rotation(Generic[Item]):
    """What clients wait for: each in its order, and clients by turns (round robin). Who comes anew is the last."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, deque[Item]] = OrderedDict()  # by client; the first one is the next one

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, client: str, item: Item) -> None:
        self._items.setdefault(client, deque()).append(item)

    def take(self) -> Item:
        client, items = next(iter(self._items.items()))
        item = items.popleft()
        if items:
            self._items.move_to_end(client)
        else:
            del self._items[client]
        return item


class Turns(Generic[Item]):
    """Items that wait for their turn. Those of people go first, but of ``BATCH_TURN`` items one is a batch's."""

    def __init__(self) -> None:
        self._people: _Rotation[Item] = _Rotation()
        self._batches: _Rotation[Item] = _Rotation()
        self._people_in_a_row = 0  # since a batch had its turn, or none waited

    def add(self, sender: Sender, item: Item) -> None:
        """Let an item wait behind those of the same sender."""
        (self._batches if sender.is_batch else self._people).add(sender.client, item)

    def take(self) -> Item:
        """Take the item whose turn it is.

        :raises StopIteration: nothing waits.
        """
        if self._batches and (not self._people or self._people_in_a_row >= BATCH_TURN - 1):
            self._people_in_a_row = 0
            return self._batches.take()
        self._people_in_a_row = self._people_in_a_row + 1 if self._batches else 0
        return self._people.take()


class FairExecutor:
    """Threads that run steps by ``Turns``; the futures are those of ``concurrent.futures``.

    :param threads: how many steps may run at the same time.
    :param name: of the threads, for whoever lists them.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._turns: Turns[tuple[Future[Any], Callable[[], Any]]] = Turns()
        self._lock = threading.Lock()

    def submit(self, sender: Sender, step: Callable[[], Result]) -> Future[Result]:
        """Run a step when its turn comes. Until then it can be cancelled."""
        future: Future[Result] = Future()
        with self._lock:
            self._turns.add(sender, (future, step))
        self._threads.submit(self._run_next)  # which need not be this step
        return future

    def _run_next(self) -> None:
        with self._lock:
            future, step = self._turns.take()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(step())
        except BaseException as error:
            future.set_exception(error)
        finally:
            del future, step  # the traceback of the exception leads here, and would keep them in a cycle
