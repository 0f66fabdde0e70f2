"""web/turns.py: whose turn it is."""

import gc
import threading
import weakref
from concurrent.futures import CancelledError

import pytest

from jobs.sender import BATCH_TURN, Sender
from web.turns import FairExecutor, Turns

ANN, BEN = Sender("ann"), Sender("ben")
BATCH, OTHER_BATCH = Sender("batch", is_batch=True), Sender("other batch", is_batch=True)


def order_of(*waiting: tuple[Sender, int]) -> list[str]:
    """The clients in the order of their turns, if each has so many photos and they come in this order."""
    turns: Turns[str] = Turns()
    for sender, number in waiting:
        for _ in range(number):
            turns.add(sender, sender.client)
    return [turns.take() for _ in range(sum(number for _sender, number in waiting))]


def test_the_photos_of_one_client_keep_their_order():
    turns: Turns[int] = Turns()
    for number in range(5):
        turns.add(ANN, number)
    assert [turns.take() for _ in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("first", "second"), [(ANN, BEN), (BATCH, OTHER_BATCH)], ids=["people", "batches"])
def test_clients_take_turns_however_many_photos_one_of_them_has_sent_before(first, second):
    a, b = first.client, second.client
    assert order_of((first, 5), (second, 2)) == [a, b, a, b, a, a, a]


def test_a_client_that_comes_again_is_behind_those_who_have_waited_meanwhile():
    turns: Turns[str] = Turns()
    for name in ("first of ann", "second of ann"):
        turns.add(ANN, name)
    turns.add(BEN, "first of ben")
    assert turns.take() == "first of ann"
    turns.add(ANN, "third of ann")
    turns.add(Sender("eve"), "first of eve")
    assert [turns.take() for _ in range(4)] == ["first of ben", "second of ann", "first of eve", "third of ann"]


def test_a_person_goes_before_the_photos_of_a_batch_that_came_before():
    assert order_of((BATCH, 3), (ANN, 1)) == ["ann", "batch", "batch", "batch"]


def test_a_batch_gets_one_of_five_turns_however_many_people_wait():
    order = order_of((BATCH, 3), (ANN, 10), (BEN, 10))
    assert [place for place, client in enumerate(order, 1) if client == "batch"] == [5, 10, 15]
    assert BATCH_TURN == 5


def test_a_batch_that_comes_after_many_people_waits_for_its_turn_too():
    turns: Turns[str] = Turns()
    for _ in range(20):
        turns.add(ANN, "ann")
    assert [turns.take() for _ in range(10)] == ["ann"] * 10
    turns.add(BATCH, "batch")
    assert [turns.take() for _ in range(5)] == ["ann"] * 4 + ["batch"]


def test_the_same_address_has_turns_of_its_own_for_its_people_and_for_its_batch():
    assert order_of((Sender("school", is_batch=True), 2), (Sender("school"), 2)) == ["school"] * 4


class Steps:
    """An executor with one thread, which is kept busy until ``go`` is called.

    :ivar done: the names of the steps, in the order in which they were run.
    """

    def __init__(self) -> None:
        self.executor, self.done, self._begun, self._open = (
            FairExecutor(1, "test"),
            [],
            threading.Event(),
            threading.Event(),
        )
        self.executor.submit(ANN, lambda: (self._begun.set(), self._open.wait(20)))
        assert self._begun.wait(20)

    def submit(self, sender: Sender, name: str):
        return self.executor.submit(sender, lambda: self.done.append(name))

    def go(self) -> None:
        self._open.set()


def test_steps_are_run_by_turns():
    steps = Steps()
    names = ["batch 1", "batch 2", "ann 1", "ann 2", "ben 1"]
    senders = {"batch": BATCH, "ann": ANN, "ben": BEN}
    futures = [steps.submit(senders[name.split()[0]], name) for name in names]
    steps.go()
    for future in futures:
        future.result(20)
    assert steps.done == ["ann 1", "ben 1", "ann 2", "batch 1", "batch 2"]


def test_a_step_that_was_cancelled_is_not_run_and_keeps_no_other_from_running():
    steps = Steps()
    first, second = steps.submit(BATCH, "first"), steps.submit(BATCH, "second")
    assert first.cancel()
    steps.go()
    second.result(20)
    assert steps.done == ["second"]
    assert not second.cancel()
    with pytest.raises(CancelledError):
        first.result()


def test_a_step_that_fails_fails_alone_and_is_not_kept():
    class Photo:
        """Something that a weak reference can watch."""

    def fail(photo: Photo) -> None:
        raise RuntimeError(str(photo))

    steps, photo = Steps(), Photo()
    watched = weakref.ref(photo)
    failing = steps.executor.submit(BEN, lambda photo=photo: fail(photo))
    after = steps.submit(BEN, "after")
    gc.disable()
    try:
        steps.go()
        after.result(20)
        assert isinstance(failing.exception(), RuntimeError)
        del failing, photo
        assert watched() is None  # without a garbage collection
    finally:
        gc.enable()
    assert steps.done == ["after"]


def test_there_are_no_more_threads_than_were_asked_for_and_none_for_nothing():
    before = threading.active_count()
    executor = FairExecutor(3, "test")
    assert threading.active_count() == before
    together = threading.Barrier(3)
    for future in [executor.submit(ANN, lambda: together.wait(20)) for _ in range(3)]:
        future.result(20)
    for _ in range(10):
        executor.submit(ANN, int).result(20)
    assert threading.active_count() <= before + 3
