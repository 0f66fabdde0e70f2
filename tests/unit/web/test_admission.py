"""inference/line.py: who gets a turn, and who is sent away."""

import contextlib
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from inference import Identification
from web import admission as line
from web.admission import Answer, BusyError, Crowd, GoneError, LaterError, Line
from inference.photo import NotAPictureError
from inference.sandbox import Reading


class Stages:
    """A decoder and a network that take as long as a test wants. A photograph is its name here, and so its answer."""

    def __init__(self) -> None:
        self.open_network = threading.Event()
        self.read_names: list[str] = []
        self.classified_names: list[str] = []
        self.at_work: Counter[str] = Counter()

    def read(self, file: io.BytesIO) -> Reading:
        name = file.getvalue().decode()
        self.read_names.append(name)
        with self._alone("read"):
            if name == "no picture":
                raise NotAPictureError
            time.sleep(0.001)
        return Reading(np.array([name]), name.encode(), None, {"decode": 0.001})

    def classify(self, pixels: np.ndarray) -> Identification:
        begun = time.monotonic()
        with self._alone("classify"):
            assert self.open_network.wait(20)
            time.sleep(0.002)
        seconds = time.monotonic() - begun
        self.classified_names.append(str(pixels[0]))
        if pixels[0] == "accident":
            raise RuntimeError("accident")
        return Identification(str(pixels[0]), 1.0, (), seconds=seconds)

    @contextlib.contextmanager
    def _alone(self, stage: str) -> Iterator[None]:
        self.at_work[stage] += 1
        assert self.at_work[stage] == 1
        try:
            yield
        finally:
            self.at_work[stage] -= 1


@pytest.fixture
def stages() -> Stages:
    """Stages whose network waits until a test, or its end, opens it."""
    return Stages()


@pytest.fixture
def people(stages: Stages) -> Iterator[ThreadPoolExecutor]:
    """Those who send photographs."""
    with ThreadPoolExecutor(200) as pool:
        yield pool
        stages.open_network.set()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def queue_up(
    people: ThreadPoolExecutor, stages: Stages, queue: Line, names: list[str], **options: object
) -> list[Future[Answer]]:
    """Send photographs in this order, each when the one before is in line and as far as it gets."""
    answers = []
    for name in names:
        entered = len(queue._places)
        answers.append(answer := people.submit(queue.identify, io.BytesIO(name.encode()), **options))
        until(
            lambda entered=entered, answer=answer: (
                any(place.next_turn for place in queue._places[entered:]) or answer.done()
            )
        )
    until(lambda: len(stages.read_names) >= len(names) or options)
    return answers


def test_each_gets_the_answer_for_the_photo_that_was_sent_in_the_order_of_sending(stages, people):
    queue = Line(stages.read, stages.classify, 50)
    names = [f"photo {number}" for number in range(40)]
    answers = queue_up(people, stages, queue, names)
    stages.open_network.set()
    assert [answer.result(20).identification.label for answer in answers] == names
    assert [answer.result().reading.thumbnail.decode() for answer in answers] == names
    assert stages.read_names == names
    # A thread must wake up between the two: neighbours may change places, but nobody falls far behind.
    assert all(abs(stages.classified_names.index(name) - number) < 8 for number, name in enumerate(names))


def test_two_hundred_at_once_get_their_own_answers_or_are_sent_away(stages, people):
    queue = Line(stages.read, stages.classify, 150)
    stages.open_network.set()

    def identify(name: str) -> str:
        try:
            return queue.identify(io.BytesIO(name.encode())).identification.label
        except BusyError:
            return "busy"

    names = [f"photo {number}" for number in range(200)]
    answers = list(people.map(identify, names))
    assert all(answer in (name, "busy") for name, answer in zip(names, answers, strict=True))
    assert answers.count("busy") <= 49
    assert queue._places == []


def test_the_next_photo_is_read_while_the_network_works(stages, people):
    queue = Line(stages.read, stages.classify, 5)
    answers = queue_up(people, stages, queue, ["first", "second", "third"])
    assert stages.read_names == ["first", "second", "third"]
    assert not any(answer.done() for answer in answers)


def test_whoever_finds_the_line_full_is_sent_away_at_once(stages, people):
    queue = Line(stages.read, stages.classify, 3)
    answers = queue_up(people, stages, queue, ["1", "2", "3", "4"])
    for ask in (queue.check, lambda: queue.identify(io.BytesIO(b"5"))):
        begun = time.monotonic()
        with pytest.raises(BusyError, match=r"^The app is busy: 4 photos are in line. Please try again in a second.$"):
            ask()
        assert time.monotonic() - begun < 0.1
    stages.open_network.set()
    assert [answer.result(20).identification.label for answer in answers] == ["1", "2", "3", "4"]
    queue.check()
    assert "5" not in stages.read_names


def test_a_line_for_nobody_has_room_for_the_one_that_is_being_identified(stages, people):
    queue = Line(stages.read, stages.classify, 0)
    (answer,) = queue_up(people, stages, queue, ["1"])
    with pytest.raises(BusyError):
        queue.check()
    stages.open_network.set()
    assert answer.result(20).identification.label == "1"


def test_the_slower_the_line_the_later_one_should_try_again(stages, people):
    stages.open_network.set()
    queue = Line(stages.read, lambda pixels: (time.sleep(0.2), stages.classify(pixels))[1], 11)
    for _ in range(10):
        queue.identify(io.BytesIO(b"photo"))
    stages.open_network.clear()
    queue_up(people, stages, queue, [str(number) for number in range(12)])
    with pytest.raises(BusyError) as busy:
        queue.check()
    assert busy.value.retry_after == 2  # 12 photos of 0.15 to 0.2 s
    assert "in 2 seconds." in str(busy.value)


def test_a_few_who_are_sent_away_are_no_crowd_and_many_at_once_are():
    crowd = Crowd()
    joined = [crowd.joined() for _ in range(2 * line.CROWD)]
    assert joined == [False] * (line.CROWD - 1) + [True] * (line.CROWD + 1)
    time.sleep(1)
    assert not crowd.joined()


@pytest.mark.parametrize(("name", "error"), [("no picture", NotAPictureError), ("accident", RuntimeError)])
def test_a_photo_that_fails_fails_alone_and_leaves_its_place(stages, people, name, error):
    queue = Line(stages.read, stages.classify, 1)
    stages.open_network.set()
    for _ in range(3):
        with pytest.raises(error):
            queue.identify(io.BytesIO(name.encode()))
    assert queue.identify(io.BytesIO(b"photo")).identification.label == "photo"


def test_the_place_of_someone_who_has_gone_is_for_the_next_who_comes(stages, people, monkeypatch):
    monkeypatch.setattr(line, "SWEEP_INTERVAL", 0)
    queue = Line(stages.read, stages.classify, 2)
    gone = threading.Event()
    (first,) = queue_up(people, stages, queue, ["first"])
    (waiting,) = queue_up(people, stages, queue, ["goes away"], is_gone=gone.is_set)
    queue_up(people, stages, queue, ["stays"], is_gone=lambda: False)
    until(lambda: "stays" in stages.read_names)
    with pytest.raises(BusyError):
        queue.check()
    gone.set()

    def there_is_a_place() -> bool:
        with contextlib.suppress(BusyError):
            queue.check()
            return True
        return False

    until(there_is_a_place)
    with pytest.raises(GoneError):
        waiting.result(20)
    (third,) = queue_up(people, stages, queue, ["third"], is_gone=lambda: False)
    with pytest.raises(BusyError):
        queue.check()
    stages.open_network.set()
    assert [answer.result(20).identification.label for answer in (first, third)] == ["first", "third"]


def test_the_photo_of_someone_who_has_gone_is_not_looked_at_when_its_turn_comes(stages):
    queue = Line(stages.read, stages.classify, 2)
    with pytest.raises(GoneError):
        queue.identify(io.BytesIO(b"photo"), is_gone=lambda: True)
    assert stages.read_names == []
    assert queue._places == []


def test_nobody_is_kept_waiting_for_ever(stages, people, monkeypatch):
    monkeypatch.setattr(line, "LONGEST_WAIT", 0.3)
    queue = Line(stages.read, stages.classify, 5)
    first, second = queue_up(people, stages, queue, ["first", "second"])
    with pytest.raises(BusyError):
        second.result(5)
    assert not first.done()  # its turn had come
    stages.open_network.set()
    assert first.result(20).identification.label == "first"


def test_an_answer_says_where_its_time_went(stages, people):
    queue = Line(stages.read, stages.classify, 5)
    first, second = queue_up(people, stages, queue, ["first", "second"])
    time.sleep(0.1)
    stages.open_network.set()
    assert set(first.result(20).seconds) == {"wait", "decode", "network"}
    assert first.result().seconds["network"] > 0.1
    assert second.result(20).seconds["wait"] > 0.1
    assert second.result().seconds["network"] < 0.1


def test_several_networks_elsewhere_work_at_once(stages, people):
    begun = threading.Barrier(3)

    def classify(pixels: np.ndarray) -> Identification:
        begun.wait(20)  # for the two others
        return Identification(str(pixels[0]), 1.0, ())

    queue = Line(stages.read, classify, 5, at_once=3)
    answers = [people.submit(queue.identify, io.BytesIO(name)) for name in (b"1", b"2", b"3")]
    assert [answer.result(20).identification.label for answer in answers] == ["1", "2", "3"]


def test_an_answer_that_takes_its_time_elsewhere_leaves_its_place_with_what_there_is_to_show(stages):
    def classify(_pixels: np.ndarray) -> Identification:
        raise LaterError("job")

    queue = Line(stages.read, classify, 0)
    with pytest.raises(LaterError) as later:
        queue.identify(io.BytesIO(b"photo"))
    assert (later.value.job, later.value.reading.thumbnail) == ("job", b"photo")
    assert queue.waiting == 0


def test_one_photo_can_be_identified_in_another_way_than_the_others(stages, people):
    def otherwise(pixels: np.ndarray) -> Identification:
        return Identification(f"another {pixels[0]}", 1.0, ())

    queue = Line(stages.read, stages.classify, 5)
    stages.open_network.set()
    assert queue.identify(io.BytesIO(b"1"), classify=otherwise).identification.label == "another 1"
    assert queue.identify(io.BytesIO(b"2")).identification.label == "2"
    assert stages.classified_names == ["2"]
    (waiting,) = queue_up(people, stages, queue, ["3"], classify=otherwise)
    assert waiting.result(20).identification.label == "another 3"  # in its turn, too
