"""inference/pair.py: a pair is loaded as it was checked, or not at all."""

import contextlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest

from inference.digest import sha256
from inference.errors import PairError
from inference.loader import load_classifier
from inference.pair import Pair, check_pair

KERAS2 = Path(__file__).parents[2] / "support" / "keras2"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A pair that has been checked."""
    shutil.copy(KERAS2 / "model.h5", tmp_path)
    shutil.copy(KERAS2 / "class_indices.npy", tmp_path)
    return check_pair(tmp_path / "model.h5", tmp_path / "class_indices.npy")


def test_a_classifier_has_the_labels_and_the_sha256_of_the_files_that_were_checked(pair):
    classifier = load_classifier(pair)
    assert classifier.labels == pair.labels == tuple(f"bird {index}" for index in range(10))
    assert classifier.sha256 == pair.sha256 == sha256(pair.model_file)
    assert classifier.classify(np.zeros((224, 224, 3), "uint8")).model == pair.sha256


def test_a_pair_that_cannot_be_used_is_refused_before_tensorflow_is_needed(tmp_path, pair):
    with pytest.raises(PairError, match=r"labels\.npy is missing"):
        check_pair(pair.model_file, tmp_path / "labels.npy")
    with pytest.raises(PairError, match=r"other\.h5 is missing"):
        check_pair(tmp_path / "other.h5", pair.labels_file)


def test_labels_that_were_not_saved_with_the_model_are_refused(pair):
    manifest = {"model_sha256": pair.sha256, "labels_sha256": sha256(pair.labels_file)}
    pair.model_file.with_name("pair.json").write_text(json.dumps(manifest))
    assert check_pair(pair.model_file, pair.labels_file) == pair
    np.save(pair.labels_file, {f"other {index}": index for index in range(10)})
    with pytest.raises(PairError, match=r"class_indices\.npy .*labels"):
        check_pair(pair.model_file, pair.labels_file)


@pytest.mark.parametrize("name", ["model.h5", "class_indices.npy"])
def test_a_file_that_is_replaced_after_the_check_stops_the_start(pair, name):
    path = pair.model_file.with_name(name)
    new = path.with_name("new")
    shutil.copy2(path, new)  # even with the same time of change
    os.replace(new, path)
    with pytest.raises(PairError, match=rf"{name} was replaced while it was being loaded; start again\.$"):
        load_classifier(pair)


def test_a_file_that_is_overwritten_or_removed_after_the_check_stops_the_start(pair):
    pair.model_file.write_bytes(b"half of a file")
    with pytest.raises(PairError, match=r"model\.h5 was replaced while it was being loaded"):
        load_classifier(pair)
    pair.model_file.unlink()
    with pytest.raises(PairError, match=r"model\.h5 was replaced while it was being loaded"):
        load_classifier(pair)


def test_a_file_that_is_replaced_during_the_loading_stops_the_start(pair, monkeypatch):
    load_model = keras.models.load_model

    def load_while_training_saves(*arguments, **options):
        model = load_model(*arguments, **options)
        np.save(pair.labels_file, {f"other {index}": index for index in range(10)})
        return model

    monkeypatch.setattr(keras.models, "load_model", load_while_training_saves)
    with pytest.raises(PairError, match=r"class_indices\.npy was replaced while it was being loaded"):
        load_classifier(pair)


def test_a_check_that_is_ended_from_outside_finds_no_damage(pair):
    def end_check() -> None:
        running: list[psutil.Process] = []
        while not running:
            for process in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    running += [process] if "inference.keras_files.model_file" in process.cmdline() else []
        running[0].terminate()

    with ThreadPoolExecutor() as pool:
        ended = pool.submit(end_check)
        assert check_pair(pair.model_file, pair.labels_file) == pair
        ended.result()
