"""training/: labelled photographs in, a model pair out."""

import random
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from inference import LABELS_FILE, MODEL_FILE
from inference.classifier import Classifier
from inference.photo import open_photo
from training.data import Batches, DataError, augment, read_class_indices, read_split

from .drawings import draw_goldfinch
from .servers import ROOT


def make_pictures(folder: Path, label: str, count: int, colour: str) -> None:
    """Pictures of the drawn bird in the light of one colour."""
    (folder / label).mkdir(parents=True)
    bird = draw_goldfinch(240, 180)
    for number in range(count):
        tinted = Image.blend(bird, Image.new("RGB", bird.size, colour), 0.3 + 0.05 * number)
        tinted.save(folder / label / f"{number}.jpg")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder to train on: two labels, three splits."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in [("train", 8), ("validation", 3), ("test", 3)]:
        make_pictures(folder / split, "Blue Light", count, "blue")
        make_pictures(folder / split, "Amber Light", count, "orange")
    return folder


def batches(data: Path, **options: object) -> Batches:
    split = read_split(data / "train", read_class_indices(data))
    return Batches(split, 2, 32, batch_size=6, **options)


def test_labels_are_the_folders_in_alphabetical_order(data):
    assert read_class_indices(data) == {"Amber Light": 0, "Blue Light": 1}
    split = read_split(data / "train", read_class_indices(data))
    assert [path.parent.name for path in split.paths] == ["Amber Light"] * 8 + ["Blue Light"] * 8
    assert split.targets.tolist() == [0] * 8 + [1] * 8


def test_a_folder_that_cannot_be_trained_on_is_refused(tmp_path, data):
    with pytest.raises(DataError, match="train is not a folder"):
        read_class_indices(tmp_path)
    make_pictures(tmp_path / "train", "Only", 1, "blue")
    with pytest.raises(DataError, match="holds 1 label folders"):
        read_class_indices(tmp_path)
    (tmp_path / "train" / "Empty").mkdir()
    with pytest.raises(DataError, match="labels without pictures: Empty"):
        read_class_indices(tmp_path)
    with pytest.raises(DataError, match="validation is not a folder"):
        read_split(tmp_path / "validation", {"Only": 0})
    with pytest.raises(DataError, match="labels that train does not: Amber Light"):
        read_split(data / "test", {"Blue Light": 0})


def test_pictures_that_are_judged_are_the_pixels_that_the_app_would_make(data):
    judged = batches(data, augmented=False)
    assert len(judged) == 3  # 6, 6 and 4 pictures
    pictures, targets = judged[2]
    assert (pictures.shape, pictures.dtype) == ((4, 32, 32, 3), np.float32)
    assert targets.tolist() == [[0, 1]] * 4
    expected = open_photo(judged.split.paths[12]).pixels(32) / np.float32(255)
    np.testing.assert_array_equal(pictures[0], expected)


def test_pictures_to_learn_from_are_shuffled_and_changed_anew_each_epoch_and_the_same_each_time(data):
    first, second = batches(data, augmented=True), batches(data, augmented=True)
    assert len(first) == 2  # whole batches only
    pictures, targets = first[0]
    np.testing.assert_array_equal(pictures, second[0][0])
    assert len({tuple(target) for target in targets}) == 2
    first.on_epoch_end()
    assert not np.array_equal(pictures, first[0][0])


def test_an_augmented_picture_has_the_wanted_size_and_shows_part_of_the_bird():
    bird = draw_goldfinch(240, 180)
    for seed in range(50):
        changed = augment(bird, 96, random.Random(seed))
        assert changed.size == (96, 96)
        assert np.asarray(changed).std() > 10


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    for label in ("a", "b"):
        make_pictures(tmp_path / "train", label, 1, "blue")
    (tmp_path / "train" / "b" / "0.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b/0\.jpg: The file is not a picture"):
        batches(tmp_path, augmented=False)[0]


def train(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, data):
    ended = train(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"training: {tmp_path}/train is not a folder.")
    for split in ("train", "validation"):
        for label in ("a", "b"):
            make_pictures(tmp_path / split, label, 1, "blue")
    (tmp_path / "validation" / "b" / "0.jpg").write_bytes(b"no picture")
    ended = train(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(
        f"training: {tmp_path}/validation/b/0.jpg: The file is not a picture"
    )
    assert "Traceback" not in ended.stderr
    ended = train(data, "--weights", tmp_path / "none.weights.h5", "--output", tmp_path / "models")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(
        f"training: The weights {tmp_path}/none.weights.h5 cannot be loaded"
    )
    assert "Traceback" not in ended.stderr


def test_both_stages_end_in_a_pair_that_the_app_loads_with_the_accuracy_that_was_printed(tmp_path, data):
    weights, models = tmp_path / "start.weights.h5", tmp_path / "models"
    keras.applications.InceptionV3(weights=None, include_top=False).save_weights(weights)
    ended = train(data, "--weights", weights, "--output", models, "--epochs", "1")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.index("Stage one") < ended.stderr.index("Stage two")
    assert sorted(path.name for path in models.iterdir()) == [MODEL_FILE, LABELS_FILE]
    pair = Classifier(models / MODEL_FILE, models / LABELS_FILE)
    assert pair.labels == ("Amber Light", "Blue Light")
    for split in ("train", "validation", "test"):
        pictures = sorted((data / split).glob("*/*.jpg"))
        right = [pair.classify(open_photo(path).pixels()).label == path.parent.name for path in pictures]
        (printed,) = re.findall(rf"^{split}: top-1 ([\d.]+) %, top-5 100.00 %$", ended.stderr, re.MULTILINE)
        assert float(printed) == pytest.approx(100 * np.mean(right), abs=0.01)
