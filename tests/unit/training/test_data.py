"""training/data.py: a folder of labelled photos in, checked splits out."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tests.support.pictures import draw_pictures
from training.data import read_dataset
from training.faults import DataError, fault_table


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Path:
    """A folder that is split already: two labels, three splits."""
    folder = tmp_path_factory.mktemp("split")
    for number, (name, count) in enumerate([("train", 8), ("validation", 3), ("test", 3)]):
        draw_pictures(folder / name / "Blue Light", count, "blue", seed=number)
        draw_pictures(folder / name / "Amber Light", count, "orange", seed=number)
    return folder


@pytest.fixture
def flat(tmp_path) -> Path:
    """A folder that is not split: 20 photos of one label, 5 of another."""
    draw_pictures(tmp_path / "Blue Light", 20, "blue")
    draw_pictures(tmp_path / "Amber Light", 5, "orange")
    return tmp_path


def names(dataset, split: str) -> list[str]:
    return ["/".join(path.parts[-2:]) for path in dataset.splits[split].paths]


def faults(data: Path) -> list[tuple[str, str, str]]:
    return [(fault.what, fault.where, fault.remedy) for fault in read_dataset(data).faults]


def test_labels_are_the_folders_in_alphabetical_order(split):
    dataset = read_dataset(split)
    assert dataset.class_indices == {"Amber Light": 0, "Blue Light": 1}
    assert [path.parent.name for path in dataset.splits["train"].paths] == ["Amber Light"] * 8 + ["Blue Light"] * 8
    assert dataset.splits["train"].targets.tolist() == [0] * 8 + [1] * 8
    assert dataset.faults == []


def test_a_folder_that_is_split_stays_split_as_it_is(split):
    dataset = read_dataset(split)
    assert {name: len(part.paths) for name, part in dataset.splits.items()} == {
        "train": 16,
        "validation": 6,
        "test": 6,
    }
    assert all(path.parts[-3] == name for name, part in dataset.splits.items() for path in part.paths)


def test_any_other_folder_is_split_80_10_10_label_by_label_and_always_in_the_same_way(flat):
    dataset = read_dataset(flat)
    counts = {name: Counter(path.parent.name for path in part.paths) for name, part in dataset.splits.items()}
    assert counts == {
        "train": {"Blue Light": 16, "Amber Light": 3},
        "validation": {"Blue Light": 2, "Amber Light": 1},
        "test": {"Blue Light": 2, "Amber Light": 1},
    }
    everything = [path for part in dataset.splits.values() for path in part.paths]
    assert len(set(everything)) == len(everything) == 25
    again = read_dataset(flat)
    assert [names(again, name) for name in dataset.splits] == [names(dataset, name) for name in dataset.splits]


def test_photos_that_cannot_be_read_are_named_and_left_out(flat):
    (flat / "Blue Light" / "words.jpg").write_bytes(b"no picture")
    (flat / "Blue Light" / "a link.jpg").symlink_to(flat / "nowhere.jpg")
    dataset = read_dataset(flat)
    assert [(fault.where, fault.why) for fault in dataset.faults] == [
        ("Blue Light/a link.jpg", "The file cannot be opened: No such file or directory."),
        ("Blue Light/words.jpg", "The file is not a picture. Please choose another one."),
    ]
    assert not {"Blue Light/words.jpg", "Blue Light/a link.jpg"} & set(names(dataset, "train"))
    assert sum(len(part.paths) for part in dataset.splits.values()) == 25


def test_labels_with_too_few_photos_to_learn_from_are_left_out_everywhere(flat, split, tmp_path):
    draw_pictures(flat / "Rare Light", 4, "red")
    (flat / "No Light").mkdir()
    assert faults(flat) == [
        ("folders without photos", "No Light", "left out"),
        ("fewer than 5 photos", "Rare Light", "left out"),
    ]
    assert list(read_dataset(flat).class_indices) == ["Amber Light", "Blue Light"]


def test_a_label_that_is_not_in_train_is_left_out_of_the_other_splits(tmp_path):
    for name in ("train", "validation"):
        for seed, label in enumerate(("a", "b")):
            draw_pictures(tmp_path / name / label, 5, "blue", seed=10 * seed + (name == "train"))
    draw_pictures(tmp_path / "validation" / "c", 5, "red", seed=77)
    assert faults(tmp_path) == [("fewer than 5 photos", "c", "left out")]
    assert read_dataset(tmp_path).class_indices == {"a": 0, "b": 1}


def test_a_label_without_photos_to_validate_is_named_and_trained_on(tmp_path):
    for seed, label in enumerate(("a", "b")):
        draw_pictures(tmp_path / "train" / label, 5, "blue", seed=seed)
    draw_pictures(tmp_path / "validation" / "a", 2, "blue", seed=5)
    assert faults(tmp_path) == [("no photo in validation", "b", "trained on anyway")]


def test_without_photos_to_validate_a_tenth_of_those_to_learn_from_is_taken_and_test_stays_as_it_is(tmp_path):
    for seed, label in enumerate(("a", "b")):
        draw_pictures(tmp_path / "train" / label, 20, "blue", seed=seed)
        draw_pictures(tmp_path / "test" / label, 2, "blue", seed=10 + seed)
    dataset = read_dataset(tmp_path)
    assert {split: Counter(path.parts[-3] for path in part.paths) for split, part in dataset.splits.items()} == {
        "train": {"train": 36},
        "validation": {"train": 4},
        "test": {"test": 4},
    }
    assert [(fault.where, fault.remedy) for fault in dataset.faults] == [("validation", "taken from train")]


def test_photos_in_folders_inside_the_folder_of_a_label_count_for_that_label(flat):
    draw_pictures(flat / "Amber Light" / "2023" / "spring", 15, "yellow")
    dataset = read_dataset(flat)
    assert dataset.class_indices == {"Amber Light": 0, "Blue Light": 1}
    assert {name: len(part.paths) for name, part in dataset.splits.items()} == {
        "train": 32,
        "validation": 4,
        "test": 4,
    }
    assert [(fault.where, fault.why) for fault in dataset.faults] == [("Amber Light", "15 photos in 2023/spring")]


def copy_smaller(source: Path, target: Path) -> None:
    """What a photo looks like after a website has reduced it."""
    with Image.open(source) as image:
        image.resize((150, 110)).save(target, quality=60)


def test_training_does_not_see_what_validation_or_test_holds_and_validation_not_what_test_holds(tmp_path):
    for number, name in enumerate(("train", "validation", "test")):
        for label in ("a", "b"):
            draw_pictures(tmp_path / name / label, 8, "blue", seed=10 * number + (label == "a"))
    copy_smaller(tmp_path / "train" / "a" / "1.jpg", tmp_path / "validation" / "a" / "copy.jpg")
    copy_smaller(tmp_path / "train" / "b" / "2.jpg", tmp_path / "test" / "b" / "copy.jpg")
    copy_smaller(tmp_path / "validation" / "b" / "3.jpg", tmp_path / "test" / "b" / "other.jpg")
    copy_smaller(tmp_path / "train" / "a" / "5.jpg", tmp_path / "validation" / "a" / "also in test.jpg")
    copy_smaller(tmp_path / "train" / "a" / "5.jpg", tmp_path / "test" / "a" / "thrice.jpg")
    copy_smaller(tmp_path / "test" / "b" / "4.jpg", tmp_path / "test" / "b" / "within.jpg")
    dataset = read_dataset(tmp_path)
    assert sorted((fault.what, fault.where, fault.why, fault.remedy) for fault in dataset.faults) == [
        ("near-duplicates across splits", "train/a/1.jpg", "the same photo as validation/a/copy.jpg", "left out"),
        ("near-duplicates across splits", "train/a/5.jpg", "the same photo as test/a/thrice.jpg", "left out"),
        ("near-duplicates across splits", "train/b/2.jpg", "the same photo as test/b/copy.jpg", "left out"),
        (
            "near-duplicates across splits",
            "validation/a/also in test.jpg",
            "the same photo as test/a/thrice.jpg",
            "left out",
        ),
        ("near-duplicates across splits", "validation/b/3.jpg", "the same photo as test/b/other.jpg", "left out"),
    ]
    assert "a/1.jpg" not in names(dataset, "train")
    assert "b/2.jpg" not in names(dataset, "train")
    assert "b/3.jpg" not in names(dataset, "validation")
    assert {"b/4.jpg", "b/within.jpg"} <= set(names(dataset, "test"))


def test_a_photo_under_two_labels_is_left_out_of_both(flat):
    copy_smaller(flat / "Blue Light" / "7.jpg", flat / "Amber Light" / "copy.jpg")
    dataset = read_dataset(flat)
    assert [(fault.what, fault.where, fault.remedy) for fault in dataset.faults] == [
        ("one photo, two labels", "Amber Light/copy.jpg", "left out"),
        ("one photo, two labels", "Blue Light/7.jpg", "left out"),
    ]
    assert sum(len(part.paths) for part in dataset.splits.values()) == 24


def test_files_of_other_kinds_are_counted(flat):
    (flat / "Blue Light" / "notes.txt").write_text("heard at dawn")
    (flat / "Blue Light" / "2024").mkdir()
    (flat / "Blue Light" / ".DS_Store").write_bytes(b"nobody wants to read about it")
    (fault,) = read_dataset(flat).faults
    assert (fault.what, fault.where, fault.remedy) == ("files of other kinds", "Blue Light", "ignored")
    assert fault.why == "1 *.txt"


def test_names_of_any_bytes_and_letters_are_read_and_can_be_written(tmp_path):
    for seed, (name, label) in enumerate(
        [("train", "Wu\u0308rger"), ("train", "b"), ("validation", "W\u00fcrger"), ("validation", "b")]
    ):
        draw_pictures(tmp_path / name / label, 5, "blue", seed)
    (tmp_path / "train" / "b" / os.fsdecode(b"bad\xff\x1b.jpg")).write_bytes(b"no picture")
    dataset = read_dataset(tmp_path)
    assert dataset.class_indices == {"W\u00fcrger": 0, "b": 1}
    assert len(dataset.splits["validation"].paths) == 10
    assert [fault.where for fault in dataset.faults] == ["train/b/bad\\udcff\\x1b.jpg"]


def test_near_duplicates_come_into_the_same_split(flat):
    for number in range(20):
        copy_smaller(flat / "Blue Light" / f"{number}.jpg", flat / "Blue Light" / f"{number} copy.jpg")
    dataset = read_dataset(flat)
    assert dataset.faults == []
    place = {name: split for split in dataset.splits for name in names(dataset, split)}
    assert all(place[f"Blue Light/{n}.jpg"] == place[f"Blue Light/{n} copy.jpg"] for n in range(20))
    assert Counter(place.values()) == {"train": 35, "validation": 5, "test": 5}


def test_a_folder_that_cannot_be_trained_on_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(DataError, match=r"nowhere is not a folder\. Put your photos into"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no photos"):
        read_dataset(tmp_path)
    draw_pictures(tmp_path / "Only", 5, "blue")
    with pytest.raises(DataError, match="holds 5 photos, but not in folders of two labels or more: 5 in Only"):
        read_dataset(tmp_path)
    draw_pictures(tmp_path / "Few", 2, "red")
    (tmp_path / "Few" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"holds 1 label to train on \(1 fault: Few: 2 to learn from, …\);"):
        read_dataset(tmp_path)
    draw_pictures(tmp_path / "Esc\x1b[2J", 5, "green")
    with pytest.raises(DataError, match=r"holds a folder named .* some that are not text"):
        read_dataset(tmp_path)
    for seed, label in enumerate(("a", "b")):
        draw_pictures(tmp_path / "train" / label, 5, "blue", seed=seed)
    (tmp_path / "validation" / "a").mkdir(parents=True)
    (tmp_path / "validation" / "a" / "0.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="leaves no photo to validate with"):
        read_dataset(tmp_path)


def test_the_table_names_each_fault_and_counts_what_would_be_too_many(flat):
    for number in range(30):
        (flat / "Blue Light" / f"broken {number:02}.png").write_bytes(b"no picture")
    (flat / "No Light").mkdir()
    lines = fault_table(read_dataset(flat).faults).splitlines()
    assert lines[0] == "folders without photos: 1, left out"
    assert lines[2] == "cannot be read: 30, left out"
    assert lines[3] == "    Blue Light/broken 00.png  The file is not a picture. Please choose another one."
    assert lines[-1] == "    and 10 more, which the report lists"
    assert len(lines) == 2 + 1 + 20 + 1
