"""training/layout.py: folders as people have them, from Kaggle, Roboflow, CUB-200 or their own disk.

No photo is opened to find out how a folder is laid out: empty files with the names of photos are enough.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from training.data import find_photos
from training.faults import DataError

TWO_LABELS = {"Robin": 6, "Wren": 6}


def make(data: Path, files: dict[str, int]) -> Path:
    """Make empty files.

    :param files: the number of photos in each folder; a number of 0 stands for a file of that name.
    """
    for name, photos in files.items():
        folder = data / name if photos else (data / name).parent
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(photos):
            (folder / f"{number}.jpg").touch()
        if not photos:
            (data / name).touch()
    return data


def within(folder: str, files: dict[str, int]) -> dict[str, int]:
    return {f"{folder}/{name}": photos for name, photos in files.items()}


def found(data: Path) -> dict[tuple[str | None, str], int]:
    """How many photos of each split and label there are."""
    return dict(Counter((photo.split, photo.label) for photo in find_photos(data)[0]))


def remarks(data: Path) -> list[tuple[str, str, str]]:
    return [(fault.what, fault.where, fault.why) for fault in find_photos(data)[1]]


def refusal(data: Path) -> str:
    with pytest.raises(DataError) as error:
        find_photos(data)
    return str(error.value).replace(str(data), "DATA")


UNSPLIT = {(None, "Robin"): 6, (None, "Wren"): 6}


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("Train", "Validation", "Test"),
        ("TRAIN", "VAL", "TEST"),
        ("training", "valid", "testing"),
        ("training_set", "validation-set", "Test Set"),
        ("train_images", "val_images", "test_images"),
        ("train", "dev", "test"),
        ("train_mini", "eval", "test data"),
        ("bird_train", "bird_valid", "bird_test"),
        ("0_train", "1_val", "2_test"),
        ("1. Training Photos", "2. Validation Dataset", "3. Testing Data"),
        ("train2017", "val2017", "test_20"),
        ("训练集", "验证集", "测试集"),
    ],
)
def test_splits_are_known_by_their_usual_names(tmp_path, train, validation, test):
    make(tmp_path, within(train, TWO_LABELS) | {f"{validation}/Robin": 2, f"{test}/Wren": 3})
    assert found(tmp_path) == {
        ("train", "Robin"): 6,
        ("train", "Wren"): 6,
        ("validation", "Robin"): 2,
        ("test", "Wren"): 3,
    }
    assert ("splits of other names", validation, "read as validation") in remarks(tmp_path)


@pytest.mark.parametrize("around", ["birds", "archive/dataset", "CUB_200_2011/images", "train_val_images/Aves"])
def test_labels_are_found_in_the_one_folder_that_holds_them(tmp_path, around):
    make(tmp_path, within(around, TWO_LABELS) | {"README.txt": 0, "__MACOSX/birds/Robin": 3, ".git/Robin": 3})
    assert found(tmp_path) == UNSPLIT
    assert remarks(tmp_path) == [("labels in a deeper folder", around, "2 labels")]


def test_splits_are_found_in_a_deeper_folder_too_and_may_hold_a_folder_of_their_own_name(tmp_path):
    make(tmp_path, within("archive/train/train", TWO_LABELS) | {"archive/val/images/Robin": 2, "archive/test/test": 9})
    assert found(tmp_path) == {("train", "Robin"): 6, ("train", "Wren"): 6, ("validation", "Robin"): 2}
    assert remarks(tmp_path) == [
        ("folders that are not used", "archive/test", "9 photos"),
        ("labels in a deeper folder", "archive/train/train", "2 labels"),
        ("splits of other names", "archive/val", "read as validation"),
        ("labels in a deeper folder", "archive/val/images", "1 label"),
    ]


def test_a_folder_that_is_split_is_found_among_others(tmp_path):
    make(tmp_path, within("v1/train", TWO_LABELS) | {"v1/validation/Robin": 2, "samples/Robin": 3, "more": 1, "v1": 1})
    assert found(tmp_path) == {("train", "Robin"): 6, ("train", "Wren"): 6, ("validation", "Robin"): 2}
    assert remarks(tmp_path) == [
        ("folders that are not used", "more", "1 photo"),
        ("folders that are not used", "samples", "3 photos"),
        ("photos in no folder of a label", "v1", "1 photo"),
    ]


def test_splits_inside_a_folder_that_is_named_like_one_are_the_splits(tmp_path):
    make(tmp_path, within("train/train", TWO_LABELS) | {"train/valid/Robin": 2})
    assert found(tmp_path)["validation", "Robin"] == 2


def test_a_split_is_the_folder_of_its_very_name_if_there_is_one(tmp_path):
    make(
        tmp_path,
        within("train", TWO_LABELS) | within("train_cropped", TWO_LABELS) | {"val/Robin": 2, "val-old/Wren": 2},
    )
    assert found(tmp_path) == {("train", "Robin"): 6, ("train", "Wren"): 6, ("validation", "Robin"): 2}
    assert ("folders that are not used", "train_cropped", "12 photos") in remarks(tmp_path)


def test_a_label_may_have_the_name_of_a_split_among_its_words(tmp_path):
    make(tmp_path, {"Train Bird": 6, "Robin": 6, "Trainbearer/male": 6})
    assert found(tmp_path) == {(None, "Train Bird"): 6, (None, "Robin"): 6, (None, "Trainbearer"): 6}


def test_of_two_archives_the_one_that_is_split_is_found_deep_inside(tmp_path):
    make(tmp_path, within("a/a/Training", TWO_LABELS) | {"a/a/Test/Wren": 3, "b/b/Robin": 3})
    assert found(tmp_path) == UNSPLIT | {("test", "Wren"): 3}


@pytest.mark.parametrize("around", ["", "birds/"])
def test_folders_that_hold_the_same_labels_are_perhaps_none_and_the_table_says_so(tmp_path, around):
    three = {f"{around}{label}": 1 for label in ("Robin", "Wren", "Coot\n")}
    make(tmp_path, within("augmented", three) | within("original", three))
    why = "holds folders that others hold too, such as Coot\\n; if those are the labels, merge these folders"
    what = "folders that may not be labels"
    assert [remark for remark in remarks(tmp_path) if remark[0] == what] == [
        (what, "augmented", why),
        (what, "original", why),
    ]


def test_folders_that_many_labels_hold_are_not_labels(tmp_path):
    make(tmp_path, {f"{label}/{inside}": 3 for label in TWO_LABELS for inside in ("male", "female")})
    assert {what for what, *_ in remarks(tmp_path)} == {"folders inside the folder of a label"}


def test_what_cub_200_brings_along_is_not_taken_for_labels(tmp_path):
    make(tmp_path, within("CUB_200_2011/images", TWO_LABELS) | within("segmentations", TWO_LABELS))
    make(tmp_path, {"CUB_200_2011/train_test_split.txt": 0, "CUB_200_2011/classes.txt": 0, "attributes.txt": 0})
    assert found(tmp_path) == UNSPLIT
    assert remarks(tmp_path) == [
        ("folders that are not used", "segmentations", "12 photos"),
        ("labels in a deeper folder", "CUB_200_2011/images", "2 labels"),
        ("lists that are not read", "CUB_200_2011/train_test_split.txt", "the photos are split at random instead"),
    ]


def test_an_archive_that_was_unpacked_into_its_own_folder_does_not_make_a_label(tmp_path):
    make(tmp_path, TWO_LABELS | within("birds", TWO_LABELS))
    assert found(tmp_path) == UNSPLIT
    assert remarks(tmp_path) == [("folders that are not used", "birds", "12 photos")]


def test_folders_of_orders_and_families_are_labels_and_the_table_says_so(tmp_path):
    make(
        tmp_path, {"Passeriformes/Paridae/Blue Tit": 6, "Passeriformes/Paridae/Great Tit": 6, "Rails/Rallidae/Coot": 6}
    )
    assert found(tmp_path) == {(None, "Passeriformes"): 12, (None, "Rails"): 6}
    what = "folders inside the folder of a label"
    assert remarks(tmp_path) == [
        (what, "Passeriformes", "12 photos in Paridae/Blue Tit, Paridae/Great Tit"),
        (what, "Rails", "6 photos in Rallidae/Coot"),
    ]


def test_a_label_of_one_split_may_hold_folders(tmp_path):
    make(tmp_path, within("train", TWO_LABELS) | {"val/Robin/male": 2, "val/Robin/female": 2})
    assert found(tmp_path)["validation", "Robin"] == 4


def test_splits_without_photos_in_folders_of_labels_are_taken_from_train(tmp_path):
    make(tmp_path, within("train", TWO_LABELS) | {"test": 9, "valid/readme.txt": 0, "sample_submission.csv": 0})
    assert found(tmp_path) == UNSPLIT
    assert remarks(tmp_path) == [
        ("folders that are not used", "test", "9 photos"),
        ("splits without labelled photos", "validation", "a tenth of each label's photos in train"),
        ("splits without labelled photos", "test", "a tenth of each label's photos in train"),
    ]


def test_what_else_is_there_is_counted(tmp_path):
    make(tmp_path, TWO_LABELS | {".": 3, "Robin/a.TIF": 0, "Robin/b.cr2": 0, "Robin/notes.txt": 0, "Robin/more": 0})
    make(tmp_path, {"Empty/c.tif": 0})
    (tmp_path / "Robin" / "by its content").write_bytes(b"\xff\xd8\xff\xe0 a JPEG begins like this")
    assert found(tmp_path) == UNSPLIT | {(None, "Robin"): 7}
    assert remarks(tmp_path) == [
        ("photos in no folder of a label", ".", "3 photos"),
        ("folders without photos", "Empty", "1 *.tif"),
        ("photos of formats that are not read", "Robin", "1 *.tif, 1 *.cr2"),
        ("files of other kinds", "Robin", "1 without extension, 1 *.txt"),
    ]


def test_a_link_back_to_a_folder_around_it_is_not_followed_and_any_other_is(tmp_path):
    make(tmp_path, {"DATA/Robin": 6, "elsewhere": 6})
    (tmp_path / "DATA" / "Wren").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "DATA" / "Robin" / "up").symlink_to(tmp_path / "DATA")
    assert found(tmp_path / "DATA") == UNSPLIT


def test_a_link_that_leads_nowhere_may_have_been_a_label_and_is_named(tmp_path):
    make(tmp_path, TWO_LABELS)
    (tmp_path / "Gull").symlink_to("/a disk that is not there")
    (tmp_path / "Wren" / "self").symlink_to("self")
    assert found(tmp_path) == UNSPLIT
    what, why = "folders that cannot be opened", "The link leads nowhere."
    assert remarks(tmp_path) == [(what, "Gull", why), (what, "Wren/self", why)]


def test_a_folder_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    make(tmp_path, TWO_LABELS | {"closed": 6})
    scandir = os.scandir

    # root may open every folder: the refusal stands in for the rights that others lack.
    def refuse(folder: Path) -> object:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert found(tmp_path) == UNSPLIT
    why = "The folder cannot be opened: Permission denied."
    assert remarks(tmp_path) == [("folders that cannot be opened", "closed", why)]
    assert refusal(tmp_path / "closed") == f"DATA: {why}"


@pytest.mark.parametrize(
    ("files", "sentences"),
    [
        pytest.param(
            {"train": 30, "test": 9, "train.csv": 0},
            ["holds 39 photos, but not in folders of two labels or more: 9 in test, 30 in train.", "train.csv"],
            id="Kaggle: a list says what the photos show",
        ),
        pytest.param({".": 20}, ["20 in DATA."], id="photos in no folder"),
        pytest.param({"birds/Robin": 20}, ["20 in birds/Robin."], id="one label"),
        pytest.param(
            {"train/images": 6, "train/labels/0.txt": 0, "valid/images": 3, "data.yaml": 0, "README.roboflow.txt": 0},
            ["6 in train/images, 3 in valid/images.", "data.yaml, which says where in a photo something is."],
            id="Roboflow, YOLO: boxes",
        ),
        pytest.param(
            {"train": 6, "train/_annotations.coco.json": 0, "valid": 3},
            ["6 in train, 3 in valid.", "train/_annotations.coco.json, which says where"],
            id="Roboflow, COCO: boxes",
        ),
        pytest.param(
            {"images/train": 6, "images/val": 3, "labels/train/0.txt": 0},
            ["6 in images/train, 3 in images/val.", "labels/train/0.txt, which says where"],
            id="Ultralytics, YOLO: boxes",
        ),
        pytest.param(
            {"valid/Robin": 3, "test/Robin": 3, "train": 9},
            ["in test and valid, but in no folder named train.", "into train/<label>/ beside it"],
            id="nothing to learn from",
        ),
        pytest.param(
            within("train", TWO_LABELS) | {"val/Robin": 3, "valid/Robin": 3},
            ["val and valid both mean validation."],
            id="two folders of the same meaning",
        ),
        pytest.param(
            within("v1/train", TWO_LABELS) | within("v2/train", TWO_LABELS),
            ["several folders that are split: v1, v2."],
            id="two data sets",
        ),
        pytest.param({"birds.zip": 0, "a.tif": 0}, ["holds no photos, only other files: 1 *."], id="no photos"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_what_was_found_where(tmp_path, files, sentences):
    sentence = refusal(make(tmp_path, files))
    assert all(part in sentence for part in sentences), sentence


def test_an_archive_is_to_be_unpacked_and_a_file_is_no_folder(tmp_path):
    make(tmp_path, {"birds.zip": 0, "bird.jpg": 0})
    assert refusal(tmp_path / "birds.zip").startswith("DATA is an archive. Unpack it first")
    assert refusal(tmp_path / "bird.jpg").startswith("DATA is not a folder.")
