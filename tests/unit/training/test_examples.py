"""training/examples.py: which photos are copied for the site to show, and how."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference import MODEL_FILE
from inference.examples import EXAMPLES_FILE, EXAMPLES_FOLDER, load_examples
from tests.support.drawings import draw_goldfinch
from training.data import Dataset, MorePhotos, Split
from training.examples import EXAMPLE_SIZE, choose_examples, remove_examples, write_examples

SHA256 = "5eed" * 16


def split(targets: list[int], name: str = "") -> Split:
    return Split([Path(f"{name}{number}.jpg") for number in range(len(targets))], np.array(targets, dtype="int32"))


def answers(*confidences: tuple[int, float], classes: int = 3) -> np.ndarray:
    """Probabilities of answers, each given as the label and its confidence; the other labels share the rest."""
    rows = np.empty((len(confidences), classes))
    for row, (label, confidence) in zip(rows, confidences, strict=True):
        row[:] = (1 - confidence) / (classes - 1)
        row[label] = confidence
    return rows


def names(chosen: list[list[Path]]) -> list[list[str]]:
    return [[path.name for path in paths] for paths in chosen]


def test_the_surest_correct_answers_on_held_out_photos_are_chosen():
    splits = {"train": split([0, 1, 2], "t"), "validation": split([0, 0, 0, 1, 2], "v"), "test": split([0, 0, 1], "e")}
    probabilities = {
        "validation": answers((0, 0.8), (0, 0.99), (1, 0.99), (1, 0.6), (2, 0.9)),  # the third is wrong
        "test": answers((0, 0.9), (0, 0.7), (1, 0.7)),
    }
    dataset = Dataset({"a": 0, "b": 1, "c": 2}, splits, [])
    chosen = choose_examples(dataset, probabilities, pytest.fail, sure_from=0.65)
    assert names(chosen) == [["v1.jpg", "e0.jpg", "v0.jpg"], ["e2.jpg"], ["v4.jpg"]]


def test_only_where_no_held_out_photo_is_named_correctly_photos_that_were_learned_from_are_chosen():
    splits = {"train": split([0, 1, 1, 2, 1], "t"), "validation": split([0, 1, 2], "v")}
    asked = []

    def answers_for(photos: Split) -> np.ndarray:
        asked.extend(path.name for path in photos.paths)
        return answers((1, 0.8), (1, 0.9), (2, 0.9), (0, 0.9))

    dataset = Dataset({"a": 0, "b": 1, "c": 2}, splits, [])
    validation = answers((0, 0.9), (0, 0.9), (2, 0.4))  # the second is wrong, the third not sure
    chosen = choose_examples(dataset, {"validation": validation}, answers_for, sure_from=0.65)
    assert asked == ["t1.jpg", "t2.jpg", "t3.jpg", "t4.jpg"]
    assert names(chosen) == [["v0.jpg"], ["t2.jpg", "t1.jpg"], ["t3.jpg"]]


def test_photos_of_visitors_are_not_shown():
    splits = {"train": split([0, 1, 1, 2], "t"), "validation": split([0], "v")}
    visitors = MorePhotos(frozenset({Path("t2.jpg"), Path("t3.jpg")}), split([1, 2], "h"))
    dataset = Dataset({"a": 0, "b": 1, "c": 2}, splits, [], more=visitors)
    answered = {"validation": answers((0, 0.9))}
    assert names(choose_examples(dataset, answered, lambda _photos: answers((1, 0.9)), 0.65)) == [
        ["v0.jpg"],
        ["t1.jpg"],
        [],
    ]
    only_theirs = MorePhotos(frozenset({Path("t1.jpg")}) | visitors.learned, visitors.held_out)
    dataset = Dataset({"a": 0, "b": 1, "c": 2}, splits, [], more=only_theirs)
    assert names(choose_examples(dataset, answered, pytest.fail, 0.65)) == [["v0.jpg"], [], []]


def test_a_network_that_diverged_has_no_examples():
    dataset = Dataset({"a": 0, "b": 1}, {"train": split([0, 1], "t"), "validation": split([0, 1], "v")}, [])
    nothing = np.full((2, 2), np.nan)
    assert choose_examples(dataset, {"validation": nothing}, lambda _photos: nothing, sure_from=0) == [[], []]


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photo in a folder whose name leads elsewhere, with metadata."""
    path = tmp_path / "data" / "...Owl" / "1.jpg"
    path.parent.mkdir(parents=True)
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"  # where it was taken
    draw_goldfinch(640, 480).save(path, exif=exif, comment=b"by A. N. Other")
    return path


@pytest.fixture
def models(tmp_path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def test_the_app_finds_small_copies_without_metadata(models, photo):
    write_examples(models, SHA256, [[], [photo, photo]])
    examples = load_examples(models / MODEL_FILE, SHA256)
    assert [examples.numbers(index) for index in range(3)] == [[], [1, 2], []]
    with Image.open(io.BytesIO(examples.read(1, 2))) as image:
        assert (image.format, image.size) == ("JPEG", (EXAMPLE_SIZE, EXAMPLE_SIZE * 3 // 4))
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert sorted(path.name for path in (models / EXAMPLES_FOLDER).iterdir()) == [
        "5eed5eed-1-1.jpg",
        "5eed5eed-1-2.jpg",
        EXAMPLES_FILE,
    ]


def test_examples_of_an_earlier_model_are_removed_and_nothing_else(models, photo):
    remove_examples(models)  # there are none
    write_examples(models, SHA256, [[photo]])
    remove_examples(models)
    assert list(models.iterdir()) == []
    write_examples(models, SHA256, [[photo]])
    notes = models / EXAMPLES_FOLDER / "notes.txt"
    notes.write_text("mine")
    remove_examples(models)
    assert list((models / EXAMPLES_FOLDER).iterdir()) == [notes]


def test_examples_without_their_list_after_a_training_that_was_interrupted_are_removed(models, photo):
    write_examples(models, SHA256, [[photo]])
    (models / EXAMPLES_FOLDER / EXAMPLES_FILE).unlink()
    remove_examples(models)
    assert list(models.iterdir()) == []
