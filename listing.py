"""The list of answers to many photographs, as rows of a CSV file (RFC 4180): for the page and the command line."""

import csv
import io
from datetime import datetime

from inference import CANDIDATES, Identification

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"  # what spreadsheets take for a time


def header(top: int = CANDIDATES) -> list[str]:
    """The names of the columns.

    :param top: how many species each photograph gets.
    """
    others = [f"{column}_{rank}" for rank in range(2, top + 1) for column in ("species", "confidence")]
    return ["file", "taken", "species", "confidence", *others, "error"]


def answered(identification: Identification, taken: datetime | None, top: int = CANDIDATES) -> list[str]:
    """What follows the file name of a photograph that was identified.

    :param taken: when the camera says that it was.
    """
    candidates = [text for each in identification.candidates[:top] for text in (each.label, f"{each.confidence:.4f}")]
    return [_time(taken), *_padded(candidates, top), ""]


def failed(sentence: str, top: int = CANDIDATES, *, taken: datetime | None = None) -> list[str]:
    """What follows the file name of a photograph that was not.

    :param sentence: why.
    """
    return [_time(taken), *_padded([], top), sentence]


def _time(taken: datetime | None) -> str:
    return taken.strftime(TIME_FORMAT) if taken else ""


def _padded(candidates: list[str], top: int) -> list[str]:
    return candidates + [""] * (2 * top - len(candidates))


def as_csv(rows: list[list[str]]) -> str:
    """The text of a CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
