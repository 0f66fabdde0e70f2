"""The table of birds' names that comes with the app: ``bird_names.xz``; ATTRIBUTION.md says where it is from.

It is written by columns, which compress better and can be read one by one: each line is a column, with its name first
and tabs between the cells.
"""

import lzma
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .languages import ENGLISH, LANGUAGES
from .species import Species

FILE = Path(__file__).parent / "bird_names.xz"


@dataclass(frozen=True)
class Table:
    """All species that there are names of.

    It takes about 30 MB, so whoever has found the species needed lets go of it.

    :param columns: of the file, by their names, not yet split into cells.
    """

    columns: dict[str, str]

    @cached_property
    def english(self) -> list[str]:
        """The English name of each species."""
        return self.columns["english"].split("\t")

    @cached_property
    def scientific(self) -> list[str]:
        """The scientific name of each species."""
        return self.columns["scientific"].split("\t")

    @cached_property
    def genera(self) -> list[str]:
        """The genus of each species."""
        return [name.partition(" ")[0] for name in self.scientific]

    @cached_property
    def families(self) -> list[str]:
        """The family of each species, in Latin."""
        return self.columns["family"].split("\t")

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

    def species(self, rows: Iterable[int]) -> dict[int, Species]:
        """The species in some rows, by their rows."""
        wanted = sorted(set(rows))
        cells = {column: _cells(text, wanted) for column, text in self.columns.items()}
        return {
            row: Species(
                cells["english"][place],
                cells["scientific"][place],
                cells["family"][place],
                cells["order"][place],
                {code: cells[code][place] for code in LANGUAGES if code != ENGLISH and cells[code][place]},
            )
            for place, row in enumerate(wanted)
        }


def _cells(column: str, rows: Sequence[int]) -> list[str]:
    cells = column.split("\t")
    return [cells[row] for row in rows]


def read_table(file: Path = FILE) -> Table:
    """Read the table."""
    lines = (line.decode() for line in lzma.decompress(file.read_bytes()).split(b"\n"))
    return Table({name: cells for name, _tab, cells in (line.partition("\t") for line in lines)})
