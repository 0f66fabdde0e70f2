"""What a stage of training is."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    :param name: for people.
    :param frozen_through: the last layer of InceptionV3 that does not learn; None if all learn.
    :param sizes: pixels of the images' sides, for each epoch.
    :param learning_rate: at its peak.
    """

    name: str
    frozen_through: str | None
    sizes: tuple[int, ...]
    learning_rate: float

    @property
    def epochs(self) -> int:
        """Passes over the photos."""
        return len(self.sizes)

    def size_ends(self) -> Iterator[tuple[int, int]]:
        """Each image size in turn, and the number of epochs of the stage after which its turn ends."""
        end = 0
        for size, epochs in groupby(self.sizes):
            end += len(list(epochs))
            yield size, end
