"""Look-alikes: which species the model confuses with each other, counted on photos that it did not learn from."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from inference.model_card import SpeciesMetrics

MAX_SHOWN = 3  # in each direction


class LookAlike(NamedTuple):
    """A species that the model confuses with another one.

    :param label: of the look-alike.
    :param taken_for_it: photos of the look-alike that were named as the other species,
    :param photos: of how many.
    :param confused_with: photos of the other species that were named as the look-alike,
    :param photos_of_other: of how many.
    """

    label: str
    taken_for_it: int
    photos: int
    confused_with: int
    photos_of_other: int


class Confusion:
    """Which species were named as which others.

    :param species: every species that was measured.
    """

    def __init__(self, species: Iterable[SpeciesMetrics]) -> None:
        self._species = {each.label: each for each in species}
        self._taken_for: dict[str, dict[str, int]] = defaultdict(dict)
        for each in self._species.values():
            for named, photos in (each.confused_with or {}).items():
                self._taken_for[named][each.label] = photos

    def taken_for_it(self, label: str) -> dict[str, int] | None:
        """The labels whose photos were named ``label``, with the number of photos; None if that was not measured."""
        if self._measured(label).confused_with is None:
            return None
        return self._taken_for.get(label, {})

    def look_alikes(self, label: str) -> list[LookAlike]:
        """The most frequent look-alikes of a species, ``MAX_SHOWN`` in each direction; the most frequent first."""
        species = self._measured(label)
        taken_for_it, confused_with = self.taken_for_it(label) or {}, species.confused_with or {}
        found = [
            LookAlike(
                other,
                taken_for_it.get(other, 0),
                self._measured(other).held_out_photos or 0,
                confused_with.get(other, 0),
                species.held_out_photos or 0,
            )
            for other in {*_most_frequent(taken_for_it), *_most_frequent(confused_with)}
        ]
        return sorted(found, key=lambda each: (-each.taken_for_it - each.confused_with, each.label))

    def _measured(self, label: str) -> SpeciesMetrics:
        return self._species.get(label) or SpeciesMetrics(label)


def _most_frequent(photos: dict[str, int]) -> list[str]:
    return sorted(photos, key=lambda label: (-photos[label], label))[:MAX_SHOWN]
