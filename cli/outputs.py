"""What becomes of the answers of ``identify``: lines, JSON, rows of the CSV file."""

from collections.abc import Mapping
from typing import Protocol

import click
from tqdm import tqdm

from inference import CANDIDATES
from web.naming import Naming

from .answer_file import AnswerFile
from .outcomes import Outcome

NO_VERDICTS = (
    "This model gives no verdicts, so no answer is sure enough for lists and keywords. "
    "`python -m training.calibrate` makes it give them (docs/model.md)."
)


class Output(Protocol):
    """Something that answers go to."""

    @property
    def has_failed(self) -> bool:
        """Whether something could not be written."""

    def add(self, outcome: Outcome) -> None:
        """Take an answer, or why there is none.

        :raises OSError: it could not be written, and no other could.
        """

    def finish(self, *, is_complete: bool) -> list[str]:
        """Take notice that no more answers come.

        :param is_complete: whether these were all; the command may have been interrupted.
        :return: sentences for the person.
        """


class Lines:
    """A line for people on standard output.

    :param names: of the species, by their labels.
    :param top: how many species are listed for each photo.
    """

    has_failed = False

    def __init__(self, names: Mapping[str, str], top: int | None) -> None:
        self._names, self._top = names, top or 1

    def add(self, outcome: Outcome) -> None:
        """Print it."""
        _print(outcome.line(self._names, self._top))

    def finish(self, *, is_complete: bool) -> list[str]:
        """Nothing is left to do."""
        return []


class JsonLines:
    """A line of JSON on standard output.

    :param top: as for ``Lines``.
    """

    has_failed = False

    def __init__(self, naming: Naming, top: int | None) -> None:
        self._naming, self._top = naming, top or CANDIDATES

    def add(self, outcome: Outcome) -> None:
        """Print it."""
        _print(outcome.json(self._top, self._naming))

    def finish(self, *, is_complete: bool) -> list[str]:
        """Nothing is left to do."""
        return []


class CsvRows:
    """A row of the CSV file.

    :param top: as for ``Lines``.
    """

    has_failed = False

    def __init__(self, file: AnswerFile, naming: Naming, top: int | None) -> None:
        self._file, self._naming, self._top = file, naming, top or CANDIDATES

    def add(self, outcome: Outcome) -> None:
        """Write it."""
        self._file.add(outcome.row(self._top, self._naming))

    def finish(self, *, is_complete: bool) -> list[str]:
        """The file is complete after each row."""
        return []


def _print(line: str) -> None:
    with tqdm.external_write_mode():
        click.echo(line)
