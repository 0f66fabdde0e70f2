"""The CSV file that ``identify --csv`` writes: complete after each row, so that ``--resume`` can continue it."""

import codecs
import csv
import errno
import io
import os
from collections.abc import Iterable
from pathlib import Path

from lists.csv_export import ENCODING, as_csv, earlier_headers, header, original


class NotAnAnswerFileError(ValueError):
    """A file is not a CSV list with the expected columns, commas and encoding."""


class AnswerFile:
    """The CSV file. It is complete after each row, even if the program is killed. A new one without a row is removed.

    One that an earlier release has begun keeps its columns, and gets no others.

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
        self._columns, self._earlier = header(top), earlier_headers(top)
        self._first_line = as_csv([self._columns]).encode(ENCODING)
        # In append mode nothing that is there can be overwritten, not even what another process has just written.
        self._file = open(path, "a+b" if resume else "x+b", buffering=0)  # noqa: SIM115  close() closes it
        try:
            self._continue()
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

        :param row: a cell for each column of ``header``.
        :raises OSError: it could not be written.
        """
        self._write(as_csv([row[: len(self._columns)]]).encode())

    def _write(self, content: bytes) -> None:
        end = self._file.seek(0, io.SEEK_END)
        if self._file.write(content) < len(content):
            self._file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _continue(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        rows, size = complete_rows(content)
        headers = [self._columns, *self._earlier]
        if rows and rows[0] in headers:
            self._columns = rows[0]
        elif rows or not _begins_first_line(content, headers):
            raise NotAnAnswerFileError
        self._file.truncate(size)
        if not rows:
            self._write(self._first_line)
        error = self._columns.index("error")
        for row in rows[1:]:
            name = original(row[0])
            self.names.add(name)
            if sentence := "".join(row[error : error + 1]):  # some editors leave out empty cells at the end
                self.failed.append((name, sentence))


def _begins_first_line(content: bytes, headers: Iterable[list[str]]) -> bool:
    """Whether a file was cut off within its first line."""
    first_lines = [as_csv([columns]).encode() for columns in headers]
    # Earlier releases wrote no byte order mark.
    return any(line.startswith(content) or (codecs.BOM_UTF8 + line).startswith(content) for line in first_lines)


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
