"""lists/csv_export.py: the columns and the rows of the CSV list."""

import csv
import io
import itertools
from dataclasses import replace
from datetime import datetime

import pytest

from inference import Candidate, Identification
from inference.regions import Region
from inference.verdict import Verdict
from lists import csv_export
from names.labels import LabelName
from names.species import Species

GOLDFINCH = Identification(
    "American Goldfinch",
    0.91234,
    (Candidate("American Goldfinch", 0.91234), Candidate("Verdin", 0.05), Candidate("Bobolink", 0.0)),
)
NAMED = ["Spinus tristis", "Goldzeisig"]
NAME = LabelName(GOLDFINCH.label, GOLDFINCH.label, Species(GOLDFINCH.label, NAMED[0], names={"de": NAMED[1]}))


def test_the_columns_are_named_by_rank():
    assert csv_export.header(2) == [
        "file",
        "taken",
        "species",
        "confidence",
        "species_2",
        "confidence_2",
        "error",
        "region",
        "others",
        "verdict",
        "scientific",
        "name",
    ]
    without_names, without_verdicts, of_release_0_9 = csv_export.earlier_headers(1)
    assert without_names[3:] == ["confidence", "error", "region", "others", "verdict"]
    assert without_verdicts[3:] == ["confidence", "error", "region", "others"]
    assert of_release_0_9[3:] == ["confidence", "error"]


def test_a_row_has_the_species_in_order_and_an_empty_error():
    taken = csv_export.time_taken(datetime(2026, 5, 3, 6, 1, 2))
    row = ["bird.jpg", taken, *csv_export.identified(GOLDFINCH, NAME, "de", top=2)]
    assert row == [
        "bird.jpg",
        "2026-05-03 06:01:02",
        "American Goldfinch",
        "0.9123",
        "Verdin",
        "0.0500",
        *[""] * 4,
        *NAMED,
    ]


def test_the_time_of_a_photo_that_has_none_is_empty():
    assert csv_export.time_taken(None) == ""


def test_every_row_has_as_many_cells_as_there_are_columns():
    rows = [csv_export.identified(GOLDFINCH, NAME, "en"), csv_export.failed("The file is not a picture.")]
    assert {len(["file", "taken", *row]) for row in rows} == {len(csv_export.header())}
    assert dict(zip(csv_export.header()[2:], rows[1], strict=True))["error"] == "The file is not a picture."


def test_a_photo_with_several_birds_has_one_row_with_the_others_in_one_cell():
    jay = replace(GOLDFINCH, label="=Blue Jay", confidence=0.5, region=Region(0.5, 0.5, 0.5, 0.5))
    crowded = replace(GOLDFINCH, region=Region(0.25, 1 / 3, 0.5, 0.02), others=(jay, jay))
    cells = csv_export.identified(crowded, NAME, "de", top=1)
    assert cells == [
        "American Goldfinch",
        "0.9123",
        "",
        "0.2500,0.3333,0.5000,0.0200",
        "=Blue Jay 0.5000; =Blue Jay 0.5000",
        "",
        *NAMED,
    ]
    written = csv_export.as_csv([cells])
    assert written.endswith(
        ""","0.2500,0.3333,0.5000,0.0200",'=Blue Jay 0.5000;' =Blue Jay 0.5000,,Spinus tristis,Goldzeisig\r\n"""
    )


@pytest.mark.parametrize("verdict", Verdict)
def test_a_row_has_the_verdict(verdict):
    row = csv_export.identified(replace(GOLDFINCH, verdict=verdict), NAME, "de", top=2)
    assert dict(zip(csv_export.header(2)[2:], row, strict=True))["verdict"] == verdict.value
    assert csv_export.as_line(row).endswith(f",{verdict.value},Spinus tristis,Goldzeisig")
    assert csv_export.defused(verdict) == verdict


def test_a_cell_with_commas_and_quotation_marks_is_quoted():
    assert csv_export.as_csv([["a,b", 'the "bird"'], ["c", "d"]]) == '"a,b","the ""bird"""\r\nc,d\r\n'
    assert csv_export.as_line(["a,b", "c"]) == '"a,b",c'


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1.jpg", "'=1+1.jpg"),
        ("+1.jpg", "'+1.jpg"),
        ("-1.jpg", "'-1.jpg"),
        ("@SUM(A1).jpg", "'@SUM(A1).jpg"),
        ("＝1.jpg", "'＝1.jpg"),
        (" =1", "' =1"),
        ("\t=1", "'\t=1"),
        ("\r\n=1", "'\r\n=1"),
        ("a;=1.jpg", "a;'=1.jpg"),
        ("a\n=1;+2", "a\n'=1;'+2"),
        ("'=1", "''=1"),
    ],
)
def test_what_a_spreadsheet_would_run_as_a_formula_gets_an_apostrophe_before_it(cell, safe):
    assert csv_export.defused(cell) == safe
    assert next(csv.reader(io.StringIO(csv_export.as_csv([[cell]]), newline=""))) == [safe]
    assert csv_export.original(safe) == cell


@pytest.mark.parametrize(
    "cell", ["", "0.0500", "2026-05-03 06:01:02", "a-b.jpg", "'tis.jpg", "a, b; c.jpg", "Žluna = x"]
)
def test_other_cells_stay_as_they_are(cell):
    assert csv_export.defused(cell) == csv_export.original(cell) == cell


def test_no_two_cells_become_the_same():
    for length in range(6):
        for characters in itertools.product("';=\t a", repeat=length):
            cell = "".join(characters)
            assert csv_export.original(csv_export.defused(cell)) == cell
