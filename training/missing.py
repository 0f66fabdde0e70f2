"""What is left of a dataset if photos were deleted or damaged during the training."""

from dataclasses import replace
from pathlib import Path

from inference.errors import PhotoError
from inference.photo import open_photo

from .data import Dataset, Split
from .others import Others


def without_missing(dataset: Dataset) -> Dataset:
    """The part of a dataset that can still be opened."""
    splits, corrected = {}, {}
    for name, split in dataset.splits.items():
        kept = [number for number, path in enumerate(split.paths) if _can_be_opened(path)]
        splits[name] = Split([split.paths[number] for number in kept], split.targets[kept])
        if name in dataset.corrected:
            corrected[name] = dataset.corrected[name][kept]
    train, held_out = (list(filter(_can_be_opened, part)) for part in (dataset.others.train, dataset.others.held_out))
    return replace(dataset, splits=splits, corrected=corrected, others=Others(train, held_out))


def _can_be_opened(path: Path) -> bool:
    try:
        open_photo(path)
    except (PhotoError, OSError):
        return False
    return True
