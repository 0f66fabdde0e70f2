"""The pictures of none of the labels, in ``_other/``: what the network learns to give no answer to."""

import random
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from inference import OTHER_FOLDER as OTHER_FOLDER

HELD_OUT = 1 / 3  # share of them that the network does not learn from: what it says of them is measured
FOLDERS_TO_SPLIT = 10  # folders inside it; with fewer, single pictures are held out instead of folders


@dataclass(frozen=True)
class Others:
    """Pictures of none of the labels.

    :param train: those to learn from.
    :param held_out: the others. If they lie in folders, no folder is in both parts: pictures in one folder look alike.
    """

    train: list[Path] = field(default_factory=list)
    held_out: list[Path] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.train) + len(self.held_out)


def split_others(pictures: list[Path], seed: int) -> Others:
    """Divide pictures, which are sorted by their paths; always in the same way."""
    groups = [list(group) for _folder, group in groupby(pictures, key=lambda path: path.parent)]
    if len(groups) < FOLDERS_TO_SPLIT:
        groups = [[path] for path in pictures]
    random.Random(seed).shuffle(groups)
    held_out: list[Path] = []
    while groups and len(held_out) < round(HELD_OUT * len(pictures)):
        held_out += groups.pop()
    return Others(sorted(path for group in groups for path in group), sorted(held_out))
