"""training/more.py: corrections join what is learned, and nothing else changes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.perceptual_hash import difference_hash
from tests.support.pictures import draw_pictures
from training.comparison import Comparison, Score
from training.corrections import apply_decisions
from training.data import Dataset, read_dataset
from training.faults import DataError
from training.more import HELD_OUT, add_corrections, hold_out
from training.photos import LabeledPhoto


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Path:
    """A folder that is split already: two labels, three splits, and pictures of neither."""
    folder = tmp_path_factory.mktemp("split")
    for number, (name, count) in enumerate([("train", 8), ("validation", 3), ("test", 3)]):
        draw_pictures(folder / name / "Blue Light", count, "blue", seed=number)
        draw_pictures(folder / name / "Red Light", count, "red", seed=number)
    draw_pictures(folder / "_other", 6, "gray")
    return folder


@pytest.fixture(scope="module")
def flat(tmp_path_factory) -> Path:
    """A folder that is not split."""
    folder = tmp_path_factory.mktemp("flat")
    draw_pictures(folder / "Blue Light", 20, "blue")
    draw_pictures(folder / "Red Light", 20, "red")
    return folder


@pytest.fixture
def export(tmp_path) -> Path:
    """What visitors have corrected: photos of a known label, of a new one, and of neither."""
    folder = tmp_path / "export"
    draw_pictures(folder / "Blue Light", 8, "blue", seed=50)
    draw_pictures(folder / "Amber Light", 9, "orange", seed=51)
    draw_pictures(folder / "_other", 5, "lime", seed=52)
    (folder / "export.json").write_text("{}")
    return folder


def labelled(dataset: Dataset, split: str) -> list[tuple[Path, str]]:
    """The photos of a split with their labels."""
    labels = list(dataset.class_indices)
    part = dataset.splits[split]
    return [(path, labels[target]) for path, target in zip(part.paths, part.targets, strict=True)]


@pytest.mark.parametrize("folder", ["split", "flat"])
def test_validation_and_test_are_the_same_with_and_without_corrections(request, folder, export):
    data = request.getfixturevalue(folder)
    before = read_dataset(data)
    after = add_corrections(before, export)
    for name in ("validation", "test"):
        assert labelled(after, name) == labelled(before, name)
    count = len(before.splits["train"].paths)
    assert labelled(after, "train")[:count] == labelled(before, "train")
    assert after.others.held_out[: len(before.others.held_out)] == before.others.held_out


def test_most_corrections_are_learned_and_the_others_held_out(split, export):
    before = read_dataset(split)
    after = add_corrections(before, export)
    assert list(after.class_indices) == ["Amber Light", "Blue Light", "Red Light"]
    learned = set(labelled(after, "train")) - set(labelled(before, "train"))
    labels = list(after.class_indices)
    held_out = {
        (path, labels[target])
        for path, target in zip(after.more.held_out.paths, after.more.held_out.targets, strict=True)
    }
    assert not learned & held_out
    assert len(learned | held_out) == 17
    assert 1 <= len(held_out) <= 7
    assert all(path.parent.name == label for path, label in learned | held_out)
    others = set(after.others.train) - set(before.others.train)
    assert after.more.learned == {path for path, _label in learned} | others
    assert len(after.others) == len(before.others) + 5
    assert {fault.what for fault in after.faults} == {"no photo in validation", "no photo in test"}


def test_decisions_about_test_photos_hold_when_a_new_label_changes_the_class_indices(split, export, tmp_path):
    (tmp_path / "decisions.csv").write_text(
        "path,decision,label\ntest/Blue Light/0.jpg,relabel,Red Light\ntest/Red Light/1.jpg,leave out,\n"
    )
    dataset = add_corrections(apply_decisions(read_dataset(split), split, tmp_path / "decisions.csv"), export)
    labels = [*dataset.class_indices, "left out"]
    assert [labels[index] for index in dataset.corrected["test"]] == [
        *("Red Light", "Blue Light", "Blue Light"),
        *("Red Light", "left out", "Red Light"),
    ]


def copy_smaller(source: Path, target: Path) -> None:
    """What a photo looks like after it was encoded once more."""
    with Image.open(source) as image:
        image.resize((150, 110)).save(target, quality=60)


def test_photos_that_are_there_already_are_not_learned_again(split, export):
    for name in ("train", "validation", "test"):
        copy_smaller(split / name / "Blue Light" / "1.jpg", export / "Blue Light" / f"{name}.jpg")
    copy_smaller(split / "test" / "Red Light" / "2.jpg", export / "_other" / "bird.jpg")
    dataset = add_corrections(read_dataset(split), export)
    found = {(fault.where, fault.why) for fault in dataset.faults if fault.remedy == "left out"}
    same = {
        (f"export/Blue Light/{name}.jpg", "the same as Blue Light/1.jpg") for name in ("train", "validation", "test")
    }
    assert found == same | {("export/_other/bird.jpg", "the same as Red Light/2.jpg")}
    used = {
        *dataset.splits["train"].paths,
        *dataset.more.held_out.paths,
        *dataset.others.train,
        *dataset.others.held_out,
    }
    assert not {"test.jpg", "bird.jpg"} & {path.name for path in used}


def test_a_photo_that_two_visitors_name_differently_teaches_neither(split, export):
    copy_smaller(export / "Blue Light" / "1.jpg", export / "Amber Light" / "claim.jpg")
    dataset = add_corrections(read_dataset(split), export)
    assert [(fault.what, fault.where) for fault in dataset.faults if fault.remedy == "left out"] == [
        ("one photo, two labels", "export/Amber Light/claim.jpg"),
        ("one photo, two labels", "export/Blue Light/1.jpg"),
    ]


def test_a_new_label_with_too_few_photos_is_left_out_and_a_known_one_is_not(split, export):
    draw_pictures(export / "Rare Light", 4, "pink")
    shutil.rmtree(export / "Blue Light")
    draw_pictures(export / "Blue Light", 1, "blue", seed=77)
    dataset = add_corrections(read_dataset(split), export)
    (fault,) = (fault for fault in dataset.faults if fault.remedy == "left out")
    assert (fault.what, fault.where) == ("new labels with fewer than 5 photos", "Rare Light")
    assert "Rare Light" not in dataset.class_indices
    assert not any(path.parent.name == "Rare Light" for path in dataset.more.held_out.paths)


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda export: shutil.rmtree(export), "is not a folder"),
        (lambda export: [shutil.rmtree(each) for each in export.iterdir() if each.is_dir()], "feedback export"),
        (lambda export: [each.write_bytes(b"no") for each in export.rglob("*.jpg")], "holds no photo to learn from: "),
        (lambda export: (export / "Blue Light").rename(export / "Blue\x1bLight"), "Name the species in words"),
    ],
    ids=["missing", "empty", "unreadable", "no label"],
)
def test_an_export_with_nothing_to_learn_from_is_refused(split, export, prepare, sentence):
    prepare(export)
    with pytest.raises(DataError, match=sentence):
        add_corrections(read_dataset(split), export)


# --- which corrections are held out


def photo(name: str, number: int) -> LabeledPhoto:
    """A photo like no other with another number."""
    pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype="uint8")
    image = Image.fromarray(pixels).resize((90, 90))
    return LabeledPhoto(Path("export/Robin") / name, Path(), "Robin", None, difference_hash(image))


def held_out_of(photos: list[LabeledPhoto]) -> set[str]:
    return {each.path.name for each in hold_out(photos)[1]}


def test_about_a_fifth_is_held_out_and_each_photo_stays_on_its_side_when_more_come():
    photos = [photo(f"{number}.jpg", number) for number in range(400)]
    held_out = held_out_of(photos)
    assert 0.7 * HELD_OUT < len(held_out) / 400 < 1.3 * HELD_OUT
    assert held_out_of(photos[:200]) == held_out & {each.path.name for each in photos[:200]}


def test_of_two_photos_one_is_learned_and_one_held_out_and_a_single_one_is_learned():
    for number in range(30):
        two = [photo(f"{number}a.jpg", 1), photo(f"{number}b.jpg", 2)]
        assert len(held_out_of(two)) == 1
        assert held_out_of(two[:1]) == set()
    assert held_out_of([]) == set()


def test_near_duplicates_are_on_the_same_side_and_what_was_learned_once_is_never_held_out():
    photos = [photo(f"{number}.jpg", number) for number in range(50)]
    held_out = held_out_of(photos)
    assert 2 < len(held_out) < 25
    for number in range(20):
        copies = [photo(f"copy {number} of {original}.jpg", original) for original in range(25)]
        now = held_out_of(photos + copies)
        assert {name for name in now if not name.startswith("copy")} <= held_out
        assert all((f"copy {number} of {original}.jpg" in now) == (f"{original}.jpg" in now) for original in range(25))


# --- what decides about a candidate


@pytest.mark.parametrize(
    ("fixed", "corrections", "objection"),
    [
        (Score(935, 937, 978), Score(3, 11, 14), ""),
        (Score(935, 935, 978), Score(3, 4, 14), ""),
        (Score(935, 934, 978), Score(3, 14, 14), "It is worse on test."),
        (Score(935, 978, 978), Score(3, 3, 14), "It is no better on the corrections that were held out."),
        (Score(935, 978, 978), Score(0, 0, 0), "No correction was held out, so nothing shows that it is better."),
        (Score(0, 0, 0), Score(0, 3, 3), "No photo of test has a label that both pairs know."),
    ],
)
def test_a_candidate_must_not_be_worse_on_test_and_must_be_better_on_corrections(fixed, corrections, objection):
    assert Comparison("test", fixed, 0, corrections).objection() == objection


def test_a_line_says_what_changed():
    comparison = Comparison("test", Score(935, 937, 978), 24, Score(3, 11, 14))
    assert str(comparison) == (
        "test 935 → 937 of 978 (without 24 whose labels only one of them knows), corrections held out 3 → 11 of 14"
    )
