"""Corrections come in under limits, and go again with their photos. system/feedback runs this on PostgreSQL and S3."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from feedback import corrections as module
from feedback.corrections import NO_ROOM, Corrections, client_hash
from feedback.errors import ClaimError, TooManyError
from feedback.limits import now
from feedback.schema import Claim, Correction, RepeatToken, Status, StrayPhoto
from tests.support.corrections import claim, decide, jpeg, pattern

KILLED = """
import os, signal, sys
from feedback.opening import open_corrections
from settings import FeedbackSettings
from tests.support.corrections import claim
corrections = open_corrections(FeedbackSettings(*sys.argv[1:], "", 2**30, 50, 90), ["Cardinal", "Blue Jay"])
write = corrections.photos.write
corrections.photos.write = lambda *photo: (write(*photo), os.kill(os.getpid(), signal.SIGKILL))
claim(corrections, photo=1)
"""


def count(corrections, table=Correction):
    """How many rows a table has."""
    with Session(corrections.engine) as session:
        return session.scalar(select(func.count()).select_from(table))


def age(corrections, kept, days):
    """Let days pass for a correction."""
    with Session(corrections.engine) as session, session.begin():
        which = update(Correction).where(Correction.id == corrections.find(kept.token).id)
        session.execute(which.values(created=now() - timedelta(days=days)))


def test_a_correction_is_found_by_its_secret_address_only(corrections):
    kept = claim(corrections, "Cardinal", photo=1, region="0.1000,0.1000,0.5000,0.5000")
    found = corrections.find(kept.token)
    assert (found.predicted, found.claim, found.claimed) == ("American_Goldfinch", Claim.SPECIES, "Cardinal")
    assert (found.is_known, found.disagrees, found.status, found.confidence) == (True, True, Status.NEW, 0.75)
    assert corrections.photos.read(found.photo) == jpeg(pattern(1))
    assert found.photo_bytes == len(jpeg(pattern(1)))
    assert kept.has_photo
    assert not kept.why_no_photo
    assert len(kept.token) == 32
    assert kept.token not in repr(vars(found))
    assert corrections.find(found.token_sha256) is None
    assert corrections.find("") is corrections.find("\ud800") is corrections.get(0) is None


@pytest.mark.parametrize("name", ["American_Goldfinch", "american goldfinch", " AMERICAN  Goldfinch\n"])
def test_a_name_of_a_known_species_becomes_its_label(corrections, name):
    found = corrections.find(claim(corrections, name, predicted="Cardinal").token)
    assert (found.claimed, found.is_known) == ("American_Goldfinch", True)


def test_another_name_is_kept_as_it_is_until_the_model_knows_it(corrections):
    found = corrections.find(claim(corrections, "  Kākāpō ").token)
    assert (found.claimed, found.is_known) == ("Kākāpō", False)
    with_another_model = Corrections(corrections.engine, corrections.photos, ["Cardinal", "kākāpō"])
    found = corrections.find(claim(with_another_model, "Kākāpō").token)
    assert (found.claimed, found.is_known) == ("kākāpō", True)


@pytest.mark.parametrize("name", ["", "  ", "\0", "a\x1b[2J", "x" * 256, "\ud800", "\u202eabc"])
def test_what_is_no_name_is_refused(corrections, name):
    with pytest.raises(ClaimError, match="give the name"):
        claim(corrections, name)
    assert count(corrections) == 0


def test_who_names_the_species_of_the_answer_says_that_it_is_right(corrections):
    found = corrections.find(claim(corrections, "american goldfinch").token)
    assert (found.claim, found.disagrees) == (Claim.RIGHT, False)
    assert corrections.find(claim(corrections, Claim.RIGHT).token).claimed == "American_Goldfinch"


def test_a_client_may_send_so_many_a_day(opened):
    corrections = opened(per_day=2)
    first = claim(corrections)
    claim(corrections, photo=1)
    for photo in (None, 2):
        with pytest.raises(TooManyError, match="We take 2 corrections a day"):
            claim(corrections, photo=photo)
    claim(corrections, client="two")
    age(corrections, first, days=1)
    claim(corrections)
    assert count(corrections, StrayPhoto) == 0


def test_without_room_a_correction_is_kept_without_its_photo(opened):
    corrections = opened(max_bytes=2 * len(jpeg(pattern(1))) - 1)
    first, second = claim(corrections, photo=1), claim(corrections, photo=2)
    assert (second.has_photo, second.why_no_photo) == (False, NO_ROOM)
    assert not corrections.find(second.token).photo
    corrections.delete(first.token)
    assert claim(corrections, photo=3).has_photo


def test_a_copy_of_a_photo_refers_to_the_first(corrections):
    first = corrections.find(claim(corrections, photo=1).token)
    copy = claim(corrections, "Blue Jay", client="two", photo=jpeg(pattern(1).resize((200, 150)), 60))
    assert corrections.find(copy.token).duplicate_of == first.id
    assert corrections.find(claim(corrections, photo=2).token).duplicate_of is None


def test_another_part_of_a_photo_is_no_copy(corrections):
    one = claim(corrections, "Cardinal", photo=1, region="0.0500,0.0500,0.4000,0.4000")
    other = claim(corrections, "Blue Jay", photo=1, region="0.5500,0.5500,0.4000,0.4000")
    assert corrections.find(one.token).duplicate_of is corrections.find(other.token).duplicate_of is None


def test_the_same_sent_again_is_kept_once_and_goes_by_each_of_its_addresses(corrections, stored):
    first, again = claim(corrections, photo=1), claim(corrections, photo=1)
    assert (count(corrections), stored()) == (1, 1)
    assert corrections.find(first.token).id == corrections.find(again.token).id
    assert again.has_photo
    assert corrections.delete(again.token)
    assert corrections.find(first.token) is corrections.find(again.token) is None
    assert (count(corrections), count(corrections, RepeatToken), count(corrections, StrayPhoto), stored()) == (0,) * 4


def test_sending_the_same_again_counts_for_the_limit(opened):
    corrections = opened(per_day=3)
    for _ in range(3):
        claim(corrections, photo=1)
    with pytest.raises(TooManyError):
        claim(corrections, photo=1)


def test_the_same_sent_many_times_at_once_is_kept_once(corrections, stored):
    with ThreadPoolExecutor(8) as pool:
        tokens = {kept.token for kept in pool.map(lambda _: claim(corrections, photo=1), range(16))}
    assert len(tokens) == 16
    assert (count(corrections), stored()) == (1, 1)


def test_the_limits_hold_for_many_at_once(opened):
    room = 3 * len(jpeg(pattern(0)))
    corrections = opened(per_day=5, max_bytes=room)

    def send(seed):
        try:
            return claim(corrections, client=f"client {seed % 2}", photo=seed)
        except TooManyError:
            return None

    with ThreadPoolExecutor(8) as pool:
        kept = list(filter(None, pool.map(send, range(12))))
    assert len(kept) == count(corrections) == 10
    assert any(each.has_photo for each in kept)
    with Session(corrections.engine) as session:
        assert session.scalar(select(func.sum(Correction.photo_bytes))) <= room


def test_what_is_deleted_goes_with_its_photo_and_the_next_copy_takes_its_place(corrections, stored):
    first, *others = (claim(corrections, client=client, photo=1) for client in ("one", "two", "three"))
    assert corrections.delete(first.token)
    assert not corrections.delete(first.token)
    second, third = (corrections.find(each.token) for each in others)
    assert (second.duplicate_of, third.duplicate_of) == (None, second.id)
    assert stored() == 2
    assert corrections.delete_ids([second.id, 12345, third.id]) == 2
    assert (count(corrections), stored()) == (0, 0)


def test_the_number_of_a_deleted_correction_is_not_given_to_another(corrections):
    first = claim(corrections)
    number = corrections.find(first.token).id
    corrections.delete(first.token)
    assert corrections.find(claim(corrections).token).id > number


def test_what_nobody_reviewed_goes_after_a_while_and_what_was_rejected(opened, stored):
    corrections = opened()
    new, young, accepted, rejected = (claim(corrections, photo=seed) for seed in range(4))
    for old in (new, accepted, rejected):
        age(corrections, old, days=91)
    decide(corrections, accepted, Status.ACCEPTED, "Cardinal", reviewed=now() - timedelta(days=91))
    decide(corrections, rejected, Status.REJECTED, reviewed=now() - timedelta(days=91))
    corrections = opened()
    assert not corrections.find(new.token)
    assert not corrections.find(rejected.token)
    assert corrections.find(young.token)
    assert corrections.find(accepted.token)
    assert stored() == 2


def test_a_process_that_is_killed_leaves_no_photo_for_ever(opened, places, stored, monkeypatch):
    killed = subprocess.run([sys.executable, "-c", KILLED, *places], timeout=60)
    assert killed.returncode == -9
    corrections = opened()
    assert (count(corrections), stored()) == (0, 1)
    monkeypatch.setattr(module, "STRAY_AFTER", timedelta(0))
    corrections.sweep()
    assert (count(corrections, StrayPhoto), stored()) == (0, 0)


def test_a_client_has_a_name_that_does_not_lead_back():
    name = client_hash("a key", "192.0.2.1")
    assert len(name) == 32
    assert name == client_hash("a key", "192.0.2.1")
    assert name != client_hash("another key", "192.0.2.1")
    assert name != client_hash("a key", "192.0.2.2")
