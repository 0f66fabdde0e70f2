"""lists/darwin_core.py: occurrences, read back with a CSV parser and checked by the definitions of the terms.

https://dwc.tdwg.org/terms/
"""

import csv
import io
import re
import uuid
from datetime import date

import pytest

from lists import darwin_core
from lists.checklists import checklists
from lists.record import Place
from names.labels import LabelName, Names
from names.species import Species
from tests.unit.lists.birds import JAY, KIWI, NAMES, TIT, ZURICH, answer, photo, records, records_of

TODAY = date(2026, 5, 9)


def occurrences(photos, language="en", locality=""):
    text = darwin_core.text(checklists(photos), TODAY, language, locality)
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_an_occurrence_says_what_when_where_and_that_nobody_checked_it():
    photos = [*records("a.jpg", "2026-05-03 06:01:02", ZURICH, TIT), *records("b.jpg", "2026-05-03 07:00", ZURICH, TIT)]
    (tit,) = occurrences(photos, "de", "Zürichberg")
    assert {term: cell for term, cell in tit.items() if not term.endswith("ID")} == {
        "basisOfRecord": "HumanObservation",
        "occurrenceStatus": "present",
        "individualCount": "1",
        "eventDate": "2026-05-03",
        "eventTime": "06:01:02",
        "locality": "Zürichberg",
        "decimalLatitude": "47.36667",
        "decimalLongitude": "8.55000",
        "geodeticDatum": "EPSG:4326",
        "coordinateUncertaintyInMeters": "13",
        "kingdom": "Animalia",
        "class": "Aves",
        "order": "Passeriformes",
        "family": "Paridae",
        "genus": "Parus",
        "scientificName": "Parus major",
        "taxonRank": "species",
        "vernacularName": "Kohlmeise",
        "identifiedBy": "machine: model abababababab",
        "dateIdentified": "2026-05-09",
        "identificationVerificationStatus": "unverified: named by a machine, checked by nobody",
        "identificationRemarks": "Named by an image classifier with a confidence of 0.9700.",
        "associatedMedia": "a.jpg | b.jpg",
    }


def test_occurrences_have_ids_that_a_second_run_gives_again_and_share_that_of_their_checklist():
    photos = [*records("a.jpg", "2026-05-03 06:01", ZURICH, TIT, JAY), *records("b.jpg", "2026-05-04", ZURICH, TIT)]
    found = occurrences(photos)
    assert len({uuid.UUID(each["occurrenceID"]) for each in found}) == 3
    first, second, next_day = (each["eventID"] for each in found)
    assert first == second != next_day
    again = occurrences(photos[::-1])
    assert {each["occurrenceID"] for each in again} == {each["occurrenceID"] for each in found}


@pytest.mark.parametrize("taken", ["", "2026-05-03 06:01"])
def test_no_two_occurrences_share_an_id_though_a_photo_comes_twice(taken):
    whole, part = records("a.jpg", taken, None, TIT, JAY), records("a.jpg", taken, None, JAY)
    found = occurrences([*whole, *part, *records("a.jpg", taken, None, KIWI)])
    assert len({each["occurrenceID"] for each in found}) == len(found) == 3
    (jay,) = occurrences(part)
    assert jay["occurrenceID"] in {each["occurrenceID"] for each in occurrences(whole)}


def test_what_is_not_known_stays_empty():
    (tit,) = occurrences(records("a.jpg", "", None, TIT))
    unknown = {term for term, cell in tit.items() if not cell}
    assert unknown == {
        "eventID", "eventDate", "eventTime", "locality", "decimalLatitude", "decimalLongitude", "geodeticDatum",
        "coordinateUncertaintyInMeters",
    }  # fmt: skip
    (exact,) = occurrences(records("a.jpg", "", Place(-33.9, 18.4), TIT))
    assert (exact["decimalLatitude"], exact["coordinateUncertaintyInMeters"]) == ("-33.90000", "")


@pytest.mark.parametrize(
    ("species", "rank", "genus", "bird"),
    [
        (Species("Great Tit", "Parus major", "Paridae", "Passeriformes"), "species", "Parus", "Aves"),
        (Species("Kiwi", "Apteryx", "Apterygidae", "Apterygiformes"), "genus", "Apteryx", "Aves"),
        (Species("Tit", "Paridae", "Paridae", "Passeriformes"), "family", "", "Aves"),
        (Species("Bee", "Apis mellifera carnica"), "subspecies", "Apis", ""),
    ],
)
def test_a_label_may_mean_another_rank_or_no_bird(species, rank, genus, bird):
    names = Names({"x": LabelName("x", "x", species)})
    (found,) = occurrences(list(records_of(answer("x"), names, photo("a.jpg"))))
    assert (found["taxonRank"], found["genus"], found["class"]) == (rank, genus, bird)
    assert (found["kingdom"] == "Animalia") == bool(bird)


def test_labels_without_a_scientific_name_are_left_out():
    photos = records("a.jpg", "2026-05-03", ZURICH, "Purple Rain", KIWI)
    assert NAMES["Purple Rain"].species is None
    assert [each["scientificName"] for each in occurrences(photos)] == ["Apteryx"]
    assert [darwin_core.can_be_listed(each) for each in checklists(photos)[0].sightings] == [False, True]


def test_a_spreadsheet_runs_nothing_that_the_maker_of_a_model_has_called_a_species():
    names = Names({"x": LabelName("x", "x", Species("=a()", "=b() c"))})
    (found,) = occurrences(list(records_of(answer("x"), names, photo("a.jpg"))))
    assert not [cell for cell in found.values() if cell.startswith("=")]


def test_a_spreadsheet_runs_no_name_as_a_formula_and_takes_coordinates_for_numbers():
    (tit,) = occurrences(records("=1.jpg", "2026-05-03", Place(-33.9, -18.4), TIT), locality="@SUM(A1)")
    assert (tit["associatedMedia"], tit["locality"]) == ("'=1.jpg", "'@SUM(A1)")
    for term in ("decimalLatitude", "decimalLongitude"):
        assert re.fullmatch(r"-\d+\.\d{5}", tit[term])
