"""A site starts without what only corrections need, and with it, or says in one line why it cannot."""

import subprocess
import sys

from tests.support import servers
from tests.support.servers import GUNICORN, SMALL_NETWORK, one_line_refusal

OF_FEEDBACK = {"feedback", "sqlalchemy", "alembic", "psycopg", "boto3", "botocore"}
IMPORTS = "import application, sys; print(*sorted(name for name in sys.modules if '.' not in name))"
UNREACHABLE = {"BIRD_DATABASE_URL": "postgresql://birds:secret@127.0.0.1:1/birds"}
#: Python runs this at its start if it is in PYTHONPATH: it looks as if a package were not installed.
WITHOUT_ALEMBIC = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "alembic" else find(name, package)
"""


def imported(uploads, **options):
    """The packages that a process has imported once it has started."""
    environment = servers.environment(5000, uploads, **SMALL_NETWORK, **options)
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTS], cwd=servers.ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


def feedback(folder):
    """Settings with which corrections are kept in a folder."""
    return {
        "BIRD_FEEDBACK": "1",
        "BIRD_DATABASE_URL": f"sqlite:///{folder / 'kept' / 'feedback.db'}",
        "BIRD_PHOTO_STORE": str(folder / "kept" / "photos"),
    }


def test_without_bird_feedback_nothing_of_it_is_imported_or_made(tmp_path):
    places = {name: value for name, value in feedback(tmp_path).items() if name != "BIRD_FEEDBACK"}
    assert not OF_FEEDBACK & imported(tmp_path / "uploads", **places)
    assert not (tmp_path / "kept").exists()


def test_with_it_the_database_is_made(tmp_path):
    names = imported(tmp_path / "uploads", **feedback(tmp_path))
    assert {"feedback", "sqlalchemy"} <= names
    assert "boto3" not in names
    assert (tmp_path / "kept" / "feedback.db").exists()


def test_a_database_that_cannot_be_used_stops_the_start_with_one_line(tmp_path):
    line = one_line_refusal(tmp_path / "uploads", **SMALL_NETWORK, **feedback(tmp_path) | UNREACHABLE)
    assert line.startswith('application: BIRD_DATABASE_URL: connection failed: connection to server at "127.0.0.1"')
    assert "secret" not in line


def test_gunicorn_is_not_started_again_and_again_then(tmp_path):
    port = servers.free_port()
    command = [*GUNICORN, "--bind", f"127.0.0.1:{port}"]
    settings = SMALL_NETWORK | feedback(tmp_path) | UNREACHABLE
    ended = servers.start_and_fail(tmp_path / "uploads", port=port, command=command, **settings)
    assert ended.returncode == 4
    assert ended.stderr.splitlines()[-1].startswith("application: BIRD_DATABASE_URL: ")
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_photo_store_that_cannot_be_used_stops_it(tmp_path):
    settings = feedback(tmp_path) | {"BIRD_PHOTO_STORE": "gs://bucket"}
    line = one_line_refusal(tmp_path / "uploads", **SMALL_NETWORK, **settings)
    assert line == "application: BIRD_PHOTO_STORE cannot be used: it must be a folder or s3://BUCKET/PREFIX."


def test_missing_packages_stop_it(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_ALEMBIC)
    line = one_line_refusal(tmp_path / "uploads", PYTHONPATH=str(tmp_path), **SMALL_NETWORK, **feedback(tmp_path))
    assert line == "application: BIRD_FEEDBACK=1 needs more packages: pip install -r requirements-feedback.txt"
