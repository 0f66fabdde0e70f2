"""web/csv_export.py: the columns and the rows of the CSV list."""

from datetime import datetime

from inference import Candidate, Identification
from web import csv_export

GOLDFINCH = Identification(
    "American Goldfinch",
    0.91234,
    (Candidate("American Goldfinch", 0.91234), Candidate("Verdin", 0.05), Candidate("Bobolink", 0.0)),
)


def test_the_columns_are_named_by_rank():
    assert csv_export.header(2) == ["file", "taken", "species", "confidence", "species_2", "confidence_2", "error"]


def test_a_row_has_the_species_in_order_and_an_empty_error():
    taken = csv_export.time_taken(datetime(2026, 5, 3, 6, 1, 2))
    row = ["bird.jpg", taken, *csv_export.identified(GOLDFINCH, top=2)]
    assert row == ["bird.jpg", "2026-05-03 06:01:02", "American Goldfinch", "0.9123", "Verdin", "0.0500", ""]


def test_the_time_of_a_photo_that_has_none_is_empty():
    assert csv_export.time_taken(None) == ""


def test_every_row_has_as_many_cells_as_there_are_columns():
    rows = [csv_export.identified(GOLDFINCH), csv_export.failed("The file is not a picture.")]
    assert {len(["file", "taken", *row]) for row in rows} == {len(csv_export.header())}
    assert rows[1][-1] == "The file is not a picture."


def test_a_cell_with_commas_and_quotation_marks_is_quoted():
    assert csv_export.as_csv([["a,b", 'the "bird"'], ["c", "d"]]) == '"a,b","the ""bird"""\r\nc,d\r\n'
    assert csv_export.as_line(["a,b", "c"]) == '"a,b",c'
