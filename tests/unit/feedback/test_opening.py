"""What the settings name is opened, or refused with a sentence. system/feedback runs the first tests on PostgreSQL."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from feedback.errors import FeedbackError
from feedback.opening import open_corrections, open_database
from feedback.schema import Base
from settings import FeedbackSettings
from tests.support.corrections import claim
from tests.unit.feedback.conftest import LABELS, LIMITS

AT_ONCE = """
import sys, time
from feedback.opening import open_database
time.sleep(max(0, float(sys.argv[2]) - time.time()))
open_database(sys.argv[1]).dispose()
"""


def refusal(database_url: str, photo_store: str) -> str:
    """The sentence with which settings are refused."""
    with pytest.raises(FeedbackError) as refused:
        open_corrections(FeedbackSettings(database_url, photo_store, "", **LIMITS), LABELS)
    return str(refused.value)


def test_the_migrations_make_the_tables_of_the_schema(corrections):
    with corrections.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_keeps_what_is_there(opened):
    kept = claim(opened())
    assert opened().find(kept.token)


def test_processes_may_start_at_the_same_time(places):
    start = time.time() + 3
    command = [sys.executable, "-W", "error", "-c", AT_ONCE, places[0], str(start)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4


def test_a_database_of_a_later_release_is_refused(opened, places):
    corrections = opened()
    with corrections.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert refusal(*places) == "BIRD_DATABASE_URL: the database was made by a later release of this app."


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://user:secret@host/name", "must begin with sqlite:///, followed by a file, or with postgresql://."),
        ("sqlite://", "must begin with sqlite:///, followed by a file, or with postgresql://."),
        ("sqlite:///:memory:", "must begin with sqlite:///, followed by a file, or with postgresql://."),
        ("feedback.db", "Write it as sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."),
        ("postgresql://user:secret@host:port/name", "Write it as sqlite:///FILE or postgresql://USER:PASSWORD@"),
        ("postgresql://user:secret@127.0.0.1:1/name", 'connection to server at "127.0.0.1", port 1 failed'),
        ("postgresql://user:secret@127.0.0.1:1/name?colour=secret", "colour"),
        ("sqlite:////dev/null/feedback.db", "/dev/null"),
        (f"sqlite:///{Path(__file__).parent}", "unable to open database file."),
        (f"sqlite:///{__file__}", "file is not a database."),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(tmp_path, url, sentence):
    said = refusal(url, str(tmp_path))
    assert said.startswith("BIRD_DATABASE_URL")
    assert sentence in said
    assert "secret" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("gs://bucket", "it must be a folder or s3://BUCKET/PREFIX."),
        ("s3://", "it names no bucket: s3://BUCKET/PREFIX."),
        ("s3://bu cket", 'Invalid bucket name "bu cket"'),
        ("s3://bucket/photos", "Could not connect to the endpoint URL"),
        ("/dev/null/photos", "/dev/null/photos: Not a directory."),
        (__file__, "File exists."),
    ],
)
def test_a_photo_store_that_cannot_be_used_is_refused(tmp_path, monkeypatch, place, sentence):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    said = refusal(f"sqlite:///{tmp_path / 'feedback.db'}", place)
    assert said.startswith("BIRD_PHOTO_STORE cannot be used: ")
    assert sentence in said
    assert "\n" not in said


def test_nobody_else_may_look_into_what_is_kept(tmp_path):
    umask = os.umask(0o022)
    try:
        open_database(f"sqlite:///{tmp_path / 'kept' / 'feedback.db'}").dispose()
    finally:
        os.umask(umask)
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "kept" / "feedback.db").stat().st_mode & 0o777 == 0o600


def test_the_log_says_nothing_of_what_is_kept_if_the_database_is_damaged(opened, places, caplog):
    corrections = opened()
    claim(corrections, "A Secret Bird", photo=1)
    corrections.engine.dispose()
    file = Path(places[0].removeprefix("sqlite:///"))
    file.write_bytes(file.read_bytes()[:4096].ljust(file.stat().st_size, b"?"))
    with pytest.raises(FeedbackError, match="at the moment"):
        claim(corrections, "A Secret Bird", client="a secret client", photo=2)
    with pytest.raises(FeedbackError, match="at the moment"):
        corrections.find("a secret token")
    assert "malformed" in caplog.text
    assert "secret" not in caplog.text.lower()
    assert hashlib.sha256(b"a secret token").hexdigest() not in caplog.text
