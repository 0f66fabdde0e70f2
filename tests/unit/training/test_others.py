"""training/others.py: pictures of none of the labels, in ``_other/``."""

from pathlib import Path

import pytest

from tests.support.pictures import draw_pictures
from training.data import read_dataset
from training.others import FOLDERS_TO_SPLIT, OTHER_FOLDER, Others


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of two labels."""
    draw_pictures(tmp_path / "Blue Light", 6, "blue")
    draw_pictures(tmp_path / "Amber Light", 6, "orange")
    return tmp_path


def test_pictures_of_none_of_the_labels_are_no_label_and_are_always_divided_in_the_same_way(data):
    alone = read_dataset(data)
    draw_pictures(data / OTHER_FOLDER, 6, "red")
    draw_pictures(data / OTHER_FOLDER / "cats" / "black", 6, "green")
    dataset = read_dataset(data)
    assert (dataset.class_indices, dataset.faults) == (alone.class_indices, [])
    assert [split.paths for split in dataset.splits.values()] == [split.paths for split in alone.splits.values()]
    assert (len(dataset.others.train), len(dataset.others.held_out)) == (8, 4)
    assert not set(dataset.others.train) & set(dataset.others.held_out)
    assert read_dataset(data).others == dataset.others
    assert alone.others == Others()


def test_pictures_in_one_folder_are_all_learned_from_or_all_held_out(data):
    for number in range(FOLDERS_TO_SPLIT):
        draw_pictures(data / OTHER_FOLDER / f"thing {number}", 3, "red", seed=number)
    others = read_dataset(data).others
    assert len(others) == 3 * FOLDERS_TO_SPLIT
    folders, held_out = ({path.parent for path in part} for part in (others.train, others.held_out))
    assert not folders & held_out
    assert len(others.held_out) == 12


def test_a_picture_that_cannot_be_read_is_named_and_left_out(data):
    draw_pictures(data / OTHER_FOLDER, 3, "red")
    (data / OTHER_FOLDER / "broken.jpg").write_bytes(b"no picture")
    dataset = read_dataset(data)
    assert len(dataset.others) == 3
    assert [(fault.where, fault.remedy) for fault in dataset.faults] == [("_other/broken.jpg", "left out")]


def test_a_split_folder_may_hold_them_as_well(tmp_path):
    for seed, split in enumerate(["train", "validation"]):
        draw_pictures(tmp_path / split / "Blue Light", 6, "blue", seed)
        draw_pictures(tmp_path / split / "Amber Light", 6, "orange", seed)
    draw_pictures(tmp_path / OTHER_FOLDER / "cats", 3, "red")
    dataset = read_dataset(tmp_path)
    assert list(dataset.class_indices) == ["Amber Light", "Blue Light"]
    assert len(dataset.others) == 3
