"""The short line in which photographs wait: bounded, first come, first served."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from . import Identification

if TYPE_CHECKING:
    from .sandbox import Reading

LONGEST_WAIT = 20  # seconds in the line; after it a person is sent away rather than kept in doubt
SWEEP_INTERVAL = 0.1  # seconds between two looks for people who left a line that is full
CROWD = 100  # sent away within a second: so many that some cannot have waited as they were told to
FIRST_GUESS = 0.1  # seconds that a photograph takes, until some have been answered
MEMORY_OF_PACE = 20  # photographs over which that is averaged


class BusyError(Exception):
    """The line is full, or too slow; the message is a sentence for the person who sent the photograph.

    :param waiting: how many photographs are in the line.
    :param pace: seconds that each takes.
    :ivar retry_after: seconds until it should be worth trying again.
    """

    def __init__(self, waiting: int, pace: float) -> None:
        self.retry_after = max(1, ceil(waiting * pace))
        photos = "1 photo is" if waiting == 1 else f"{waiting} photos are"
        seconds = "a second" if self.retry_after == 1 else f"{self.retry_after} seconds"
        super().__init__(f"The app is busy: {photos} in line. Please try again in {seconds}.")


class GoneError(Exception):
    """The person who sent the photograph did not wait for the answer."""


class LaterError(Exception):
    """The network works elsewhere, and its answer takes longer than a person should look at an empty page.

    :param job: under which the answer will be found.
    :ivar reading: what there is to show meanwhile.
    """

    reading: "Reading"

    def __init__(self, job: str) -> None:
        super().__init__(job)
        self.job = job


class Crowd:
    """Whether so many are sent away that they cannot all have waited as they were told to."""

    def __init__(self) -> None:
        self._sent_away: deque[float] = deque(maxlen=CROWD)  # when

    def joined(self) -> bool:
        """One more has been sent away: are they a crowd?"""
        now = time.monotonic()
        self._sent_away.append(now)
        return len(self._sent_away) == CROWD and now - self._sent_away[0] < 1


@dataclass(frozen=True)
class Answer:
    """What there is to say and to show of a photograph.

    :param reading: the thumbnail, and when it was taken.
    :param seconds: what it took to ``wait`` in the line, to ``decode``, to make the ``thumbnail``, in the ``network``.
        The way to a network elsewhere and back counts as waiting.
    """

    identification: Identification
    reading: "Reading"
    seconds: dict[str, float]

    @property
    def took(self) -> float:
        """Seconds in all."""
        return sum(self.seconds.values())


class _Place:
    """A place in the line; what is still to be done for it can be cancelled until its turn has come."""

    def __init__(self, is_gone: Callable[[], bool]) -> None:
        self.is_gone = is_gone
        self.entered = time.monotonic()
        self.deadline = self.entered + LONGEST_WAIT  # for its turn; what its turns take does not count
        self.next_turn: Future | None = None

    def give_up(self) -> bool:
        """Leave the line, unless its turn has come."""
        return self.next_turn is not None and self.next_turn.cancel()


class Line:
    """Photographs are read one at a time, and the next is read while the network works.

    :param read: a file -> ``Reading``; it raises what it has to say of a bad one.
    :param classify: ``uint8[224, 224, 3]`` -> ``Identification``.
    :param max_waiting: how many photographs may wait behind the one that is being identified.
    :param at_once: how many may be identified at the same time: more than one if that happens elsewhere.
    """

    def __init__(
        self,
        read: Callable[[BinaryIO], "Reading"],
        classify: Callable[[np.ndarray], Identification],
        max_waiting: int,
        at_once: int = 1,
    ) -> None:
        self.max_waiting = max_waiting
        self._read, self._classify = read, classify
        # A thread each: an executor's queue is first come, first served, as no lock is. With two pictures that have
        # been read, the network's thread goes on to the next without waiting for the thread of any request.
        self._reader = ThreadPoolExecutor(1, "reader")
        self._network = ThreadPoolExecutor(at_once, "network")
        self._places: list[_Place] = []
        self._changing = threading.Lock()
        self._swept = self._left = 0.0
        self._pace = FIRST_GUESS  # seconds a photograph

    @property
    def waiting(self) -> int:
        """How many photographs are in the line."""
        return len(self._places)

    def check(self) -> None:
        """:raises BusyError: there is no place in the line."""
        with self._changing:
            self._sweep()
            if len(self._places) > self.max_waiting:
                raise self._busy()

    def identify(
        self,
        file: BinaryIO,
        is_gone: Callable[[], bool] = lambda: False,
        classify: Callable[[np.ndarray], Identification] | None = None,
    ) -> Answer:
        """Wait in the line, and name the bird.

        :param file: a photograph, open for reading.
        :param is_gone: whether nobody waits for the answer any more. Its place in the line is then free.
        :param classify: for this one, in the place of the line's own.
        :raises PhotoError: the file cannot be used as a photograph.
        :raises BusyError: there is no place in the line, or it took too long.
        :raises GoneError: nobody waits for the answer any more.
        :raises LaterError: the network works elsewhere, and takes its time.
        """
        with self._place(is_gone) as place:
            reading, read_in = self._in_turn(place, self._reader, self._read, file)
            try:
                identification, _ = self._in_turn(place, self._network, classify or self._classify, reading.pixels)
            except LaterError as later:
                later.reading = reading
                raise
            waited = time.monotonic() - place.entered - read_in - identification.seconds
        seconds = {"wait": waited, **reading.seconds, "network": identification.seconds}
        return Answer(identification, reading, seconds)

    @contextlib.contextmanager
    def _place(self, is_gone: Callable[[], bool]) -> Iterator[_Place]:
        place = _Place(is_gone)
        with self._changing:
            self._sweep()
            if len(self._places) > self.max_waiting:
                raise self._busy()
            self._places.append(place)
        try:
            yield place
        finally:
            self._leave(place)

    def _in_turn(
        self, place: _Place, stage: ThreadPoolExecutor, work: Callable[[Any], Any], of: Any
    ) -> tuple[Any, float]:
        """What ``work`` makes of something when its turn at a stage has come, and the seconds that it took."""

        def turn() -> tuple[Any, float]:
            if place.is_gone():
                raise GoneError
            begun = time.monotonic()
            made = work(of)
            took = time.monotonic() - begun
            place.deadline += took
            return made, took

        place.next_turn = stage.submit(turn)
        try:
            return place.next_turn.result(timeout=place.deadline - time.monotonic())
        except CancelledError as error:
            raise GoneError from error
        except TimeoutError as error:
            if place.give_up():
                with self._changing:
                    raise self._busy() from error
            return place.next_turn.result()

    def _sweep(self) -> None:
        """Take the places of people who have gone, if others need them."""
        now = time.monotonic()
        if len(self._places) > self.max_waiting and now > self._swept + SWEEP_INTERVAL:
            self._swept = now
            self._places = [place for place in self._places if not (place.is_gone() and place.give_up())]

    def _leave(self, place: _Place) -> None:
        with self._changing:
            if place not in self._places:
                return
            self._places.remove(place)
            now = time.monotonic()
            took = now - max(self._left, place.entered)
            self._left = now
            self._pace += (took - self._pace) / MEMORY_OF_PACE

    def _busy(self) -> BusyError:
        return BusyError(self.waiting, self._pace)
