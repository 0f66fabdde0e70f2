"""web/admission.py: whose photo comes first, and who is sent away."""

import contextlib
import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from inference import Identification
from inference.errors import NotAnImageError
from inference.sandbox import Reading
from jobs.errors import BusyError
from jobs.pending import PendingJob
from tests.support.servers import until
from web import admission
from web.admission import (
    OVERLOAD,
    AdmissionQueue,
    DisconnectedError,
    OverloadDetector,
    PendingPrediction,
    Prediction,
)


class Stages:
    """A decoder and a network that take as long as a test wants. The name of a photo is all of it, and its answer."""

    def __init__(self) -> None:
        self.open_network = threading.Event()
        self.read_names: list[str] = []
        self.classified_names: list[str] = []
        self.running: Counter[str] = Counter()

    def read(self, file: io.BytesIO) -> Reading:
        name = file.getvalue().decode()
        self.read_names.append(name)
        with self._alone("read"):
            if name == "no image":
                raise NotAnImageError
            time.sleep(0.001)
        return Reading(np.array([name]), (1, 1), name.encode(), None, {"decode": 0.001})

    def classify(self, pixels: np.ndarray) -> Identification:
        begun = time.monotonic()
        with self._alone("classify"):
            assert self.open_network.wait(20)
            time.sleep(0.002)
        seconds = time.monotonic() - begun
        self.classified_names.append(str(pixels[0]))
        if pixels[0] == "breaks the network":
            raise RuntimeError("broken")
        return Identification(str(pixels[0]), 1.0, (), seconds=seconds)

    @contextlib.contextmanager
    def _alone(self, stage: str) -> Iterator[None]:
        self.running[stage] += 1
        assert self.running[stage] == 1
        try:
            yield
        finally:
            self.running[stage] -= 1


@pytest.fixture
def stages() -> Stages:
    """Stages whose network waits until a test, or its end, opens it."""
    return Stages()


@pytest.fixture
def people(stages: Stages) -> Iterator[ThreadPoolExecutor]:
    """The threads of those who send photos."""
    with ThreadPoolExecutor(200) as pool:
        yield pool
        stages.open_network.set()


def queue_up(
    people: ThreadPoolExecutor, stages: Stages, queue: AdmissionQueue, names: list[str], **options: object
) -> list[Future[Prediction]]:
    """Send photos in this order, each when the one before has been read or refused."""
    answers = []
    for name in names:
        answers.append(answer := people.submit(queue.predict, io.BytesIO(name.encode()), **options))
        until(lambda name=name, answer=answer: name in stages.read_names or answer.done())
    return answers


def test_each_gets_the_answer_to_the_photo_that_was_sent_in_the_order_of_sending(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 50)
    names = [f"photo {number}" for number in range(40)]
    answers = queue_up(people, stages, queue, names)
    stages.open_network.set()
    assert [answer.result(20).identification.label for answer in answers] == names
    assert [answer.result().reading.thumbnail.decode() for answer in answers] == names
    assert stages.read_names == names
    # A thread must wake up between the two: neighbors may swap positions, but nobody falls far behind.
    assert all(abs(stages.classified_names.index(name) - number) < 8 for number, name in enumerate(names))


def test_two_hundred_at_once_get_their_own_answers_or_are_sent_away(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 150)
    stages.open_network.set()

    def identify(name: str) -> str:
        try:
            return queue.predict(io.BytesIO(name.encode())).identification.label
        except BusyError:
            return "busy"

    names = [f"photo {number}" for number in range(200)]
    answers = list(people.map(identify, names))
    assert all(answer in (name, "busy") for name, answer in zip(names, answers, strict=True))
    assert answers.count("busy") <= 49
    assert queue.waiting == 0


def test_the_next_photo_is_read_while_the_network_works(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 5)
    answers = queue_up(people, stages, queue, ["first", "second", "third"])
    assert stages.read_names == ["first", "second", "third"]
    assert not any(answer.done() for answer in answers)


def test_whoever_finds_the_queue_full_is_sent_away_at_once(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 3)
    answers = queue_up(people, stages, queue, ["1", "2", "3", "4"])
    for ask in (queue.check, lambda: queue.predict(io.BytesIO(b"5"))):
        begun = time.monotonic()
        with pytest.raises(BusyError, match=r"^The app is busy: 4 photos are in line. Please try again in a second.$"):
            ask()
        assert time.monotonic() - begun < 0.1
    stages.open_network.set()
    assert [answer.result(20).identification.label for answer in answers] == ["1", "2", "3", "4"]
    queue.check()
    assert "5" not in stages.read_names


def test_a_queue_in_which_nobody_may_wait_has_room_for_the_photo_that_is_being_identified(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 0)
    (answer,) = queue_up(people, stages, queue, ["1"])
    with pytest.raises(BusyError):
        queue.check()
    stages.open_network.set()
    assert answer.result(20).identification.label == "1"


def test_the_slower_the_queue_the_later_one_should_try_again(stages, people):
    stages.open_network.set()
    queue = AdmissionQueue(stages.read, lambda pixels: (time.sleep(0.2), stages.classify(pixels))[1], 11)
    for _ in range(10):
        queue.predict(io.BytesIO(b"photo"))
    stages.open_network.clear()
    queue_up(people, stages, queue, [str(number) for number in range(12)])
    with pytest.raises(BusyError) as busy:
        queue.check()
    assert busy.value.retry_after == 2  # 12 photos of 0.15 to 0.2 s
    assert "in 2 seconds." in str(busy.value)


def test_a_few_refusals_are_no_overload_and_many_within_a_second_are():
    detector = OverloadDetector()
    overloaded = [detector.count_refusal() for _ in range(2 * OVERLOAD)]
    assert overloaded == [False] * (OVERLOAD - 1) + [True] * (OVERLOAD + 1)
    time.sleep(1)
    assert not detector.count_refusal()


@pytest.mark.parametrize(("name", "error"), [("no image", NotAnImageError), ("breaks the network", RuntimeError)])
def test_a_photo_that_fails_fails_alone_and_leaves_the_queue(stages, people, name, error):
    queue = AdmissionQueue(stages.read, stages.classify, 1)
    stages.open_network.set()
    for _ in range(3):
        with pytest.raises(error):
            queue.predict(io.BytesIO(name.encode()))
    assert queue.predict(io.BytesIO(b"photo")).identification.label == "photo"


def test_the_place_of_a_client_that_has_disconnected_is_for_the_next_one(stages, people, monkeypatch):
    monkeypatch.setattr(admission, "SWEEP_INTERVAL", 0)
    queue = AdmissionQueue(stages.read, stages.classify, 2)
    gone = threading.Event()
    (first,) = queue_up(people, stages, queue, ["first"])
    (waiting,) = queue_up(people, stages, queue, ["goes away"], is_disconnected=gone.is_set)
    queue_up(people, stages, queue, ["stays"], is_disconnected=lambda: False)
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
    with pytest.raises(DisconnectedError):
        waiting.result(20)
    (third,) = queue_up(people, stages, queue, ["third"], is_disconnected=lambda: False)
    with pytest.raises(BusyError):
        queue.check()
    stages.open_network.set()
    assert [answer.result(20).identification.label for answer in (first, third)] == ["first", "third"]


def test_the_photo_of_a_client_that_has_disconnected_is_not_read_when_its_turn_comes(stages):
    queue = AdmissionQueue(stages.read, stages.classify, 2)
    with pytest.raises(DisconnectedError):
        queue.predict(io.BytesIO(b"photo"), is_disconnected=lambda: True)
    assert stages.read_names == []
    assert queue.waiting == 0


def test_nobody_waits_longer_than_the_longest_wait(stages, people, monkeypatch):
    monkeypatch.setattr(admission, "LONGEST_WAIT", 0.3)
    queue = AdmissionQueue(stages.read, stages.classify, 5)
    first, second = queue_up(people, stages, queue, ["first", "second"])
    with pytest.raises(BusyError):
        second.result(5)
    assert not first.done()  # its turn had come
    stages.open_network.set()
    assert first.result(20).identification.label == "first"


def test_an_answer_says_where_its_time_went(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 5)
    first, second = queue_up(people, stages, queue, ["first", "second"])
    time.sleep(0.1)
    stages.open_network.set()
    assert set(first.result(20).seconds) == {"wait", "decode", "network"}
    assert first.result().seconds["network"] > 0.1
    assert second.result(20).seconds["wait"] > 0.1
    assert second.result().seconds["network"] < 0.1


def test_several_workers_classify_at_the_same_time(stages, people):
    begun = threading.Barrier(3)

    def classify(pixels: np.ndarray) -> Identification:
        begun.wait(20)  # for the two others
        return Identification(str(pixels[0]), 1.0, ())

    queue = AdmissionQueue(stages.read, classify, 5, concurrency=3)
    answers = [people.submit(queue.predict, io.BytesIO(name)) for name in (b"1", b"2", b"3")]
    assert [answer.result(20).identification.label for answer in answers] == ["1", "2", "3"]


def test_a_pending_job_leaves_the_queue_and_its_thumbnail_can_be_shown(stages):
    queue = AdmissionQueue(stages.read, lambda _pixels: PendingJob("job"), 0)
    prediction = queue.predict(io.BytesIO(b"photo"))
    assert isinstance(prediction, PendingPrediction)
    assert (prediction.job_id, prediction.reading.thumbnail) == ("job", b"photo")
    assert queue.waiting == 0


def test_one_photo_can_be_identified_in_another_way_than_the_others(stages, people):
    def otherwise(pixels: np.ndarray) -> Identification:
        return Identification(f"another {pixels[0]}", 1.0, ())

    queue = AdmissionQueue(stages.read, stages.classify, 5)
    stages.open_network.set()
    assert queue.predict(io.BytesIO(b"1"), classify=otherwise).identification.label == "another 1"
    assert queue.predict(io.BytesIO(b"2")).identification.label == "2"
    assert stages.classified_names == ["2"]
    (waiting,) = queue_up(people, stages, queue, ["3"], classify=otherwise)
    assert waiting.result(20).identification.label == "another 3"  # in its turn, too
