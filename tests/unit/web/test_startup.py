"""web/startup.py: what happens to requests before the model is loaded, and which start is refused."""

import io
import threading

import pytest

from settings import SettingError
from tests.support import seam
from tests.support.clients import MIB
from tests.support.pages import sentence_on
from tests.support.seam import ColorClassifier
from tests.support.servers import FORM_HEADERS, form, until
from web import startup
from web.uploads import prepare_folder

IDENTIFICATIONS = "/api/v1/identifications"
STARTING = "The app is being started. Please try again in a few seconds."


@pytest.fixture
def starting(uploads):
    """An application whose model is still being loaded."""
    return seam.loading_application(uploads)


@pytest.mark.parametrize("path", ["/", "/about", "/cards", IDENTIFICATIONS])
def test_an_upload_during_the_start_is_read_to_its_end_and_refused(starting, path):
    body = io.BytesIO(form(bytes(11 * MIB), "bird.jpg"))
    answer = starting.test_client().post(path, input_stream=body, headers=FORM_HEADERS)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert body.read() == b""
    if path == IDENTIFICATIONS:
        assert answer.mimetype == "application/problem+json"
        assert answer.json["detail"] == STARTING
    else:
        assert sentence_on(answer.text) == STARTING
        assert answer.text.lstrip().startswith("<article" if path == "/cards" else "<!doctype html>")


def test_what_is_asked_for_during_the_start_waits_for_the_model(uploads, sandbox):
    loading = threading.Event()

    class Loading(ColorClassifier):
        """Not warm until the test says so."""

        def classify(self, pixels, wait=None, **options):
            assert loading.wait(20)
            return super().classify(pixels)

    app = seam.new_application(uploads).application
    app.extensions["bird_readiness"].is_loading = True
    answers = []
    loader = threading.Thread(target=seam.install, args=(app, sandbox, Loading()))
    visitors = [
        threading.Thread(target=lambda: answers.append(app.test_client().get("/species").status_code))
        for _ in range(startup.EARLY_REQUESTS + 5)
    ]
    for thread in (loader, *visitors):
        thread.start()
    until(lambda: answers == [503] * 5)  # threads must be left for /healthz
    assert app.test_client().get("/healthz").status_code == 503
    loading.set()
    for thread in (loader, *visitors):
        thread.join()
    assert sorted(answers) == [200] * startup.EARLY_REQUESTS + [503] * 5
    assert app.test_client().get("/healthz").status_code == 200


def test_the_app_is_warm_before_the_first_request(uploads, sandbox):
    seen = []

    class Watched(ColorClassifier):
        def classify(self, pixels, wait=None, **options):
            seen.append(pixels.shape)
            return super().classify(pixels)

    seam.install(seam.new_application(uploads).application, sandbox, Watched())
    assert seen == [(224, 224, 3)] * startup.WARM_UP_ANSWERS


def test_a_start_deletes_what_a_killed_process_left(tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "0123.upload").touch()
    (uploads / ".gitkeep").touch()
    prepare_folder(uploads)
    assert [path.name for path in uploads.iterdir()] == [".gitkeep"]


def test_the_uploads_folder_is_made_if_it_is_not_there(tmp_path):
    prepare_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_an_uploads_folder_that_cannot_be_made_stops_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"^BIRD_UPLOADS=.*/file/uploads cannot be used: Not a directory\.$"):
        prepare_folder(tmp_path / "file" / "uploads")


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "", "80.0", "²"])
def test_a_port_that_cannot_be_used_stops_the_start(monkeypatch, port):
    monkeypatch.setenv("PORT", port)
    with pytest.raises(SettingError, match=rf"^PORT must be a number from 1 to 65535, not {port!r}\.$"):
        startup.port()


def test_the_port_is_5000_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("PORT", raising=False)
    assert startup.port() == 5000
    monkeypatch.setenv("PORT", "8080")
    assert startup.port() == 8080


@pytest.mark.parametrize("limit", ["60 photos", "60 per fortnight", "60", "many per minute", "[3]", "true"])
def test_a_rate_limit_that_cannot_be_used_stops_the_start(uploads, limit):
    sentence = r"^BIRD_RATE_LIMIT must be a number of uploads in a time, such as 60 per minute, not '.*'\.$"
    with pytest.raises(SettingError, match=sentence):
        seam.new_application(uploads, BIRD_RATE_LIMIT=limit)


@pytest.mark.parametrize("coding", ["chunked", "Chunked"])
def test_a_chunked_body_is_drained_however_its_coding_is_spelt(starting, coding):
    body = io.BytesIO(form(bytes(MIB), "bird.jpg"))
    environ = {"wsgi.input_terminated": True}
    headers = {**FORM_HEADERS, "Transfer-Encoding": coding}
    answer = starting.test_client().post("/", input_stream=body, headers=headers, environ_overrides=environ)
    assert answer.status_code == 503
    assert body.read() == b""
