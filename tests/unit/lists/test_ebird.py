"""lists/ebird.py: the rules of eBird's Record Format (Extended), read back with a CSV parser.

https://support.ebird.org/en/support/solutions/articles/48000907878
"""

import csv
import io
import re
from datetime import datetime

import pytest

from lists import ebird
from lists.checklists import checklists
from lists.csv_export import time_taken
from tests.unit.lists.birds import JAY, KIWI, TIT, ZURICH, records

TRIP = checklists(
    [
        *records("a.jpg", "2026-05-03 06:01:59", ZURICH, TIT, TIT),
        *records("b.jpg", "2026-05-03 06:07", ZURICH, KIWI, TIT),
        *records("c.jpg", "2026-12-24 18:00", ZURICH, JAY, "Purple Rain"),
    ]
)


def parsed(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_each_row_is_a_species_on_a_checklist_in_the_19_columns_that_ebird_expects():
    (text,) = ebird.files(TRIP)
    assert parsed(text)[0] == [
        *["", "Parus", "major", "2", "Great Tit: named by a machine (97.0 %) from a.jpg and b.jpg"],
        *["47.36667 8.55000", "47.36667", "8.55000", "05/03/2026", "06:01", "", ""],
        *["Incidental", "1", "", "N", "", "", ""],
    ]
    assert [row[:4] for row in parsed(text)] == [
        ["", "Parus", "major", "2"],
        ["Kiwi", "", "", "1"],
        ["", "Cyanocitta", "cristata", "1"],
        ["Purple Rain", "", "", "1"],
    ]


def test_the_file_keeps_the_published_rules():
    (text,) = ebird.files(TRIP, 'The =1 pond; by "Joe\'s", north\nof it')
    assert '"' not in text
    for row in parsed(text):
        assert len(row) == 19
        assert row[0] or (row[1] and row[2])
        assert re.fullmatch(r"[1-9]\d*", row[3])
        assert row[5] == "The =1 pond by Joe's north of it"
        assert re.fullmatch(r"\d\d/\d\d/\d{4}", row[8])
        assert re.fullmatch(r"\d\d:\d\d", row[9])
        assert (row[12], row[15]) == ("Incidental", "N")
    # Rows become one checklist only if these agree.
    assert len({tuple(row[5:16]) for row in parsed(text)}) == 2


@pytest.mark.parametrize(("year", "written"), [(1, "0001"), (850, "0850"), (1899, "1899"), (9999, "9999")])
def test_a_year_has_four_digits_however_a_clock_was_set(year, written):
    (text,) = ebird.files(checklists(records("a.jpg", f"{year:04}-05-03 06:01", ZURICH, TIT)))
    assert parsed(text)[0][8] == f"05/03/{written}"
    assert time_taken(datetime(year, 5, 3, 6, 1)) == f"{written}-05-03 06:01:00"


@pytest.mark.parametrize("location", ["=1+1", " @SUM(A1)", "'=1", '"=1"', "＝1", "-1", "\t+1"])
def test_no_cell_begins_like_a_formula(location):
    photos = records(f"{location}.jpg", "2026-05-03 06:01", None, "=1+1", f"a;{location}")
    (text,) = ebird.files(checklists(photos), location)
    for row in parsed(text.replace(";", ",")):
        assert len(row) == 19
        assert not [cell for cell in row if re.match(r"\s*[=+@＝＋－＠-]", cell)]


def test_a_checklist_needs_a_date_and_a_location():
    dated, placed, both, neither = (
        checklists(records("a.jpg", taken, place, TIT))[0]
        for taken, place in (("2026-05-03", None), ("", ZURICH), ("2026-05-03", ZURICH), ("", None))
    )
    assert [ebird.can_be_listed(each) for each in (dated, placed, both, neither)] == [False, False, True, False]
    assert [ebird.can_be_listed(each, "Pond") for each in (dated, placed, both, neither)] == [True, False, True, False]
    assert not ebird.can_be_listed(dated, ' "" ')
    assert parsed(ebird.files([dated], "Pond")[0])[0][5:8] == ["Pond", "", ""]


def test_files_are_split_between_checklists_before_they_get_too_large(monkeypatch):
    whole = ebird.files(TRIP)[0]
    sizes = [len("".join(ebird.files([each])).encode()) for each in TRIP]
    for limit, count in ((len(whole), 1), (len(whole) - 1, 2), (max(sizes), 2), (1, 2)):
        monkeypatch.setattr(ebird, "MAX_SIZE", limit)
        texts = ebird.files(TRIP)
        assert (len(texts), "".join(texts)) == (count, whole)
    assert ebird.files([]) == []


def test_names_of_files_that_are_long_or_many_do_not_make_a_comment_too_long():
    photos = [each for name in "abcdef" for each in records(name * 300, f"2026-05-03 06:0{ord(name) % 7}", None, TIT)]
    (row,) = ebird.rows(checklists(photos)[0], "Pond")
    assert row[4].endswith(" and 3 more")
    assert len(row[4]) < 500
