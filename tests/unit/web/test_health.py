"""web/health.py: what /healthz says, and when it says 503."""

import pytest

from jobs import NO_BROKER, NO_WORKER
from jobs.errors import UnavailableError
from jobs.queue_state import QueueState
from tests.support import seam
from tests.support.disk import no_room
from tests.support.seam import COLORS, SHA256, ColorWorkers


@pytest.fixture
def workers() -> ColorWorkers:
    """A stand-in for workers, of which there are none."""
    return ColorWorkers()


def test_one_process_is_healthy_and_says_which_model_it_has(client):
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {
        "mode": "one process",
        "labels": len(COLORS),
        "model": SHA256,
        "waiting": 0,
        "engine": {"name": "tensorflow", "precision": "float32", "device": "CPU"},
    }
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_app_whose_model_is_being_loaded_is_not_healthy_yet(uploads):
    answer = seam.loading_application(uploads).test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (503, {"reason": "The model is being loaded."})


def test_an_app_that_cannot_store_photos_is_not_healthy(client, uploads, caplog):
    uploads.rmdir()
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json["reason"]) == (503, "no photo can be stored: No such file or directory")
    assert str(uploads) not in answer.text
    assert f"BIRD_UPLOADS={uploads}: No such file or directory" in caplog.text
    uploads.touch()  # a file in the folder's place
    assert client.get("/healthz").status_code == 503
    uploads.unlink()
    uploads.mkdir()
    assert client.get("/healthz").status_code == 200
    assert list(uploads.iterdir()) == []


def test_an_app_whose_disk_is_full_is_not_healthy(client):
    with no_room():
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json["reason"]) == (503, "no photo can be stored: File too large")
    assert client.get("/healthz").status_code == 200


def test_an_app_without_a_worker_is_not_healthy(make_client, workers):
    workers.queue = QueueState(3, 0.1, ())
    answer = make_client(workers).get("/healthz")
    assert answer.status_code == 503
    assert {"mode": "queue", "waiting": 3, "workers": [], "reason": NO_WORKER}.items() <= answer.json.items()


def test_an_app_whose_queue_does_not_answer_is_not_healthy(make_client, workers):
    workers.queue = UnavailableError(NO_BROKER)
    answer = make_client(workers).get("/healthz")
    assert (answer.status_code, answer.json["reason"]) == (503, NO_BROKER)
