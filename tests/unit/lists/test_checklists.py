"""lists/record.py and lists/checklists.py: which answers become records, and what was seen on one day at one place."""

from dataclasses import replace
from itertools import permutations

import pytest

from inference.verdict import Verdict
from lists.checklists import checklists, kilometres_between
from lists.record import Place, records_of
from names.labels import find_names
from tests.unit.lists.birds import JAY, KIWI, NAMES, TIT, ZURICH, answer, photo, records

NEAR = replace(ZURICH, latitude=ZURICH.latitude + 0.0089)  # 990 m to the north
FAR = replace(ZURICH, latitude=ZURICH.latitude + 0.0091)  # 1012 m


@pytest.mark.parametrize("verdict", [None, *Verdict])
def test_only_answers_that_are_sure_become_records_also_those_about_other_birds(verdict):
    found = records_of(answer(TIT, answer(JAY, verdict=verdict), verdict=verdict), NAMES, photo("a.jpg"))
    assert [each.english for each in found] == (["Great Tit", "Blue Jay"] if verdict is Verdict.SURE else [])
    mixed = records_of(answer(TIT, answer(JAY), verdict=Verdict.UNSURE), NAMES, photo("a.jpg"))
    assert [each.english for each in mixed] == ["Blue Jay"]


def test_birds_of_one_species_in_a_photo_are_one_record_that_counts_them():
    found = answer(TIT, answer(JAY), answer(TIT, confidence=0.99), confidence=0.9)
    tit, jay = records_of(found, NAMES, photo("a.jpg"))
    assert (tit.count, tit.confidence) == (2, 0.99)
    assert jay.count == 1


def test_two_labels_that_mean_one_species_are_counted_as_one():
    names = find_names((TIT, "Parus major"))
    (only,) = records_of(answer(TIT, answer("Parus major")), names, photo("a.jpg"))
    assert only.count == 2


def test_a_checklist_has_one_day_and_one_place():
    photos = [
        *records("a.jpg", "2026-05-03 06:00", ZURICH, TIT),
        *records("b.jpg", "2026-05-03 23:59", NEAR, JAY),
        *records("c.jpg", "2026-05-03 07:00", FAR, TIT),
        *records("d.jpg", "2026-05-03 07:30", None, TIT),
        *records("e.jpg", "2026-05-03 08:00", None, JAY),
        *records("f.jpg", "2026-05-04 00:00", ZURICH, TIT),
    ]
    for order in permutations(photos):
        files = [[file for each in found.sightings for file in each.files] for found in checklists(order)]
        assert files == [["a.jpg", "b.jpg"], ["c.jpg"], ["d.jpg", "e.jpg"], ["f.jpg"]]


def test_photos_without_a_date_stand_alone_at_the_end():
    photos = [*records("a.jpg", "", ZURICH, TIT, JAY), *records("b.jpg", "", ZURICH, TIT)]
    photos += records("c.jpg", "2026-05-03 06:00", ZURICH, KIWI)
    found = checklists(photos)
    assert [[each.surest.english for each in one.sightings] for one in found] == [
        ["Kiwi"],
        ["Great Tit", "Blue Jay"],
        ["Great Tit"],
    ]
    assert [one.started is None for one in found] == [False, True, True]


@pytest.mark.parametrize("taken", ["", "2026-05-03 06:00"])
def test_a_copy_of_a_photo_is_another_photo_of_the_same_bird(taken):
    copies = [replace(*records("a.jpg", taken, None, TIT), photo=photo("a.jpg", taken)) for _ in range(2)]
    (only,) = checklists(copies)
    assert [len(sighting.records) for sighting in only.sightings] == [2]
    assert len({each.photo for each in copies}) == 2


def test_photos_of_one_name_that_may_differ_are_not_taken_for_copies():
    alike = [replace(*records("a.jpg", "", None, TIT), photo=replace(photo("a.jpg"), sha256="")) for _ in range(2)]
    assert len(checklists(alike)) == 2


def test_several_photos_of_a_bird_are_not_added_up():
    photos = [
        *records("a.jpg", "2026-05-03 06:00", None, TIT, TIT),
        *records("b.jpg", "2026-05-03 06:01", None, TIT, TIT, TIT),
        *records("c.jpg", "2026-05-03 06:02", None, TIT),
    ]
    (only,) = checklists(photos)
    (tits,) = only.sightings
    assert (tits.count, tits.files) == (3, ["a.jpg", "b.jpg", "c.jpg"])
    assert only.started.isoformat() == "2026-05-03T06:00:00"


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        (Place(0, 0), Place(0, 1), 111.195),
        (Place(60, 10), Place(60, 11), 55.597),
        (Place(90, 0), Place(-90, 0), 20015.115),
        (Place(0, 179.999), Place(0, -179.999), 0.2224),
        (ZURICH, ZURICH, 0),
    ],
)
def test_distances_are_those_on_a_sphere(one, other, distance):
    assert kilometres_between(one, other) == pytest.approx(distance, rel=1e-4)
