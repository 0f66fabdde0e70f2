"""Many photos as a CSV list (RFC 4180): the columns and rows that the page and the command line share."""

import csv
import io
from datetime import datetime

from inference import CANDIDATES, Identification

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"  # what spreadsheets recognise as a time


def header(top: int = CANDIDATES) -> list[str]:
    """The names of the columns.

    :param top: how many species are listed for each photo.
    """
    others = [f"{column}_{rank}" for rank in range(2, top + 1) for column in ("species", "confidence")]
    return ["file", "taken", "species", "confidence", *others, "error"]


def identified(identification: Identification, top: int = CANDIDATES) -> list[str]:
    """The cells after ``file`` and ``taken`` of a photo that was identified."""
    cells = [text for each in identification.candidates[:top] for text in (each.label, f"{each.confidence:.4f}")]
    return [*_padded(cells, top), ""]


def failed(sentence: str, top: int = CANDIDATES) -> list[str]:
    """The cells after ``file`` and ``taken`` of a photo that was not identified.

    :param sentence: why not.
    """
    return [*_padded([], top), sentence]


def time_taken(taken: datetime | None) -> str:
    """The cell ``taken``."""
    return taken.strftime(TIME_FORMAT) if taken else ""


def as_csv(rows: list[list[str]]) -> str:
    """The text of a CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def as_line(cells: list[str]) -> str:
    """Some cells of a row as CSV text, without the line ending, which an HTML attribute would not keep."""
    return as_csv([cells]).removesuffix("\r\n")


def _padded(cells: list[str], top: int) -> list[str]:
    return cells + [""] * (2 * top - len(cells))
