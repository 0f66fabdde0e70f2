"""web/prediction.py: a pending job gets the picture that its worker may need."""

import io

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from inference import Identification
from jobs.errors import BusyError, UnavailableError
from jobs.pending import PendingJob, Position
from jobs.sender import Sender
from tests.support.drawings import encoded
from tests.support.seam import ColorWorkers

LARGE = encoded(Image.new("RGB", (2000, 1500), "yellow"), "JPEG")


class BusyWorkers(ColorWorkers):
    """Workers that have answered no job yet.

    :param keeps: whether a picture comes in time, or the exception that keeping it raises.
    :param again: what comes of a job that is sent with its picture, or the exception that it raises.
    :ivar pictures: the shapes of those that were kept, by job ID.
    :ivar sent: for each job, how long its answer was waited for, and the shape of its picture.
    """

    def __init__(self, keeps: bool | Exception = True, again: PendingJob | Identification | Exception | None = None):
        super().__init__()
        self.found = Position(0, 1)
        self.keeps, self.again = keeps, again
        self.pictures: dict[str, tuple[int, ...]] = {}
        self.sent: list[tuple[float | None, tuple[int, ...] | None]] = []
        self.dropped: list[str] = []

    def classify(self, pixels, wait=None, picture=None, region=None, **options):
        assert pixels.shape == (224, 224, 3)
        self.sent.append((wait, None if picture is None else picture.shape))
        if self.again is None or picture is None:
            return super().classify(pixels, wait, picture, region)
        if isinstance(self.again, Exception):
            raise self.again
        return self.again

    def keep_picture(self, job_id, picture):
        self.pictures[job_id] = picture.shape
        if isinstance(self.keeps, Exception):
            raise self.keeps
        return self.keeps

    def drop(self, job_id):
        self.dropped.append(job_id)


def post(client: FlaskClient, photo: bytes = LARGE, crop: str = "", **headers: str) -> TestResponse:
    """Send a photo to the API."""
    path = "/api/v1/identifications" + (f"?crop={crop}" if crop else "")
    return client.post(path, data=photo, content_type="image/jpeg", headers=headers)


def job_of(answer: TestResponse) -> str:
    """The ID of the job in a pending answer."""
    assert answer.status_code == 202
    return answer.headers["Location"].rpartition("/")[2]


def test_the_picture_of_a_pending_job_is_kept_for_its_worker(make_client):
    workers = BusyWorkers()
    assert job_of(post(make_client(workers))) == "job"
    assert workers.sent == [(None, None)]
    assert workers.pictures == {"job": (1344, 1792, 3)}


def test_a_job_for_whose_answer_nobody_waits_is_sent_with_its_picture(make_client):
    workers = BusyWorkers()
    assert job_of(post(make_client(workers), Prefer="respond-async")) == "job"
    assert workers.sent == [(0, (1344, 1792, 3))]
    assert workers.pictures == {}


def test_neither_a_small_photo_nor_a_region_has_a_picture(make_client, photo):
    workers = BusyWorkers()
    client = make_client(workers)
    for answer in (post(client, photo), post(client, crop="0.5,0.5,0.4,0.4")):
        assert job_of(answer) == "job"
    for answer in (post(client, photo, Prefer="respond-async"), post(client, crop="0,0,1,1", Prefer="respond-async")):
        assert job_of(answer) == "job"
    assert workers.pictures == {}
    assert [picture for _wait, picture in workers.sent] == [None] * 4


def test_if_the_worker_missed_the_picture_the_photo_is_sent_again_with_it(make_client):
    workers = BusyWorkers(keeps=False, again=PendingJob("another"))
    assert job_of(post(make_client(workers))) == "another"
    assert workers.sent == [(None, None), (0, (1344, 1792, 3))]
    assert workers.dropped == ["job"]


def test_an_answer_to_the_photo_that_was_sent_again_may_come_at_once(make_client):
    workers = BusyWorkers(keeps=False, again=Identification("Wren", 1.0, (), seconds=0.1))
    answer = post(make_client(workers))
    assert (answer.status_code, answer.json["label"]) == (200, "Wren")
    assert answer.json["milliseconds"] > 100
    assert workers.dropped == ["job"]


@pytest.mark.parametrize(
    ("keeps", "again"),
    [(UnavailableError("gone"), None), (False, UnavailableError("gone")), (False, BusyError(1, 1))],
    ids=["not kept", "not sent again", "no room"],
)
def test_a_picture_that_cannot_be_handed_over_does_not_cost_the_answer(make_client, keeps, again):
    workers = BusyWorkers(keeps, again)
    assert job_of(post(make_client(workers))) == "job"
    assert workers.dropped == []


@pytest.mark.parametrize(("path", "is_batch"), [("/", False), ("/cards", False), ("/api/v1/identifications", True)])
def test_workers_learn_who_sent_a_photo_and_whether_a_program_did(make_client, photo, path, is_batch):
    senders = []

    class Asked(ColorWorkers):
        def classify(self, pixels, *arguments, sender, **options):
            senders.append(sender)
            return super().classify(pixels)

    form = {"bird_image": (io.BytesIO(photo), "bird.png")}
    client = make_client(Asked(), env={"BIRD_PROXIES": "1"})
    assert client.post(path, data=form, headers={"X-Forwarded-For": "2001:db8::5"}).status_code == 200
    assert senders[-1] == Sender("2001:db8::/64", is_batch)
