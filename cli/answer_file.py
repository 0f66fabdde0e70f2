"""The CSV file that ``identify --csv`` writes: complete after each row, so that ``--resume`` can continue it."""

import csv
import errno
import io
import os
from pathlib import Path

from web.csv_export import as_csv, header


class NotAnAnswerFileError(ValueError):
    """A file is not a CSV list with the expected columns."""


class AnswerFile:
    """The CSV file. It is complete after each row, even if the program is killed.

    :ivar names: the photos that have a row.
    :ivar failed: those of them that could not be identified, each with the sentence that says why.
    :param top: how many species are listed for each photo.
    :param resume: continue a file that exists.
    :raises FileExistsError: it exists, and is not to be continued.
    :raises NotAnAnswerFileError: it cannot be continued.
    """

    def __init__(self, path: Path, top: int, *, resume: bool) -> None:
        self.names: set[str] = set()
        self.failed: list[tuple[str, str]] = []
        # In append mode nothing that is there can be overwritten, not even what another process has just written.
        self._file = open(path, "a+b" if resume else "x+b", buffering=0)  # noqa: SIM115  close() closes it
        try:
            self._continue(header(top))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, row: list[str]) -> None:
        """Write a row, or nothing at all if the disk is full.

        :raises OSError: it could not be written.
        """
        content = as_csv([row]).encode()
        end = self._file.seek(0, io.SEEK_END)
        if self._file.write(content) < len(content):
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _continue(self, columns: list[str]) -> None:
        self._file.seek(0)
        content = self._file.read()
        rows, size = complete_rows(content)
        if (rows and rows[0] != columns) or (not rows and not as_csv([columns]).encode().startswith(content)):
            raise NotAnAnswerFileError
        self._file.truncate(size)
        if not rows:
            self.add(columns)
        for row in rows[1:]:
            self.names.add(row[0])
            if row[-1]:
                self.failed.append((row[0], row[-1]))


def complete_rows(content: bytes) -> tuple[list[list[str]], int]:
    """The rows of a CSV file without a last one that is cut off, and the bytes that they take."""
    size = seen = quotes = 0
    for line in content.splitlines(keepends=True):
        seen += len(line)
        quotes += line.count(b'"')
        if line.endswith(b"\n") and quotes % 2 == 0:  # not a line ending inside a quoted file name
            size = seen
    text = content[:size].decode("utf-8-sig", errors="replace")  # a spreadsheet may have put a byte order mark first
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row], size
