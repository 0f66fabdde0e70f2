"""Many photos as a CSV list (RFC 4180): the columns and rows that the page and the command line share."""

import csv
import io
import re
from datetime import datetime

from inference import CANDIDATES, Identification
from names.labels import LabelName

ENCODING = "utf-8-sig"  # with a byte order mark, without which Excel takes the letters for those of another alphabet

# Where a spreadsheet could begin a cell, and what it would then take for a formula. Where the decimal separator is a
# comma, Excel begins a new cell at a semicolon; Japanese Excel also calculates after full-width signs.
_CELL_START, _FORMULA_START = r"(^|[;\t\r\n])", r"('*[\t\r\n ]*[=+\-@＝＋－＠])"
_FORMULA = re.compile(_CELL_START + _FORMULA_START)
_DEFUSED = re.compile(_CELL_START + "'" + _FORMULA_START)

#: The columns that earlier lists lack. They are the last ones, so that all others keep their places.
LATER_COLUMNS = ("region", "others", "verdict", "scientific", "name")
_MISSING = (2, 3, 5)  # of them: in lists from before there were names, before there were verdicts, and of release 0.9


def header(top: int = CANDIDATES) -> list[str]:
    """The names of the columns.

    :param top: how many species are listed for each photo.
    """
    candidates = [f"{column}_{rank}" for rank in range(2, top + 1) for column in ("species", "confidence")]
    return ["file", "taken", "species", "confidence", *candidates, "error", *LATER_COLUMNS]


def earlier_headers(top: int = CANDIDATES) -> list[list[str]]:
    """The names of the columns in lists that earlier versions have begun."""
    return [header(top)[:-missing] for missing in _MISSING]


def identified(identification: Identification, name: LabelName, language: str, top: int = CANDIDATES) -> list[str]:
    """The cells after ``file`` and ``taken`` of a photo that was identified.

    Other birds in it share one cell, so that each photo has one row, and a row is an answer to the whole photo.

    :param name: what is known of the most likely species.
    :param language: in which the column ``name`` has it.
    """
    cells = [text for each in identification.candidates[:top] for text in (each.label, f"{each.confidence:.4f}")]
    others = "; ".join(f"{other.label} {other.confidence:.4f}" for other in identification.others)
    later = [str(identification.region or ""), others, identification.verdict or ""]
    return [*_padded(cells, top), "", *later, name.scientific, name.name_in(language)]


def failed(sentence: str, top: int = CANDIDATES) -> list[str]:
    """The cells after ``file`` and ``taken`` of a photo that was not identified.

    :param sentence: why not.
    """
    return [*_padded([], top), sentence, *[""] * len(LATER_COLUMNS)]


def time_taken(taken: datetime | None) -> str:
    """The cell ``taken``, as spreadsheets recognise a time."""
    return taken.isoformat(" ", "seconds") if taken else ""


def as_csv(rows: list[list[str]]) -> str:
    """The text of a CSV file, with every cell defused. ``ENCODING`` is for the whole file."""
    text = io.StringIO()
    csv.writer(text).writerows([defused(cell) for cell in row] for row in rows)
    return text.getvalue()


def defused(cell: str) -> str:
    """A cell with an apostrophe before whatever a spreadsheet would run as a formula; csv.js agrees.

    A file's name, or a label, may come from a stranger. Confidences, times and regions never begin like a formula.
    """
    return _FORMULA.sub(r"\1'\2", cell)


def original(cell: str) -> str:
    """What ``defused`` was given; also a cell that was never defused."""
    return _DEFUSED.sub(r"\1\2", cell)


def as_line(cells: list[str]) -> str:
    """Some cells of a row as CSV text, without the line ending, which an HTML attribute would not keep."""
    return as_csv([cells]).removesuffix("\r\n")


def _padded(cells: list[str], top: int) -> list[str]:
    return cells + [""] * (2 * top - len(cells))
