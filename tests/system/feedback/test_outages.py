"""PostgreSQL or S3 do not answer for a while: a sentence for the visitor, and nothing is forgotten."""

import time
from datetime import timedelta

import pytest

from feedback import corrections as module
from feedback.corrections import NOT_KEPT
from feedback.errors import FeedbackError
from feedback.opening import open_corrections
from feedback.sessions import UNAVAILABLE
from settings import FeedbackSettings
from tests.support.corrections import claim
from tests.unit.feedback.conftest import LABELS, LIMITS


def test_without_its_database_a_correction_is_refused_with_a_sentence(corrections, postgresql, stored):
    kept = claim(corrections, photo=1)
    postgresql.stop()
    try:
        for call in (lambda: claim(corrections, photo=2), lambda: corrections.find(kept.token),
                     lambda: corrections.delete(kept.token)):  # fmt: skip
            begun = time.monotonic()
            with pytest.raises(FeedbackError) as refused:
                call()
            assert str(refused.value) == UNAVAILABLE
            assert time.monotonic() - begun < 8
    finally:
        postgresql.start()
    assert stored() == 1
    assert corrections.delete(kept.token)
    assert stored() == 0


def test_without_its_photo_store_a_correction_is_kept_and_what_is_deleted_goes_later(
    corrections, bucket, stored, monkeypatch
):
    kept = claim(corrections, photo=1)
    bucket.server.freeze()
    try:
        begun = time.monotonic()
        assert claim(corrections, photo=2).why_no_photo == NOT_KEPT
        assert corrections.delete(kept.token)
        assert time.monotonic() - begun < 40  # seconds: three tries of two, each of which waits
        assert corrections.find(kept.token) is None
    finally:
        bucket.server.thaw()
    monkeypatch.setattr(module, "STRAY_AFTER", timedelta(0))
    corrections.sweep()
    assert stored() == 0
    assert claim(corrections, photo=2, client="two").has_photo


def test_a_bucket_that_is_missing_is_said_at_the_start(places):
    with pytest.raises(FeedbackError, match=r"^BIRD_PHOTO_STORE cannot be used: S3: .*bucket does not exist"):
        open_corrections(FeedbackSettings(places[0], "s3://other/photos", "", **LIMITS), LABELS)


def test_a_wrong_password_is_said_at_the_start(places, postgresql):
    wrong = places[0].replace("%40", "-")
    with pytest.raises(FeedbackError, match=r"^BIRD_DATABASE_URL: .*password authentication failed") as refused:
        open_corrections(FeedbackSettings(wrong, places[1], "", **LIMITS), LABELS)
    assert "pass-word" not in str(refused.value)
