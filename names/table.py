"""The table of birds' names that comes with the app: ``bird_names.xz``; ATTRIBUTION.md says where it is from.

It is written by columns, which compress better and can be read one by one: each line is a column, with its name first
and tabs between the cells.
"""

import lzma
from collections import defaultdict
from collections.abc import Collection, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .languages import ENGLISH, LANGUAGES
from .species import Species

FILE = Path(__file__).parent / "bird_names.xz"


@dataclass(frozen=True)
class Table:
    """All species that there are names of. Only what they are found by is in memory.

    :param english: the English name of each species.
    :param scientific: its scientific name.
    :param families: its family, in Latin.
    """

    english: list[str]
    scientific: list[str]
    families: list[str]

    @cached_property
    def genera(self) -> list[str]:
        """The genus of each species."""
        return [name.partition(" ")[0] for name in self.scientific]

    @cached_property
    def taxa(self) -> dict[str, tuple[int, ...]]:
        """The rows of each genus and family, by its name in small letters."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, names in enumerate(zip(self.genera, self.families, strict=True)):
            for name in names:
                rows[name.casefold()].append(row)
        return {name: tuple(found) for name, found in rows.items()}

    def taxon(self, rows: Collection[int]) -> str:
        """The genus of all species in some rows, or else their family; empty if they are not so closely related."""
        for names in (self.genera, self.families):
            if len(found := {names[row] for row in rows}) == 1:
                return found.pop()
        return ""


def read_table(file: Path = FILE) -> Table:
    """Read what species are found by."""
    with closing(_columns(file)) as columns:
        english, scientific, families = (next(columns)[1] for _column in range(3))
    return Table(english, scientific, families)


def read_species(rows: Collection[int], file: Path = FILE) -> dict[int, Species]:
    """Read the species in some rows of the table.

    :return: them, by their rows.
    """
    cells = {column: {row: values[row] for row in rows} for column, values in _columns(file)}
    codes = [code for code in LANGUAGES if code != ENGLISH]
    return {
        row: Species(
            cells["english"][row],
            cells["scientific"][row],
            cells["family"][row],
            cells["order"][row],
            {code: cells[code][row] for code in codes if cells[code][row]},
        )
        for row in rows
    }


def _columns(file: Path) -> Generator[tuple[str, list[str]]]:
    """The columns with their names, one at a time: all of them take 30 MB."""
    with lzma.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            column, *cells = line.removesuffix("\n").split("\t")
            yield column, cells
