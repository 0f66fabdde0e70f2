"""web/errors.py: every exception as a page, as a result card and as a problem (RFC 9457)."""

import io
import re

import pytest
from werkzeug.test import TestResponse

from inference.errors import TooThinError
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError, UnknownJobError
from jobs.retry_after import LEAST_SPREAD
from tests.support.clients import MIB
from tests.support.pages import sentence_on
from tests.support.seam import ColorClassifier, ColorWorkers
from tests.support.servers import FORM_HEADERS, form

IDENTIFICATIONS = "/api/v1/identifications"
NAMES = {503: "Service Unavailable", 500: "Internal Server Error", 422: "Unprocessable Entity", 410: "Gone"}
BUSY = BusyError(waiting=3, mean_service_time=1.5)
UNAVAILABLE = UnavailableError("no worker is there")


class Failing(ColorClassifier):
    """A stand-in that fails, once the app is warm."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.error_when_warm = error

    def classify(self, pixels, wait=None, **options):
        if self.error:
            raise self.error
        return super().classify(pixels, wait)

    def look_up(self, job_id):
        raise self.error


@pytest.fixture
def make_failing_client(make_client):
    """Make a client of an app whose classifier raises an exception for every photo and every look-up."""

    def make(error: Exception):
        client = make_client(classifier := Failing(error))
        classifier.error = error
        return client

    return make


def post(client, photo: bytes, path: str = "/") -> TestResponse:
    return client.post(path, data={"bird_image": (io.BytesIO(photo), "bird.png")})


def assert_problem(answer: TestResponse, status: int, sentence: str) -> None:
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json == {"type": "about:blank", "title": NAMES[status], "status": status, "detail": sentence}


def assert_card(answer: TestResponse, status: int, sentence: str) -> None:
    assert answer.status_code == status
    assert answer.text.lstrip().startswith("<article")
    assert sentence_on(answer.text) == sentence


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        pytest.param(BUSY, 503, str(BUSY.retry_after), id="BusyError"),  # by chance, and so not part of the name
        (UNAVAILABLE, 503, "5"),
        (JobLostError(), 503, "5"),
        (JobFailedError(), 500, None),
        (TooThinError(), 422, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_photo_without_an_answer_gets_the_same_sentence_in_every_form(
    make_failing_client, photo, error, status, retry_after
):
    client = make_failing_client(error)
    card, problem = post(client, photo, "/cards"), post(client, photo, IDENTIFICATIONS)
    assert_card(card, status, str(error))
    assert_problem(problem, status, str(error))
    assert (card.headers.get("Retry-After"), problem.headers.get("Retry-After")) == (retry_after, retry_after)
    page = post(client, photo)
    if isinstance(error, TooThinError):  # another photo mends it: the form says so
        assert (page.status_code, page.location) == (302, "/")
        page = client.get("/")
    else:
        assert (page.status_code, page.headers.get("Retry-After")) == (status, retry_after)
    assert sentence_on(page.text) == str(error)
    assert 'name="bird_image"' in page.text


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [(UNAVAILABLE, 503, "5"), (JobLostError(), 410, None), (JobFailedError(), 500, None)],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_job_without_an_answer_gets_the_same_sentence_in_every_form(make_failing_client, error, status, retry_after):
    client = make_failing_client(error)
    page, card, problem = (client.get(f"{path}/abc") for path in ("/identifications", "/cards", IDENTIFICATIONS))
    assert (page.status_code, sentence_on(page.text)) == (status, str(error))
    assert page.text.startswith("<!doctype html>")
    assert_card(card, status, str(error))
    assert_problem(problem, status, str(error))
    assert {answer.headers.get("Retry-After") for answer in (page, card, problem)} == {retry_after}
    # The answer may come yet while the queue does not answer, and never after the other two.
    assert page.headers.get("Refresh") == retry_after


@pytest.mark.parametrize("path", ["/", "/cards", IDENTIFICATIONS])
@pytest.mark.parametrize("error", [JobLostError(), UnknownJobError()])
def test_a_photo_whose_job_is_lost_at_once_is_worth_sending_again(make_client, photo, path, error):
    workers = ColorWorkers()
    workers.found = error
    assert post(make_client(workers), photo, path).status_code == 503


def test_why_no_photo_can_be_identified_is_logged_for_the_operator_and_not_shown(make_failing_client, photo, caplog):
    answer = post(make_failing_client(UNAVAILABLE), photo)
    assert "no worker is there" in caplog.text
    assert "no worker is there" not in answer.text


@pytest.mark.parametrize("path", ["/identifications", "/cards", IDENTIFICATIONS])
def test_a_job_that_is_not_there_is_not_found(client, path):
    answer = client.get(f"{path}/abc")
    shown = answer.json["detail"] if path == IDENTIFICATIONS else sentence_on(answer.text)
    assert answer.status_code == 404
    assert shown == "There is no such answer here, or it is more than an hour old. Please send the photo again."


@pytest.mark.parametrize("path", ["/", "/cards", IDENTIFICATIONS])
def test_an_unhandled_exception_is_logged_leaves_no_file_and_shows_no_details(
    make_failing_client, photo, uploads, caplog, path
):
    answer = post(make_failing_client(RuntimeError("secret detail")), photo, path)
    assert answer.status_code == 500
    shown = answer.json["detail"] if path == IDENTIFICATIONS else sentence_on(answer.text)
    assert "server" in shown
    assert "secret detail" not in answer.text
    assert list(uploads.iterdir()) == []
    [record] = [record for record in caplog.records if record.exc_info]
    assert "secret detail" in str(record.exc_info[1])
    assert record.request == answer.headers["X-Request-ID"]


def test_the_log_of_an_unhandled_exception_does_not_lead_to_a_photo(make_failing_client, caplog):
    answer = make_failing_client(RuntimeError()).get("/identifications/3d2f0c1e")
    assert answer.status_code == 500
    assert f"under {answer.headers['X-Request-ID']}." in answer.text
    assert "3d2f0c1e" not in caplog.text


class FailingBody(io.RawIOBase):
    """The body of a request whose reading fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: bytearray) -> int:
        raise self.error


def post_failing_body(client, path: str, error: Exception) -> TestResponse:
    environ = {"wsgi.input": FailingBody(error), "CONTENT_TYPE": FORM_HEADERS["Content-Type"], "CONTENT_LENGTH": "1000"}
    return client.post(path, environ_overrides=environ)


@pytest.mark.parametrize("path", ["/", "/cards", IDENTIFICATIONS])
def test_an_unhandled_exception_while_an_upload_is_received_is_the_servers_mistake(client, uploads, caplog, path):
    answer = post_failing_body(client, path, AttributeError("a bug of our own"))
    assert answer.status_code == 500
    [record] = [record for record in caplog.records if record.exc_info]
    assert "a bug of our own" in str(record.exc_info[1])
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("path", ["/", "/cards", IDENTIFICATIONS])
@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), TimeoutError(), OSError("bad chunk")], ids=repr)
def test_an_upload_that_breaks_off_is_the_clients_mistake(client, uploads, caplog, path, error):
    answer = post_failing_body(client, path, error)
    assert answer.status_code == 400
    assert not [record for record in caplog.records if record.exc_info]
    assert list(uploads.iterdir()) == []


def test_other_addresses_and_methods_get_a_page_too(client):
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert "not found" in sentence_on(answer.text)
    answer = client.put("/")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(("path", "status"), [("/", 302), ("/cards", 413), (IDENTIFICATIONS, 413)])
def test_an_upload_that_is_too_large_gets_the_same_sentence_in_every_form(client, path, status):
    answer = client.post(path, data=form(bytes(11 * MIB), "bird.jpg"), headers=FORM_HEADERS)
    assert answer.status_code == status
    shown = (
        answer.json["detail"]
        if path == IDENTIFICATIONS
        else sentence_on((client.get("/") if path == "/" else answer).text)
    )
    assert shown == "Uploaded file too large."


def test_the_more_photos_wait_the_later_one_should_try_again(make_failing_client, photo):
    for waiting, seconds in [(1, 2), (10, 15), (100, 150)]:
        answer = post(make_failing_client(BusyError(waiting, 1.5)), photo, "/cards")
        told = int(answer.headers["Retry-After"])
        assert seconds <= told <= max(2 * seconds, LEAST_SPREAD)
        assert re.search(rf" in {told} seconds\.", sentence_on(answer.text))
