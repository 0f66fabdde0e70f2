"""A photo that cannot be kept costs nobody an answer."""

import logging

from feedback.corrections import NOT_KEPT
from tests.support.corrections import claim, jpeg, pattern
from tests.support.disk import no_room

LARGE = jpeg(pattern(1, (3200, 2400)), 100)


def test_on_a_full_disk_corrections_are_kept_without_photos_and_it_is_logged_once(corrections, stored, caplog):
    caplog.set_level(logging.WARNING)
    assert len(LARGE) > 2**21
    with no_room(2**21):  # the database still fits
        first, second = (claim(corrections, client=client, photo=LARGE) for client in "ab")
    assert (first.has_photo, first.why_no_photo) == (second.has_photo, second.why_no_photo) == (False, NOT_KEPT)
    assert corrections.find(second.token)
    assert stored() == 0
    assert [record.message for record in caplog.records] == ["The photo store of corrections fails: File too large"]
    assert claim(corrections, client="c", photo=LARGE).has_photo
