"""feedback/review.py: what a reviewer sees of the corrections, and decides about them."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Engine, create_engine

from feedback.corrections import Answer
from feedback.errors import FeedbackError
from feedback.labels import claimed_label, is_folder_name
from feedback.review import PAGE, Filter, agreement, count, decide, find_page, monday_of
from feedback.schema import Claim, Status
from inference import OTHER_FOLDER
from tests.support.corrections import CorrectionFolder, correction

ALL = Filter(status=None)


@pytest.fixture
def kept(tmp_path) -> CorrectionFolder:
    """An empty database and an empty photo store."""
    return CorrectionFolder(tmp_path)


@pytest.fixture
def engine(kept) -> Engine:
    """That database."""
    return kept.corrections.engine


def ids(engine, wanted=ALL, after=None) -> list[int]:
    """The ids of the corrections that a page shows."""
    return [item.correction.id for item in find_page(engine, wanted, after).items]


def test_who_contradicts_a_confident_model_comes_first(kept, engine):
    agrees = kept.add(claim=Claim.RIGHT, claimed="Cardinal", confidence=0.99)
    doubts = kept.add(claimed="Bluebird", confidence=0.4)
    contradicts = kept.add(claimed="Bluebird", confidence=0.9)
    assert ids(engine) == [contradicts, doubts, agrees]


def test_pages_follow_each_other_even_if_what_is_on_them_is_decided_meanwhile(kept, engine):
    for number in range(2 * PAGE + 10):
        kept.add(claimed="Bluebird", confidence=0.5 + (number % 7) / 100)
    first = find_page(engine, Filter())
    shown = [item.correction.id for item in first.items]
    assert (len(shown), first.total) == (PAGE, 2 * PAGE + 10)
    decide(engine, Status.REJECTED, dict.fromkeys(shown, ""))
    second = find_page(engine, Filter(), first.after)
    third = find_page(engine, Filter(), second.after)
    shown += [item.correction.id for page in (second, third) for item in page.items]
    assert len(set(shown)) == len(shown) == 2 * PAGE + 10
    assert third.after is None


def test_a_page_after_a_correction_that_was_deleted_is_the_first(kept, engine):
    number = kept.add(claimed="Bluebird")
    assert ids(engine, after=number + 1) == [number]


def test_filters_leave_out_what_does_not_match(kept, engine):
    yesterday = datetime(2026, 3, 1, 23, 59)
    old = kept.add(created=yesterday, claim=Claim.NO_BIRD)
    midnight = kept.add(created=yesterday + timedelta(minutes=1), claimed="Bluebird", client="someone")
    pictured = kept.add(created=yesterday + timedelta(days=2), predicted="Bluebird", jpeg=b"photo")
    assert ids(engine, Filter(day=date(2026, 3, 1))) == [old]
    assert ids(engine, Filter(day=date(2026, 3, 2))) == [midnight]
    assert ids(engine, Filter(species="Bluebird")) == [pictured, midnight]
    assert ids(engine, Filter(claim=Claim.NO_BIRD)) == [old]
    assert ids(engine, Filter(only_with_photo=True)) == [pictured]
    assert ids(engine, Filter(client="someone")) == [midnight]
    assert ids(engine, Filter(status=Status.ACCEPTED)) == []
    decide(engine, Status.ACCEPTED, {old: "Goldfinch"})
    assert ids(engine, Filter(status=Status.ACCEPTED, species="Goldfinch")) == [old]


def test_what_is_counted_is_what_the_filter_finds(kept, engine):
    kept.add(created=datetime(2026, 3, 1, 12), claimed="Bluebird")
    kept.add(created=datetime(2026, 3, 1, 13), claimed="Bluebird", predicted="Goldfinch")
    kept.add(created=datetime(2026, 3, 2), claim=Claim.RIGHT, claimed="Cardinal")
    rejected = kept.add(created=datetime(2026, 3, 3))
    decide(engine, Status.REJECTED, {rejected: ""})
    counts = count(engine, Status.NEW)
    assert counts.statuses == {Status.NEW: 3, Status.REJECTED: 1}
    assert counts.days == [(date(2026, 3, 2), 1), (date(2026, 3, 1), 2)]
    assert counts.species == [("Bluebird", 2), ("Cardinal", 2), ("Goldfinch", 1)]
    for name, number in counts.species:
        assert find_page(engine, Filter(species=name)).total == number


def test_many_claims_of_one_visitor_and_about_one_photo_are_shown_as_such(kept, engine):
    first = kept.add(claimed="Bluebird", client="someone", confidence=0.9)
    second = kept.add(claimed="Goldfinch", client="someone", confidence=0.8, duplicate_of=first)
    kept.add(claim=Claim.NO_BIRD, client="another", confidence=0.7, duplicate_of=first)
    original, copy, other = find_page(engine, ALL).items
    assert (original.from_client, original.original, original.duplicates) == (2, None, 2)
    assert (copy.correction.id, copy.from_client, copy.duplicates) == (second, 2, 0)
    assert copy.original is not None
    assert copy.original.claimed == "Bluebird"
    assert other.from_client == 1


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ({"claim": Claim.RIGHT, "claimed": "Cardinal"}, "Cardinal"),
        ({"claim": Claim.SPECIES, "claimed": "Bluebird"}, "Bluebird"),
        ({"claim": Claim.SPECIES, "claimed": "Phoenix"}, ""),
        ({"claim": Claim.UNKNOWN}, ""),
        ({"claim": Claim.NO_BIRD}, OTHER_FOLDER),
        ({"claim": Claim.RIGHT, "claimed": "", "verdict": "no_bird"}, OTHER_FOLDER),
        ({"claim": Claim.RIGHT, "claimed": "", "verdict": "unknown_bird"}, ""),
    ],
)
def test_a_claim_comes_to_a_label_or_somebody_has_to_choose_one(values, label):
    assert claimed_label(correction(1, **values)) == label


def test_agreeing_that_there_is_no_bird_is_no_claim_that_the_photo_shows_the_species_it_resembles(kept):
    answer = Answer("Cardinal", 0.3, "no_bird", "", "5eed")
    agrees = kept.corrections.add(answer, Claim.RIGHT, "", "someone", None)
    contradicts = kept.corrections.add(answer, Claim.SPECIES, "Cardinal", "someone", None)
    found = [kept.corrections.find(each.token) for each in (agrees, contradicts)]
    assert [(each.claim, each.claimed, claimed_label(each)) for each in found] == [
        (Claim.RIGHT, "", OTHER_FOLDER),
        (Claim.SPECIES, "Cardinal", "Cardinal"),
    ]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "CON:", ".hidden", "_hidden", "a\nb", "a\0b", " a", "a.", "ä" * 128]
)
def test_what_cannot_be_the_name_of_a_folder_of_photos_cannot_be_a_label(name):
    assert not is_folder_name(name)


@pytest.mark.parametrize("name", ["Snow Bunting", "003.Sooty_Albatross", "Haussperling", "蓝鸟", OTHER_FOLDER])
def test_names_in_any_language_can_be_labels(name):
    assert is_folder_name(name)


def test_accepting_uses_the_reviewers_label_or_the_visitors(kept, engine):
    claimed = kept.add(claimed="Bluebird")
    relabelled = kept.add(claimed="Bluebird")
    new_species = kept.add(claimed="Phoenix")
    unknown = kept.add()
    unsafe = kept.add()
    labels = {
        claimed: "",
        relabelled: "Goldfinch",
        new_species: "Phoenix",
        unknown: "",
        unsafe: "../elsewhere",
        999: "",
    }
    decided = decide(engine, Status.ACCEPTED, labels)
    assert decided.labels == {claimed: "Bluebird", relabelled: "Goldfinch", new_species: "Phoenix"}
    assert set(decided.refused) == {unknown, unsafe}
    assert kept.decisions() == {
        claimed: ("accepted", "Bluebird"),
        relabelled: ("accepted", "Goldfinch"),
        new_species: ("accepted", "Phoenix"),
        unknown: ("new", ""),
        unsafe: ("new", ""),
    }


def test_a_decision_can_be_taken_back(kept, engine):
    number = kept.add(claimed="Bluebird")
    decide(engine, Status.ACCEPTED, {number: ""})
    assert kept.corrections.get(number).reviewed is not None
    decide(engine, Status.NEW, {number: "Goldfinch"})
    assert kept.decisions() == {number: ("new", "")}
    assert kept.corrections.get(number).reviewed is None


def test_agreement_is_counted_by_week_without_what_was_rejected(kept, engine):
    sunday = datetime(2026, 3, 8, 23)
    kept.add(created=sunday, claim=Claim.RIGHT, claimed="Cardinal")
    kept.add(created=sunday - timedelta(days=6), claimed="Bluebird")
    kept.add(created=sunday + timedelta(hours=2), claimed="Bluebird")
    kept.add(created=sunday - timedelta(days=7), claimed="Bluebird")
    decide(engine, Status.REJECTED, {kept.add(created=sunday, claimed="Bluebird"): ""})
    weeks = agreement(engine, date(2026, 3, 2))
    assert [(week.monday, week.claims, week.right) for week in weeks] == [
        (date(2026, 3, 2), 2, 1),
        (date(2026, 3, 9), 1, 0),
    ]


def test_a_week_begins_on_monday():
    assert monday_of(date(2026, 3, 8)) == monday_of(date(2026, 3, 2)) == date(2026, 3, 2)


def test_a_database_that_does_not_answer_is_said_to_be_unavailable(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'missing' / 'feedback.db'}")
    with pytest.raises(FeedbackError):
        find_page(engine, ALL)
    with pytest.raises(FeedbackError):
        decide(engine, Status.REJECTED, {1: ""})
