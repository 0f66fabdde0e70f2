"""training/missing.py: what is left of a dataset when photos have vanished."""

from dataclasses import replace

import numpy as np

from tests.support.pictures import draw_pictures
from training.data import read_dataset
from training.missing import without_missing
from training.others import OTHER_FOLDER


def test_photos_that_vanished_or_were_damaged_are_left_out_everywhere(tmp_path):
    for seed, split in enumerate(["train", "validation", "test"]):
        draw_pictures(tmp_path / split / "Blue Light", 6, "blue", seed)
        draw_pictures(tmp_path / split / "Amber Light", 6, "orange", seed)
    draw_pictures(tmp_path / OTHER_FOLDER, 6, "red")
    dataset = read_dataset(tmp_path)
    assert without_missing(dataset).splits["train"].paths == dataset.splits["train"].paths
    dataset = replace(dataset, corrected={"test": np.arange(12, dtype="int32")})
    dataset.splits["test"].paths[2].unlink()
    dataset.splits["train"].paths[11].write_bytes(b"no picture")
    dataset.others.held_out[0].unlink()
    left = without_missing(dataset)
    assert {name: len(split.paths) for name, split in left.splits.items()} == {
        "train": 11,
        "validation": 12,
        "test": 11,
    }
    assert left.splits["train"].targets.tolist() == [0] * 6 + [1] * 5
    assert left.corrected["test"].tolist() == [0, 1, *range(3, 12)]
    assert (left.others.train, left.others.held_out) == (dataset.others.train, dataset.others.held_out[1:])
