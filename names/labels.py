"""The species that a model's labels mean, and what they are called."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inference.names import species_names

from .matching import How, match_labels
from .own import OWN_FILE, OwnNames, read_own_names
from .species import Species
from .table import Table, read_table


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

    def name_in(self, language: str) -> str:
        """The name for people in a language; the readable label if there is none."""
        return self.species.name_in(language) if self.species else self.readable


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
    readable = species_names(labels)
    table = read_table()
    matches = match_labels(labels, table)
    species = table.species(row for rows, _how in matches.values() for row in rows)
    found = {label: LabelName(label, name) for label, name in readable.items()}
    for label, (rows, how) in matches.items():
        meant = _species(readable[label], [species[row] for row in rows], how)
        found[label] = LabelName(label, readable[label], meant, how)
    if folder:
        found |= _own(found, read_own_names(folder / OWN_FILE, labels), table)
    return Names(found)


def _species(readable: str, found: Sequence[Species], how: How) -> Species:
    if len(found) > 1:
        return _group(readable, found)
    keeps_label = how not in (How.CORRECTED, How.SCIENTIFIC) and _is_for_people(readable)
    return replace(found[0], english=readable) if keeps_label else found[0]


def _is_for_people(readable: str) -> bool:
    """Whether a label is written as people write names: Gray Catbird, but not GRAY CATBIRD or Red winged Blackbird."""
    return readable[:1].isupper() and not readable.isupper()


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
    name = readable if _is_for_people(readable) else readable.capitalize()
    return Species(" ".join(name.split()), genus or family, family, order)


def _own(found: Mapping[str, LabelName], own: OwnNames, table: Table) -> dict[str, LabelName]:
    """What the maker says of labels, with what the table says of the species that they name."""
    rows = {name.casefold(): row for row, name in enumerate(table.scientific)}
    named = {
        label: rows[line.scientific.casefold()] for label, line in own.items() if line.scientific.casefold() in rows
    }
    species = table.species(named.values())
    result = {}
    for label, line in own.items():
        before = found[label].species
        if label in named:
            before = species[named[label]]
        elif line.scientific or not line.names:
            before = None  # another species than the one that was found, or none
        result[label] = replace(found[label], species=line.species(before, found[label].readable), how=How.OWN)
    return result
