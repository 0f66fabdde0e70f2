"""listing.py: the rows of the CSV."""

from datetime import datetime

from web import csv_export as listing
from inference import Candidate, Identification

GOLDFINCH = Identification(
    "American Goldfinch",
    0.91234,
    (Candidate("American Goldfinch", 0.91234), Candidate("Verdin", 0.05), Candidate("Bobolink", 0.0)),
)


def test_the_columns_are_named_by_rank():
    assert listing.header(2) == ["file", "taken", "species", "confidence", "species_2", "confidence_2", "error"]


def test_a_row_has_the_species_in_order_and_an_empty_error():
    row = ["bird.jpg", *listing.answered(GOLDFINCH, datetime(2026, 5, 3, 6, 1, 2), top=2)]
    assert row == ["bird.jpg", "2026-05-03 06:01:02", "American Goldfinch", "0.9123", "Verdin", "0.0500", ""]


def test_every_row_has_as_many_fields_as_there_are_columns():
    rows = [listing.answered(GOLDFINCH, None), listing.failed("The file is not a picture.")]
    assert {1 + len(row) for row in rows} == {len(listing.header())}
    assert rows[1][-1] == "The file is not a picture."
