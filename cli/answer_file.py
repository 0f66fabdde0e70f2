"""The CSV file that ``identify --csv`` writes: complete after each row, so that ``--resume`` can continue it."""

import codecs
import csv
import errno
import io
import os
from pathlib import Path

from web.csv_export import ENCODING, as_csv, header, original


class NotAnAnswerFileError(ValueError):
    """A file is not a CSV list with the expected columns, commas and encoding."""


class AnswerFile:
    """The CSV file. It is complete after each row, even if the program is killed. A new one without a row is removed.

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
        self._path, self._is_new = path, not path.exists()
        self._first_line = as_csv([header(top)]).encode(ENCODING)
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
        """Close the file. A new one without a row is removed, so that the same command may be given again."""
        has_rows = os.fstat(self._file.fileno()).st_size > len(self._first_line)
        self._file.close()
        if self._is_new and not has_rows:
            self._path.unlink(missing_ok=True)

    def add(self, row: list[str]) -> None:
        """Write a row, or nothing at all if the disk is full.

        :raises OSError: it could not be written.
        """
        self._write(as_csv([row]).encode())

    def _write(self, content: bytes) -> None:
        end = self._file.seek(0, io.SEEK_END)
        if self._file.write(content) < len(content):
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _continue(self, columns: list[str]) -> None:
        self._file.seek(0)
        content = self._file.read()
        rows, size = complete_rows(content)
        first_lines = (self._first_line, self._first_line.removeprefix(codecs.BOM_UTF8))  # earlier releases wrote none
        is_ours = rows[0] == columns if rows else any(line.startswith(content) for line in first_lines)
        if not is_ours:
            raise NotAnAnswerFileError
        self._file.truncate(size)
        if not rows:
            self._write(self._first_line)
        for row in rows[1:]:
            name = original(row[0])
            self.names.add(name)
            error = "".join(row[len(columns) - 1 :])  # some editors leave out empty cells at the end
            if error:
                self.failed.append((name, error))


def complete_rows(content: bytes) -> tuple[list[list[str]], int]:
    """The rows of a CSV file without a last one that is cut off, and the bytes that they take.

    :raises NotAnAnswerFileError: it is not UTF-8, as Excel's "CSV" without "UTF-8" is not.
    """
    size = seen = quotes = 0
    for line in content.splitlines(keepends=True):
        seen += len(line)
        quotes += line.count(b'"')
        if line.endswith(b"\n") and quotes % 2 == 0:  # not a line ending inside a quoted file name
            size = seen
    try:
        text = content[:size].decode(ENCODING)  # takes a file without the byte order mark, too
        return [row for row in csv.reader(io.StringIO(text, newline="")) if row], size
    except (UnicodeDecodeError, csv.Error) as error:
        raise NotAnAnswerFileError from error
