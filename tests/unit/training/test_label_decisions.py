"""training/label_decisions.py and corrections.py: what somebody decided about labels, in a file."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.pictures import draw_pictures
from training.corrections import apply_decisions, find_decisions
from training.data import Dataset, read_dataset
from training.faults import DataError, fault_table
from training.label_decisions import DECISIONS_FILE, Choice, Decision, encode_decisions, path_key, read_decisions

LABELS = ["Amber Light", "Blue Light", "Café, “Noir”"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two labels, three splits."""
    folder = tmp_path_factory.mktemp("data")
    for number, (name, count) in enumerate([("train", 6), ("validation", 3), ("test", 3)]):
        draw_pictures(folder / name / "Blue Light", count, "blue", seed=number)
        draw_pictures(folder / name / "Amber Light", count, "orange", seed=number)
    return folder


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / DECISIONS_FILE


def corrected(data: Path, file: Path, *rows: str) -> Dataset:
    file.write_text("\n".join(["path,decision,label", *rows]), encoding="utf-8")
    return apply_decisions(read_dataset(data), data, file)


def labels_of(dataset: Dataset, split: str) -> dict[str, str]:
    names, part = list(dataset.class_indices), dataset.splits[split]
    return {"/".join(path.parts[-2:]): names[target] for path, target in zip(part.paths, part.targets, strict=True)}


def refusal(file: Path, *rows: str | bytes) -> str:
    lines = [row if isinstance(row, bytes) else row.encode() for row in ("path,decision,label", *rows)]
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(DataError) as refused:
        read_decisions(file, LABELS)
    return str(refused.value).removeprefix(str(file))


# --- the file


def test_what_is_written_is_read_again_whatever_the_names_hold(file):
    decisions = [
        Decision('train/Café, “Noir”/a;b "c".jpg', Choice.RELABEL, "Café, “Noir”", 2),
        Decision("Blue Light/1.jpg", Choice.KEEP, "", 3),
        Decision("Blue Light/2.jpg", Choice.LEAVE_OUT, "", 4),
        Decision("Blue Light/3.jpg", None, "Amber Light", 5),
    ]
    file.write_bytes(encode_decisions(decisions))
    assert list(read_decisions(file, LABELS).values()) == decisions


def test_a_file_that_a_spreadsheet_saved_is_read(file):
    rows = [
        "Label;note;Path;Decision",
        "Amber Light;hm;./Blue Light/1.jpg;Relabel",
        ";;Blue Light/2.jpg;LEAVE_OUT",
        ";;;",
    ]
    file.write_text("\r\n".join(rows), encoding="utf-8-sig", newline="")
    assert [(each.path, each.choice, each.label) for each in read_decisions(file, LABELS).values()] == [
        ("Blue Light/1.jpg", Choice.RELABEL, "Amber Light"),
        ("Blue Light/2.jpg", Choice.LEAVE_OUT, ""),
    ]


def test_accents_that_macos_takes_apart_are_the_same_path(file, tmp_path):
    file.write_text("path,decision,label\nCafe\u0301/1.jpg,keep,\n", encoding="utf-8")
    assert list(read_decisions(file, LABELS)) == [path_key(tmp_path / "Caf\xe9" / "1.jpg", tmp_path)]


def test_a_name_with_bytes_that_are_not_text_can_be_written_and_found_again(file, tmp_path):
    key = path_key(tmp_path / "Blue Light" / "\udce9.jpg", tmp_path)
    file.write_bytes(encode_decisions([Decision(key, Choice.KEEP)]))
    assert list(read_decisions(file, LABELS)) == [key]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["a.jpg,drop,"], ", line 2: “drop” is no decision. Write one of: keep, relabel, leave out."),
        (
            ["a.jpg,keep,", "b.jpg,relabel,Green Light"],
            ", line 3: “Green Light” is no label of these photos. Write it as its folder is named.",
        ),
        (["b.jpg,relabel,"], ", line 2: “” is no label of these photos. Write it as its folder is named."),
        ([",keep,"], ", line 2: the row names no photo. Write its path below the folder of photos, or delete it."),
        (
            ["a.jpg,keep,", "", "./a.jpg,leave out,"],
            ", line 4: line 2 says otherwise of a.jpg. Delete one of the two.",
        ),
        (["a.jpg,keep,", b"caf\xe9.jpg,keep,"], ", line 3: this is not UTF-8. Save the file as CSV in UTF-8."),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_the_number_of_its_line(file, rows, sentence):
    assert refusal(file, *rows) == sentence


@pytest.mark.parametrize("content", [b"", b"photo,decision\n", b"PK\x03\x04"])
def test_a_file_of_another_kind_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"line 1: the column path is missing\. The first line is path,decision,label"):
        read_decisions(file, LABELS)


def test_a_file_that_is_missing_is_refused(file):
    with pytest.raises(DataError, match=r"cannot be read: No such file"):
        read_decisions(file, LABELS)


# --- what training makes of it


def test_photos_are_relabelled_and_left_out_in_train_and_validation(data, file):
    dataset = corrected(
        data,
        file,
        "train/Blue Light/0.jpg,relabel,Amber Light",
        "train/Blue Light/1.jpg,leave out,",
        "train/Blue Light/2.jpg,keep,",
        "train/Blue Light/3.jpg,,Amber Light",
        "validation/Amber Light/0.jpg,relabel,Blue Light",
    )
    before = labels_of(read_dataset(data), "train")
    del before["Blue Light/1.jpg"]
    assert labels_of(dataset, "train") == before | {"Blue Light/0.jpg": "Amber Light"}
    assert labels_of(dataset, "validation")["Amber Light/0.jpg"] == "Blue Light"
    assert dataset.corrected == {}
    table = fault_table(dataset.faults)
    assert "labels corrected by a decision: 2, relabelled" in table
    assert "train/Blue Light/0.jpg        Blue Light: Amber Light" in table
    assert "left out by a decision: 1, left out" in table


def test_the_test_split_stays_as_it_is_and_is_corrected_beside_it(data, file):
    dataset = corrected(data, file, "test/Blue Light/0.jpg,relabel,Amber Light", "test/Blue Light/2.jpg,leave out,")
    as_they_are = read_dataset(data).splits["test"]
    assert dataset.splits["test"].paths == as_they_are.paths
    np.testing.assert_array_equal(dataset.splits["test"].targets, as_they_are.targets)
    assert dataset.splits["test"].targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.corrected["test"].tolist() == [0, 0, 0, 0, 1, -1]
    assert "evaluated both as they are and as corrected" in fault_table(dataset.faults)


def test_decisions_do_not_change_which_photos_are_in_which_split(tmp_path, file):
    draw_pictures(tmp_path / "photos" / "Blue Light", 20, "blue")
    draw_pictures(tmp_path / "photos" / "Amber Light", 20, "orange")
    before = read_dataset(tmp_path / "photos").splits
    after = corrected(
        tmp_path / "photos", file, *[f"Blue Light/{number}.jpg,relabel,Amber Light" for number in range(5)]
    ).splits
    assert {name: split.paths for name, split in after.items()} == {name: split.paths for name, split in before.items()}


def test_a_decision_about_a_photo_that_is_gone_is_ignored_and_listed(data, file):
    dataset = corrected(data, file, "train/Blue Light/0.jpg,keep,", "train/Blue Light/gone.jpg,leave out,")
    assert [(fault.what, fault.where, fault.why, fault.remedy) for fault in dataset.faults] == [
        (
            "decisions on photos that are not trained on",
            "train/Blue Light/gone.jpg",
            "line 3 of label_decisions.csv",
            "ignored",
        )
    ]


def test_a_file_about_other_photos_is_refused(data, file):
    with pytest.raises(DataError, match=r"is about other photos: none of its 1 .*, such as Blue Light/0.jpg. Paths in"):
        corrected(data, file, "Blue Light/0.jpg,leave out,")


def test_a_label_must_keep_a_photo_to_learn_from(data, file):
    rows = [f"train/Blue Light/{number}.jpg,leave out," for number in range(6)]
    with pytest.raises(DataError, match="leaves no photo of Blue Light to learn from"):
        corrected(data, file, *rows)


def test_something_must_be_left_to_validate_with(data, file):
    rows = [f"validation/{label}/{number}.jpg,leave out," for label in LABELS[:2] for number in range(3)]
    with pytest.raises(DataError, match="leaves no photo to validate with"):
        corrected(data, file, *rows)


def test_the_file_beside_the_photos_is_found_and_another_one_can_be_given(tmp_path):
    assert find_decisions(tmp_path, None) is None
    assert find_decisions(tmp_path, Path("other.csv")) == Path("other.csv")
    (tmp_path / DECISIONS_FILE).touch()
    assert find_decisions(tmp_path, None) == tmp_path / DECISIONS_FILE
    assert find_decisions(tmp_path, Path("other.csv")) == Path("other.csv")
