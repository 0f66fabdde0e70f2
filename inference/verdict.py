"""How far an answer can be trusted."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What may be said of a photo."""

    SURE = "sure"  # it is the most likely species
    UNSURE = "unsure"  # it is one of the likely species
    UNKNOWN_BIRD = "unknown_bird"  # it is a bird, but probably of none of the model's species
    NO_BIRD = "no_bird"  # it probably shows no bird

    @property
    def names_species(self) -> bool:
        """Whether the answer counts, rather than being refused."""
        return self in (Verdict.SURE, Verdict.UNSURE)


@dataclass(frozen=True)
class Familiarity:
    """How a photo compares with photos of the known species, none of which the network learned from.

    :param species: the share of those photos, 0 to 1, that look less like one of the known species.
    :param bird: the share of them that look less like a bird at all.
    """

    species: float
    bird: float
