"""The species that a model's labels mean, and what they are called."""

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inference.names import species_names

from .languages import ENGLISH
from .matching import How, Rows, match_labels
from .own import OWN_FILE, OwnLine, OwnNames, read_own_names
from .species import Species
from .table import read_species, read_table


@dataclass(frozen=True)
class LabelName:
    """What is known of one label.

    :param readable: the label as a name for people.
    :param species: that it means; None if that is not known.
    :param how: the species was found; None if it was not.
    """

    label: str
    readable: str
    species: Species | None = None
    how: How | None = None

    @property
    def scientific(self) -> str:
        """The scientific name of the species, or of the genus or family that the label means; empty if not known."""
        return self.species.scientific if self.species else ""

    @property
    def is_of_one_genus(self) -> bool:
        """Whether the scientific name is that of a species or a genus, which is written in italics."""
        return self.species is not None and self.species.scientific != self.species.family

    def name_in(self, language: str) -> str:
        """The name for people in a language; the readable label if there is none."""
        return self.species.name_in(language) if self.species else self.readable

    def language_of(self, language: str) -> str:
        """The language of ``name_in(language)``: English if that is what stands in for a name."""
        return language if self.species and language in self.species.names else ENGLISH


@dataclass(frozen=True)
class Names:
    """What is known of all labels of a model.

    :param by_label: in the order of the labels.
    """

    by_label: Mapping[str, LabelName]

    def __getitem__(self, label: str) -> LabelName:
        return self.by_label.get(label) or LabelName(label, label)  # a worker may have another model

    def __iter__(self) -> Iterator[LabelName]:
        return iter(self.by_label.values())


def find_names(labels: Collection[str], folder: Path | None = None) -> Names:
    """Find the species that labels mean.

    :param folder: of the model pair, which may hold the maker's own names.
    """
    own = read_own_names(folder / OWN_FILE, labels) if folder else {}
    # The index of all names is gone before those that are kept are read: in between, they would hold on to its memory.
    matches = _matches(labels, own)
    gc.collect()
    species = read_species({row for found, _how in matches.values() for row in found})
    names = {label: LabelName(label, readable) for label, readable in species_names(labels).items()}
    for label, (found, how) in matches.items():
        names[label] = _with_species(names[label], [species[row] for row in found], how)
    for label, line in own.items():
        names[label] = _as_the_maker_says(names[label], line)
    return Names(names)


def _matches(labels: Collection[str], own: OwnNames) -> dict[str, tuple[Rows, How]]:
    """The rows in the table, and how they were found, of each label that means a species or several."""
    table = read_table()
    matches = match_labels(labels, table)
    rows = {name.casefold(): row for row, name in enumerate(table.scientific)} if own else {}
    return matches | {
        label: ((rows[line.scientific.casefold()],), How.OWN)
        for label, line in own.items()
        if line.scientific.casefold() in rows
    }


def _as_the_maker_says(name: LabelName, line: OwnLine) -> LabelName:
    is_another = line.scientific and name.how is not How.OWN  # the table does not have the species of the maker
    found = None if is_another else name.species
    return replace(name, species=line.species(found, name.readable), how=How.OWN)


def _with_species(name: LabelName, found: Sequence[Species], how: How) -> LabelName:
    if len(found) > 1:
        return replace(name, species=_group(name.readable, found), how=how)
    # American models say Gray Catbird, and so do their readers.
    keeps_label = name.label == name.readable and _has_capitals_as_a_name(name.label)
    if keeps_label and how not in (How.OWN, How.CORRECTED, How.SCIENTIFIC):
        return replace(name, species=replace(found[0], english=name.readable), how=how)
    return replace(name, species=found[0], how=how)


def _has_capitals_as_a_name(text: str) -> bool:
    return text[:1].isupper() and not text.isupper()


def _group(readable: str, found: Sequence[Species]) -> Species:
    """Several species that a label means, such as all kiwis, with what they share."""
    genus, family, order = (
        values.pop() if len(values) == 1 else ""
        for values in (
            {each.scientific.partition(" ")[0] for each in found},
            {each.family for each in found},
            {each.order for each in found},
        )
    )
    name = readable if _has_capitals_as_a_name(readable) else readable.capitalize()
    return Species(" ".join(name.split()), genus or family, family, order)
