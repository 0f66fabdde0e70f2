"""``label_decisions.csv``: what somebody decided about doubtful labels. A spreadsheet or an editor can change it.

Its columns are ``path`` (below the folder of photos), ``decision`` and ``label``; others are ignored. A row without a
decision is not decided yet.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from .faults import DataError, printable

DECISIONS_FILE = "label_decisions.csv"
COLUMNS = ("path", "decision", "label")
MAX_FILE_SIZE = 64 * 2**20  # bytes; a row takes about 60


class Choice(StrEnum):
    """What to do with a photo whose label is in doubt."""

    KEEP = "keep"
    RELABEL = "relabel"
    LEAVE_OUT = "leave out"


@dataclass(frozen=True)
class Decision:
    """A row of the file.

    :param path: of the photo, as ``path_key`` gives it.
    :param choice: None if it is not decided yet.
    :param label: the right one, for ``Choice.RELABEL``; otherwise it means nothing.
    :param line: its number in the file, from 1.
    """

    path: str
    choice: Choice | None
    label: str = ""
    line: int = 0


def path_key(path: Path, data: Path) -> str:
    """The path of a photo below the folder of photos, as it is written in the file."""
    return _normal(path.relative_to(data).as_posix())


def _normal(path: str) -> str:
    # macOS decomposes accented letters in the names of files; and a name may hold bytes that are not text.
    return printable(unicodedata.normalize("NFC", PurePosixPath(path).as_posix()))


def read_decisions(file: Path, labels: Iterable[str]) -> dict[str, Decision]:
    """Read the rows, and check each.

    :param labels: those that a photo may be given.
    :return: by path.
    :raises DataError: the file cannot be read, or a row makes no sense; the message says which and why.
    """
    known = set(labels)
    decisions: dict[str, Decision] = {}
    for line, row in _rows(file):
        where = f"{file}, line {line}"
        if not row["path"].strip():
            raise DataError(
                f"{where}: the row names no photo. Write its path below the folder of photos, or delete it."
            )
        decision = Decision(_normal(row["path"].strip()), _choice(row["decision"], where), row["label"].strip(), line)
        if decision.choice is Choice.RELABEL and (label := unicodedata.normalize("NFC", decision.label)) not in known:
            raise DataError(f"{where}: {_quoted(label)} is no label of these photos. Write it as its folder is named.")
        earlier = decisions.setdefault(decision.path, decision)
        if (earlier.choice, earlier.label) != (decision.choice, decision.label):
            raise DataError(f"{where}: line {earlier.line} says otherwise of {decision.path}. Delete one of the two.")
    return decisions


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows that are not empty, each with the number of the line where it ends.

    :raises DataError: this is no such file.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.") from error
    if len(content) > MAX_FILE_SIZE:
        raise DataError(f"{file} has more than {MAX_FILE_SIZE // 2**20} MB: it is no list of decisions.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, line {line}: this is not UTF-8. Save the file as CSV in UTF-8.") from error
    header = text.partition("\n")[0]
    # A spreadsheet writes semicolons where the comma is a decimal point.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in header else ",")
    try:
        names = [name.strip().casefold() for name in next(reader, [])]
        if missing := [column for column in COLUMNS if column not in names]:
            raise DataError(
                f"{file}, line 1: the column {missing[0]} is missing. The first line is {','.join(COLUMNS)}."
            )
        rows = []
        for cells in reader:
            if any(cells):
                filled = cells + [""] * (len(names) - len(cells))
                rows.append((reader.line_num, {column: filled[names.index(column)] for column in COLUMNS}))
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: this is no CSV: {error}.") from error
    return rows


def _choice(text: str, where: str) -> Choice | None:
    """The choice that a cell names, in any case, with spaces, ``_`` or ``-``; None for an empty cell.

    :raises DataError: it names none.
    """
    word = " ".join(text.casefold().replace("_", " ").replace("-", " ").split())
    if not word:
        return None
    try:
        return Choice(word)
    except ValueError:
        choices = ", ".join(Choice)
        raise DataError(f"{where}: {_quoted(text.strip())} is no decision. Write one of: {choices}.") from None


def _quoted(text: str) -> str:
    return f"“{printable(text)[:80]}”"


def encode_decisions(decisions: Iterable[Decision]) -> bytes:
    """The contents of the file.

    With a byte order mark: without one, Excel takes the letters of other languages for something else.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([decision.path, decision.choice or "", decision.label] for decision in decisions)
    return text.getvalue().encode("utf-8-sig")
