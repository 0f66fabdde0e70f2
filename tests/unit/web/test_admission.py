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
from inference.errors import NotAnImageError, TooCostlyError
from inference.regions import Region
from inference.sandbox import Reading
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError
from jobs.pending import PendingJob
from jobs.sender import ANYBODY, Sender, most_places
from tests.support.servers import until
from web import admission
from web.admission import (
    LEAST_SIDE,
    AdmissionQueue,
    DisconnectedError,
    PendingPrediction,
    Prediction,
)
from web.overload import OVERLOAD, OverloadDetector


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


def refuses(queue: AdmissionQueue, sender: Sender) -> bool:
    """Whether no photo of this sender would be admitted now."""
    try:
        queue.check(sender)
    except BusyError:
        return True
    return False


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
        with pytest.raises(BusyError, match=r"^The app is busy: 4 photos are in line\. Please try again in "):
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
    assert 2 <= busy.value.retry_after <= 4  # 12 photos of 0.15 to 0.2 s
    assert f"in {busy.value.retry_after} seconds." in str(busy.value)


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
    until(lambda: not refuses(queue, ANYBODY))
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


# Several clients


PERSON, NEIGHBOR = Sender("192.0.2.1"), Sender("192.0.2.2")
BATCH = Sender("192.0.2.3", is_batch=True)


def fill(people: ThreadPoolExecutor, queue: AdmissionQueue, sender: Sender, number: int) -> list[Future[Prediction]]:
    """Send photos that are called as their client, and wait until all of them are in the queue."""
    full = queue.waiting + number
    photos = [io.BytesIO(sender.client.encode()) for _ in range(number)]
    answers = [people.submit(queue.predict, photo, sender=sender) for photo in photos]
    until(lambda: queue.waiting == full)
    return answers


def test_a_person_is_the_next_one_although_a_batch_has_sent_its_photos_before(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 19)
    answers = fill(people, queue, BATCH, 10)
    until(lambda: len(stages.read_names) == 10)
    answers += fill(people, queue, PERSON, 1)
    until(lambda: len(stages.read_names) == 11)
    stages.open_network.set()
    for answer in answers:
        answer.result(20)
    # One photo was with the network when the person's came, and a thread must wake up between reading and the network.
    assert PERSON.client in stages.classified_names[:3]


def test_a_client_may_have_half_of_the_places_and_the_others_are_for_other_clients(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 5)
    answers = fill(people, queue, PERSON, 3)
    sentence = r"^3 photos from your address are still in line, and no more may be at a time\. Please try again in "
    for ask in (lambda: queue.check(PERSON), lambda: queue.predict(io.BytesIO(b"4"), sender=PERSON)):
        with pytest.raises(BusyError, match=sentence):
            ask()
    queue.check(NEIGHBOR)
    answers += fill(people, queue, NEIGHBOR, 3)
    stages.open_network.set()
    for answer in answers:
        answer.result(20)
    queue.check(PERSON)


def test_a_person_is_not_refused_because_of_a_program_with_the_same_address(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 9)
    fill(people, queue, Sender(PERSON.client, is_batch=True), most_places(10))
    queue.check(PERSON)


def test_however_many_clients_send_batches_there_is_a_place_for_a_person(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 7)
    for client in "abc":
        fill(people, queue, Sender(client, is_batch=True), 2)
    with pytest.raises(BusyError, match=r"^The app is busy: 6 photos are in line\."):
        queue.check(Sender("d", is_batch=True))
    queue.check(PERSON)


def test_a_place_of_a_client_that_has_disconnected_counts_for_nobody(stages, people, monkeypatch):
    monkeypatch.setattr(admission, "SWEEP_INTERVAL", 0)
    queue = AdmissionQueue(stages.read, stages.classify, 3)
    fill(people, queue, NEIGHBOR, 1)  # the network has it
    gone = threading.Event()
    leaving = people.submit(queue.predict, io.BytesIO(b"leaves"), gone.is_set, sender=PERSON)
    fill(people, queue, PERSON, 1)
    until(lambda: len(stages.read_names) == 3)
    with pytest.raises(BusyError):
        queue.check(PERSON)
    gone.set()
    until(lambda: not refuses(queue, PERSON))
    assert isinstance(leaving.exception(20), DisconnectedError)


def test_clients_that_nobody_can_tell_apart_may_have_all_places(stages, people):
    queue = AdmissionQueue(stages.read, stages.classify, 3)
    fill(people, queue, ANYBODY, 4)
    with pytest.raises(BusyError, match=r"^The app is busy: 4 photos"):
        queue.check()


# A closer look


class UnsureNetwork:
    """A network that is not sure before it has the picture, in front of a decoder that reads photos of one size.

    :ivar events: what was done, in order.
    :ivar errors: what a step raises instead, by its name.
    :ivar pending: whether an answer takes so long that it is a job.
    :ivar before: called before each step with its name.
    """

    def __init__(self, size: tuple[int, int] = (4000, 3000)) -> None:
        self.size = size
        self.events: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.pending = False
        self.before = lambda _event: None

    def queue(self, max_waiting: int = 5) -> AdmissionQueue:
        """A queue in front of both."""
        return AdmissionQueue(self.read, self.classify, max_waiting, read_picture=self.read_picture)

    def read(self, file: io.BytesIO, region: Region | None = None) -> Reading:
        self._do("read a region" if region else "read")
        return Reading(np.array([0]), self.size, file.getvalue(), None, {"decode": 0.1, "thumbnail": 0.01})

    def read_picture(self, _file: io.BytesIO) -> np.ndarray:
        self._do("read picture")
        time.sleep(0.05)
        return np.array([1])

    def classify(
        self, pixels: np.ndarray, picture: np.ndarray | None = None, region: Region | None = None
    ) -> Identification | PendingJob:
        assert pixels.tolist() == [0]
        self._do("classify" if picture is None else "look closer")
        if self.pending:
            return PendingJob("job")
        label = "after a closer look" if picture is not None and picture.tolist() == [1] else "at first"
        return Identification(label, 0.5, (), seconds=0.2, region=region, wants_closer_look=picture is None)

    def _do(self, event: str) -> None:
        self.before(event)
        self.events.append(event)
        if event in self.errors:
            raise self.errors[event]


def label_of(queue: AdmissionQueue, **options: object) -> str:
    """The label of a photo."""
    prediction = queue.predict(io.BytesIO(b"photo"), **options)
    assert isinstance(prediction, Prediction)
    assert queue.waiting == 0
    return prediction.identification.label


def test_if_the_network_is_not_sure_the_photo_is_read_with_more_pixels_and_it_looks_closer_once():
    network = UnsureNetwork()
    assert label_of(network.queue()) == "after a closer look"
    assert network.events == ["read", "classify", "read picture", "look closer"]


def test_a_region_that_a_person_chose_gets_no_closer_look():
    network = UnsureNetwork()
    assert label_of(network.queue(), region=Region(0.5, 0.5, 0.25, 0.25)) == "at first"
    assert network.events == ["read a region", "classify"]


@pytest.mark.parametrize(
    ("size", "gets_one"),
    [((LEAST_SIDE - 1, LEAST_SIDE - 1), False), ((LEAST_SIDE, 20), True), ((20, LEAST_SIDE), True)],
)
def test_a_small_photo_gets_no_closer_look(size, gets_one):
    network = UnsureNetwork(size)
    assert label_of(network.queue()) == ("after a closer look" if gets_one else "at first")
    assert ("read picture" in network.events) == gets_one


def test_without_a_way_to_read_more_pixels_there_is_no_closer_look():
    network = UnsureNetwork()
    assert label_of(AdmissionQueue(network.read, network.classify, 5)) == "at first"


@pytest.mark.parametrize("picture_first", [False, True])
def test_a_photo_that_takes_too_much_to_read_with_more_pixels_keeps_its_first_answer(picture_first):
    network = UnsureNetwork()
    network.errors = {"read picture": TooCostlyError()}
    assert label_of(network.queue(), picture_first=picture_first) == "at first"
    assert network.events.count("read picture") == 1


@pytest.mark.parametrize("error", [BusyError(1, 1), UnavailableError("gone"), JobFailedError(), JobLostError()])
def test_if_workers_refuse_the_closer_look_or_fail_on_it_the_first_answer_stands(error):
    network = UnsureNetwork()
    network.errors = {"look closer": error}
    assert label_of(network.queue()) == "at first"


@pytest.mark.parametrize("stage", ["read", "classify"])
def test_if_the_turn_for_the_closer_look_does_not_come_in_time_the_first_answer_stands(people, monkeypatch, stage):
    monkeypatch.setattr(admission, "LONGEST_WAIT", 0.3)
    network, other_is_running, is_over = UnsureNetwork(), threading.Event(), threading.Event()

    def occupy() -> None:
        other_is_running.set()
        assert is_over.wait(20)

    queue = network.queue()
    others: list[Future[object]] = []

    def occupy_the_stage(event: str) -> None:
        # Another photo is ahead of the closer look: the one that waits for the reader, or the one for the network.
        if event == ("classify" if stage == "read" else "read picture"):
            threads = queue._reader if stage == "read" else queue._network
            others.append(threads.submit(ANYBODY, occupy))
            assert other_is_running.wait(20)

    network.before = occupy_the_stage
    answer = people.submit(label_of, queue)
    try:
        assert answer.result(5) == "at first"
    finally:
        is_over.set()
    assert "look closer" not in network.events


@pytest.mark.parametrize("before", ["read picture", "look closer"])
def test_a_client_that_disconnects_after_the_first_answer_gets_no_closer_look(before):
    network, gone = UnsureNetwork(), threading.Event()
    last_event = {"read picture": "classify", "look closer": "read picture"}[before]
    network.before = lambda event: gone.set() if event == last_event else None
    queue = network.queue()
    with pytest.raises(DisconnectedError):
        queue.predict(io.BytesIO(b"photo"), gone.is_set)
    assert network.events[-1] == last_event
    assert queue.waiting == 0


def test_the_closer_look_counts_in_the_time_that_an_answer_took():
    network = UnsureNetwork()
    seconds = network.queue().predict(io.BytesIO(b"photo")).seconds
    assert set(seconds) == {"wait", "decode", "thumbnail", "network"}
    assert 0.15 <= seconds["decode"] < 0.3  # 0.1 at first, and at least 0.05 for the picture
    assert seconds["network"] == pytest.approx(0.4)
    network.size = (100, 100)
    assert network.queue().predict(io.BytesIO(b"photo")).seconds["decode"] == pytest.approx(0.1)


def test_a_pending_job_comes_with_the_picture_that_its_worker_may_need():
    network = UnsureNetwork()
    network.pending = True
    prediction = network.queue().predict(io.BytesIO(b"photo"))
    assert (prediction.job_id, prediction.picture.tolist()) == ("job", [1])
    assert network.events == ["read", "classify", "read picture"]


def test_a_worker_can_be_given_the_picture_at_once():
    network = UnsureNetwork()
    network.pending = True
    prediction = network.queue().predict(io.BytesIO(b"photo"), picture_first=True)
    assert (prediction.job_id, prediction.picture) == ("job", None)
    assert network.events == ["read", "read picture", "look closer"]


@pytest.mark.parametrize("reason", ["too costly", "no turn", "disconnected", "small"])
def test_a_pending_job_is_not_lost_if_there_is_no_picture_for_it(monkeypatch, reason):
    network, gone, is_over = UnsureNetwork(), threading.Event(), threading.Event()
    network.pending = True
    queue = network.queue()
    if reason == "too costly":
        network.errors = {"read picture": TooCostlyError()}
    elif reason == "small":
        network.size = (100, 100)
    elif reason == "disconnected":
        network.before = lambda event: gone.set() if event == "classify" else None
    else:
        monkeypatch.setattr(admission, "LONGEST_WAIT", 0.3)
        network.before = lambda event: (
            queue._reader.submit(ANYBODY, lambda: is_over.wait(20)) if event == "classify" else None
        )
    try:
        prediction = queue.predict(io.BytesIO(b"photo"), gone.is_set)
    finally:
        is_over.set()
    assert (prediction.job_id, prediction.picture) == ("job", None)
