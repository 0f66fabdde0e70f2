"""Finds the species that labels mean, by their English or scientific names."""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from inference.names import species_names

from .speller import Speller
from .spelling import key, without_group, without_possessives, words
from .table import Table

ALIASES_FILE = Path(__file__).parent / "aliases.csv"

_FORM = re.compile(r"^(?P<name>.*\S)\s*\([^()]*\)$")  # "Horned Grebe (Breeding)", as in NABirds


class How(StrEnum):
    """How a species was found, the surest way first."""

    OWN = "names.csv"
    ENGLISH = "English name"
    SCIENTIFIC = "scientific name"
    SPELLING = "another spelling"
    ALIAS = "another name"
    FORM = "name without a form"
    EXTRA_WORD = "name without its last word"
    CORRECTED = "corrected name"
    TAXON = "genus or family"


#: What is only tried if most labels are found in surer ways: a label that is no bird's name may resemble one.
_UNSURE = (How.EXTRA_WORD, How.CORRECTED, How.TAXON)

#: The rows of the species that a label means: one, or all that are called so (Kiwi).
Rows = tuple[int, ...]
_Rule = tuple[How, Callable[[str], Rows]]


@dataclass(frozen=True)
class Index:
    """Where the species stand in the table, by what they may be called. Of names that mean several, none is in it."""

    table: Table

    def find(self, label: str, name: str, unsure: bool) -> tuple[Rows, How] | None:
        """The species that a label means, and how they were found.

        :param name: the label as a name for people.
        :param unsure: whether to try what is unsure, too.
        """
        for how, look_up in self._rules:
            if how in _UNSURE and not unsure:
                break
            if rows := look_up(label) or look_up(name):
                return rows, how
        return None

    @cached_property
    def _rules(self) -> list[_Rule]:
        return [
            (How.ENGLISH, lambda name: _as_rows(self._english.get(name))),
            (How.SCIENTIFIC, self._by_scientific_name),
            (How.SPELLING, lambda name: self._only(key(name), indices=self._spellings)),
            (How.ALIAS, lambda name: _as_rows(self._aliases.get(key(name)))),
            (How.FORM, lambda name: self._only(key(form["name"])) if (form := _FORM.match(name)) else ()),
            (How.EXTRA_WORD, lambda name: self._only(*without_group(key(name)))),
            (How.CORRECTED, self._corrected),
            (How.TAXON, self._taxon),
        ]

    @cached_property
    def _english(self) -> Mapping[str, int]:
        return {name: row for row, name in enumerate(self.table.english)}

    @cached_property
    def _scientific(self) -> Mapping[str, int]:
        return {name.casefold(): row for row, name in enumerate(self.table.scientific)}

    @cached_property
    def _spellings(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        shortened = ((without_possessives(name), name, row) for row, name in enumerate(self.table.english))
        return (
            _unambiguous((key(name), row) for row, name in enumerate(self.table.english)),
            _unambiguous((key(short), row) for short, name, row in shortened if short != name),
        )

    @cached_property
    def _aliases(self) -> Mapping[str, int]:
        with ALIASES_FILE.open(encoding="utf-8", newline="") as file:
            rows = [(key(line["name"]), line["scientific"].casefold()) for line in csv.DictReader(file)]
        return {name: self._scientific[scientific] for name, scientific in rows}

    @cached_property
    def _speller(self) -> Speller:
        return Speller(frozenset(words(" ".join(self.table.english))))

    @cached_property
    def _taxa(self) -> Mapping[str, Rows]:
        """The species of each genus and family, and those whose names end alike, if they are related."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, name in enumerate(self.table.english):
            parts = words(name)
            for start in range(1, len(parts)):
                rows["".join(parts[start:])].append(row)
        related = {name: tuple(found) for name, found in rows.items() if len(found) > 1 and self.table.taxon(found)}
        return related | self.table.taxa

    def _by_scientific_name(self, name: str) -> Rows:
        parts = name.replace("_", " ").casefold().split()
        row = self._scientific.get(" ".join(parts))
        if row is None and len(parts) == 3:  # a subspecies
            row = self._scientific.get(" ".join(parts[:2]))
        return _as_rows(row)

    def _corrected(self, name: str) -> Rows:
        return self._only(*self._corrections(name))

    def _taxon(self, name: str) -> Rows:
        found = {self._taxa[each] for each in {key(name), *self._corrections(name)} if each in self._taxa}
        return found.pop() if len(found) == 1 else ()

    def _corrections(self, name: str) -> list[str]:
        return ["".join(text) for text in self._speller.corrections(words(name))]

    def _only(self, *keys: str, indices: Collection[Mapping[str, int]] = ()) -> Rows:
        """The only species that one of several names means; nothing if there is none, or more than one."""
        indices = indices or (*self._spellings, self._aliases)
        rows = {index[spelled] for spelled in keys for index in indices if spelled in index}
        return tuple(rows) if len(rows) == 1 else ()


def match_labels(labels: Collection[str], table: Table) -> dict[str, tuple[Rows, How]]:
    """The rows in the table, and how they were found, of each label that means a species or several."""
    index = Index(table)
    names = species_names(labels)
    found = {label: index.find(label, name, unsure=False) for label, name in names.items()}
    if 2 * sum(map(bool, found.values())) >= len(names):
        found = {label: match or index.find(label, names[label], unsure=True) for label, match in found.items()}
    return {label: match for label, match in found.items() if match}


def _as_rows(row: int | None) -> Rows:
    return () if row is None else (row,)


def _unambiguous(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    rows: dict[str, int | None] = {}
    for spelled, row in pairs:
        rows[spelled] = None if spelled in rows else row
    return {spelled: row for spelled, row in rows.items() if row is not None}
