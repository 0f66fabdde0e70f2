"""The list of answers to many photographs, as a CSV file (RFC 4180): for the page and the command line."""

import csv
import errno
import io
import os
from datetime import datetime
from pathlib import Path

from inference import CANDIDATES, Identification

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"  # what spreadsheets take for a time


class ListError(ValueError):
    """A file is not a list with the columns that were asked for."""


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


class AnswerFile:
    """The CSV file. It is whole after each row, whenever the program ends.

    :ivar names: the photographs that have a row.
    :ivar failed: those of them that could not be identified, with the sentences that say why.
    :param top: how many species each photograph gets.
    :param resume: go on with a file that is there.
    :raises FileExistsError: there is one, and it is not to be gone on with.
    :raises ListError: it cannot be gone on with.
    """

    def __init__(self, path: Path, top: int, *, resume: bool) -> None:
        self.names: set[str] = set()
        self.failed: list[tuple[str, str]] = []
        # In append mode it cannot write over what is there, not even what another process has just written.
        self._file = open(path, "a+b" if resume else "x+b", buffering=0)  # noqa: SIM115  close() closes it
        try:
            self._go_on(header(top))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, row: list[str]) -> None:
        """Write a row, all of it or, if the disk is full, nothing.

        :raises OSError: it could not be written.
        """
        content = as_csv([row]).encode()
        end = self._file.seek(0, io.SEEK_END)
        if self._file.write(content) < len(content):
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _go_on(self, columns: list[str]) -> None:
        self._file.seek(0)
        content = self._file.read()
        rows, size = whole_rows(content)
        if (rows and rows[0] != columns) or (not rows and not as_csv([columns]).encode().startswith(content)):
            raise ListError
        self._file.truncate(size)
        if not rows:
            self.add(columns)
        for row in rows[1:]:
            self.names.add(row[0])
            if row[-1]:
                self.failed.append((row[0], row[-1]))


def whole_rows(content: bytes) -> tuple[list[list[str]], int]:
    """The rows of a CSV file, but for a last one that is cut, and the bytes that they take."""
    size = seen = quotes = 0
    for line in content.splitlines(keepends=True):
        seen += len(line)
        quotes += line.count(b'"')
        if line.endswith(b"\n") and quotes % 2 == 0:  # no line end inside a quoted file name
            size = seen
    text = content[:size].decode("utf-8-sig", errors="replace")  # a spreadsheet may have put a mark before it
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row], size
