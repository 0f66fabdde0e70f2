"""cli.reader_pool: photos are read by several processes while a network, or workers, identify those before them."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cli import reader_pool
from cli.outcomes import Outcome
from cli.reader_pool import ReaderPool
from inference import Identification
from inference.errors import TooCostlyError
from inference.sandbox import Sandbox
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError, UnknownJobError
from jobs.pending import PendingJob, Position
from tests.support.drawings import encoded
from tests.support.photographs import DAMAGED, NOT_A_PICTURE
from tests.unit.cli.classifiers import COLORS, BatchClassifier, Pixels, Workers, named

MAX_PIXELS = 10_000
FAILED, LOST = str(JobFailedError()), str(JobLostError())


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits as long as people do."""
    monkeypatch.setattr(reader_pool, "LOOK_UP_INTERVAL", 0.01)
    monkeypatch.setattr(reader_pool, "RETRY_INTERVAL", 0.01)
    monkeypatch.setattr(reader_pool, "UNAVAILABLE_PATIENCE", 0.2)


def identified(paths: list[Path], classifier: BatchClassifier, jobs: int = 1) -> list[Outcome]:
    """What a pool says of photos."""
    with ReaderPool(jobs, classifier, MAX_PIXELS) as pool:
        return list(pool.identify(paths))


def labels(outcomes: list[Outcome]) -> list[str]:
    """The label of each photo, or why it has none."""
    return [outcome.identification.label if outcome.identification else outcome.error for outcome in outcomes]


def busy() -> BusyError:
    """Too many photos wait, for a moment."""
    error = BusyError(1, 0.001)
    error.retry_after = 0.01
    return error


GONE = UnavailableError("no worker is there")

# In batches


def test_each_photo_gets_its_own_answer_in_the_order_of_the_files(photos):
    colors = [COLORS[number * number % 3] for number in range(11)]
    paths = photos({f"{number}.png": color for number, color in enumerate(colors)})
    classifier = BatchClassifier(batch_size=4)
    outcomes = identified(paths, classifier, jobs=3)
    assert [outcome.path for outcome in outcomes] == paths
    assert labels(outcomes) == colors
    assert classifier.batches == [4, 4, 3]


def test_photos_that_cannot_be_read_get_a_sentence_and_are_not_sent_to_the_network(photos, tmp_path):
    paths = photos({"a.png": "red", "b.png": b"<html>", "c.png": "blue", "d.png": b"", "e.png": b"x"})
    paths[3].unlink()
    (tmp_path / "f.png").write_bytes(paths[0].read_bytes()[:-20])
    classifier = BatchClassifier(batch_size=3)
    outcomes = identified([*paths, tmp_path / "f.png"], classifier)
    gone = "The file cannot be read: No such file or directory."
    assert labels(outcomes) == ["red", NOT_A_PICTURE, "blue", gone, NOT_A_PICTURE, DAMAGED]
    assert classifier.batches == [2]  # the second batch has nothing for the network


def test_a_photo_with_too_many_pixels_is_refused(photos):
    (path,) = photos({"a.png": "red"})
    with ReaderPool(1, BatchClassifier(), 1000) as pool:
        (outcome,) = pool.identify([path])
    assert outcome.error == "The picture has more than 0.001 million pixels. Please send a smaller one."


def test_the_next_photos_are_read_while_the_network_works_but_not_all_of_them(photos):
    (path,) = photos({"a.png": "red"})
    taken = 0
    next_batch_is_read = threading.Event()

    def files() -> Iterator[Path]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            if taken > 4:
                next_batch_is_read.set()
            yield path

    class SlowClassifier(BatchClassifier):
        def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
            assert next_batch_is_read.wait(30)
            time.sleep(0.1)  # long enough to read everything, if it were not limited
            assert self.batches or taken < 50
            return super().classify_batch(pixels)

    with ReaderPool(2, SlowClassifier(batch_size=4), MAX_PIXELS) as pool:
        assert sum(1 for _ in pool.identify(files())) == 100


def test_an_empty_list_of_photos_is_done_at_once():
    assert identified([], BatchClassifier()) == []


# By workers


def test_a_pending_job_is_looked_up_until_it_is_answered_and_then_dropped(photos):
    workers = Workers(PendingJob("job"), Position(1, 3), Position(None, 1))
    assert labels(identified(photos({"a.png": "green"}), workers)) == ["green"]
    assert workers.dropped == ["job"]


def test_a_queue_that_is_full_or_does_not_answer_for_a_moment_is_asked_again(photos):
    workers = Workers(GONE, busy(), PendingJob("job"), Position(1, 3), GONE, busy(), Position(None, 1))
    assert labels(identified(photos({"a.png": "green"}), workers)) == ["green"]


def test_a_queue_that_is_full_is_asked_again_however_long_it_takes(photos):
    begun = time.monotonic()
    assert labels(identified(photos({"a.png": "green"}), Workers(*[busy() for _ in range(60)]))) == ["green"]
    assert time.monotonic() - begun > reader_pool.UNAVAILABLE_PATIENCE


def test_a_queue_that_does_not_answer_for_long_ends_it(photos):
    with pytest.raises(UnavailableError):
        identified(photos({"a.png": "green"}), Workers(*[GONE] * 1000))


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([JobFailedError()], FAILED),
        ([JobLostError()], LOST),
        ([PendingJob("job"), JobFailedError()], FAILED),
        ([PendingJob("job"), JobLostError()], LOST),
        ([PendingJob("job"), UnknownJobError()], LOST),
    ],
    ids=["failed", "lost", "failed later", "lost later", "unknown"],
)
def test_a_photo_that_workers_give_up_on_fails_with_a_sentence_and_the_next_one_is_identified(photos, events, sentence):
    workers = Workers(*events)
    assert labels(identified(photos({"a.png": "red", "b.png": "blue"}), workers)) == [sentence, "blue"]
    assert workers.dropped == (["job"] if len(events) > 1 else [])


def test_several_photos_are_with_workers_at_the_same_time_and_come_back_in_order(photos):
    class BusyWorkers(Workers):
        barrier = threading.Barrier(4)

        def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
            position = self.barrier.wait(30)  # four at a time, or none at all
            time.sleep(0.02 * position)
            return super().classify_batch(pixels)

    colors = [COLORS[number % 3] for number in range(8)]
    paths = photos({f"{number}.png": color for number, color in enumerate(colors)})
    assert labels(identified(paths, BusyWorkers(concurrency=4), jobs=2)) == colors


def test_no_more_photos_are_with_workers_than_is_fair_to_others(photos):
    class CountingWorkers(Workers):
        now = most = 0

        def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.02)
            with self._lock:
                self.now -= 1
            return super().classify_batch(pixels)

    workers = CountingWorkers(concurrency=1000)
    identified(photos({f"{number}.png": "red" for number in range(40)}), workers, jobs=2)
    assert workers.most <= reader_pool.SENT_AT_ONCE


def test_a_pool_that_is_stopped_amid_its_work_drops_pending_jobs_and_ends_soon(photos):
    class StuckWorkers(Workers):
        is_pending = threading.Event()

        def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
            found = super().classify_batch(pixels)
            return found if named(pixels[0]).label == "red" else [PendingJob("job")]

        def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
            self.is_pending.set()
            return b"", Position(1, 3)

    workers = StuckWorkers()
    paths = photos({"a.png": "red", "b.png": "blue"})

    def interrupted_amid_its_work() -> None:
        with ReaderPool(1, workers, MAX_PIXELS) as pool:
            next(pool.identify(paths))  # the second photo is with the workers meanwhile
            assert workers.is_pending.wait(30)
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted_amid_its_work()
    assert time.monotonic() - begun < 10
    assert workers.dropped == ["job"]


# With a closer look


class Unsure(Workers):
    """A network, or workers, that are not sure before they have the picture; then they answer "closer".

    :param events: what each call of ``classify`` with a picture raises or returns.
    :ivar pictures: the size of each.
    """

    def __init__(self, *events: Exception | PendingJob) -> None:
        super().__init__()
        self.pictures: list[tuple[int, int]] = []
        self._later = list(events)

    def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
        return [replace(each, wants_closer_look=True) for each in super().classify_batch(pixels)]

    def classify(
        self, pixels: Pixels, wait: float | None = None, picture: Pixels | None = None
    ) -> Identification | PendingJob:
        assert picture is not None
        assert pixels.shape == (224, 224, 3)
        self.pictures.append((picture.shape[1], picture.shape[0]))
        event = self._later.pop(0) if self._later else None
        if isinstance(event, Exception):
            raise event
        return event or Identification("closer", 1.0, ())

    def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
        return b"", Identification(job_id, 1.0, ())


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A photo in which a network may look closer."""
    path = tmp_path / "large.jpg"
    path.write_bytes(encoded(Image.new("RGB", (2400, 1800), "red"), "JPEG"))
    return path


def outcomes_of(paths: list[Path], classifier: BatchClassifier, jobs: int = 1) -> list[str]:
    """The labels that a pool which accepts large photos gives."""
    with ReaderPool(jobs, classifier, 10_000_000) as pool:
        return labels(list(pool.identify(paths)))


def test_if_the_network_is_not_sure_it_looks_closer_at_a_large_photo_and_not_at_a_small_one(photos, large):
    network = Unsure()
    (small,) = photos({"small.png": "green"})
    assert outcomes_of([small, large, small], network) == ["green", "closer", "green"]
    assert network.pictures == [(1792, 1344)]


def test_a_photo_that_is_given_several_times_gets_the_same_answer_each_time(large):
    network = Unsure()
    assert outcomes_of([large] * 5, network, jobs=2) == ["closer"] * 5
    assert len(network.pictures) == 5


def test_a_network_that_is_sure_does_not_look_closer(large):
    assert outcomes_of([large], BatchClassifier()) == ["red"]


def test_a_closer_look_may_become_a_job_and_is_asked_for_again_while_the_queue_is_full(large):
    workers = Unsure(busy(), GONE, PendingJob("later"))
    assert outcomes_of([large], workers) == ["later"]
    assert workers.dropped == ["later"]


@pytest.mark.parametrize("error", [JobFailedError(), JobLostError()])
def test_if_workers_fail_on_the_closer_look_the_first_answer_stands(large, error):
    assert outcomes_of([large, large], Unsure(error)) == ["red", "closer"]


def test_a_photo_that_cannot_be_read_with_more_pixels_keeps_its_first_answer(large, monkeypatch):
    def refuse(_sandbox: Sandbox, _path: Path) -> Pixels:
        raise TooCostlyError

    monkeypatch.setattr(Sandbox, "read_picture", refuse)
    network = Unsure()
    assert outcomes_of([large], network) == ["red"]
    assert network.pictures == []


def test_a_photo_that_is_deleted_meanwhile_keeps_its_first_answer(large):
    class Deleting(Unsure):
        def classify_batch(self, pixels: Pixels) -> list[Identification | PendingJob]:
            large.unlink()
            return super().classify_batch(pixels)

    assert outcomes_of([large], Deleting()) == ["red"]


def test_a_pool_that_is_stopped_while_a_picture_is_read_ends_soon(photos, large, monkeypatch):
    is_reading = threading.Event()
    read_picture = Sandbox.read_picture

    def read_until_stopped(sandbox: Sandbox, path: Path) -> Pixels:
        is_reading.set()
        assert sandbox.process is not None
        sandbox.process.wait(30)  # it is killed
        return read_picture(sandbox, path)

    monkeypatch.setattr(Sandbox, "read_picture", read_until_stopped)
    (small,) = photos({"small.png": "green"})

    def interrupted() -> None:
        with ReaderPool(2, Unsure(), 10_000_000) as pool:
            assert next(pool.identify([small, large])).identification.label == "green"
            assert is_reading.wait(30)
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - begun < 10
