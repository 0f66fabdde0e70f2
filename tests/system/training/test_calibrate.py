"""python -m training.calibrate: a pair gets its verdicts without training."""

import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from inference import LABELS_FILE, MODEL_FILE
from inference.classifier import Classifier
from inference.loader import load_classifier
from inference.options import NetworkOptions
from inference.pair import check_pair
from inference.photo import open_photo
from inference.verdicts_file import VERDICTS_FILE
from tests.support.pictures import draw_pictures
from tests.support.servers import ROOT

LABELS = {"blue": 0, "orange": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, (split, count) in enumerate([("train", 12), ("validation", 12), ("test", 10)]):
        for color in LABELS:
            draw_pictures(folder / split / color, count, color, seed)
    draw_pictures(folder / "_other" / "birds" / "green", 30, "lime", 3)
    return folder


def save(folder: Path, network: keras.Model) -> None:
    folder.mkdir()
    network.save(folder / MODEL_FILE)
    np.save(folder / LABELS_FILE, LABELS)


def color_network(strength: float = 20) -> keras.Model:
    """A network whose features are the mean colors of a photo, and whose answer is the stronger of blue and red."""
    images = keras.Input((224, 224, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(16)(images))
    dense = layers.Dense(2, activation="softmax")
    network = keras.Model(images, dense(pooled))
    dense.set_weights([np.array([[0, strength], [0, 0], [strength, 0]], "float32"), np.zeros(2, "float32")])
    return network


def calibrate(*arguments: str | Path) -> tuple[int, str]:
    """Exit status, and what was printed."""
    command = [sys.executable, "-m", "training.calibrate", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stderr


def load(pair: Path, **options: object) -> Classifier:
    """The pair as the app loads it."""
    return load_classifier(check_pair(pair / MODEL_FILE, pair / LABELS_FILE), NetworkOptions(**options))


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory, data) -> tuple[Path, str]:
    """A pair with verdicts, and what the command printed."""
    pair = tmp_path_factory.mktemp("calibrated") / "pair"
    save(pair, color_network())
    status, said = calibrate(pair, data)
    assert status == 0, said
    return pair, said


def test_the_command_says_how_well_the_verdicts_work(calibrated):
    pair, said = calibrated
    assert "has no verdicts" not in said
    assert "other birds" in said
    assert said.splitlines()[-1] == f"Written: {pair / VERDICTS_FILE}"


def test_a_pair_with_verdicts_tells_its_labels_from_other_things(calibrated, data):
    pair, _said = calibrated
    classifier = load(pair)
    known, others = (
        [classifier.classify(open_photo(path).pixels()) for path in sorted(data.glob(pattern))]
        for pattern in ("test/*/*.jpg", "_other/birds/green/*.jpg")
    )
    assert np.mean([answer.verdict.names_species for answer in known]) >= 0.8
    assert not any(answer.verdict.names_species for answer in others)


def test_a_classifier_that_may_refuse_nobody_refuses_nobody(calibrated, data):
    answer = load(calibrated[0], strictness=0.0).classify(open_photo(data / "_other/birds/green/0.jpg").pixels())
    assert answer.verdict.names_species


def test_answers_of_a_batch_have_the_verdicts_of_single_answers(calibrated, data):
    classifier = load(calibrated[0])
    paths = [*sorted(data.glob("test/*/*.jpg"))[::5], *sorted(data.glob("_other/birds/green/*.jpg"))[:2]]
    pixels = np.stack([open_photo(path).pixels() for path in paths])
    batch, single = classifier.classify_batch(pixels), [classifier.classify(each) for each in pixels]
    assert [answer.verdict for answer in batch] == [answer.verdict for answer in single]
    for one, other in zip(batch, single, strict=True):
        assert one.familiarity.species == pytest.approx(other.familiarity.species, abs=1e-3)


def test_without_verdicts_the_app_answers_and_says_how_to_get_them(tmp_path, caplog):
    save(tmp_path / "pair", color_network())
    answer = load(tmp_path / "pair").classify(np.zeros((224, 224, 3), "uint8"))
    assert (answer.verdict, answer.likely, answer.familiarity) == (None, 1, None)
    [line] = [message for message in caplog.messages if "verdicts" in message]
    assert f"run python -m training.calibrate {tmp_path / 'pair'} DATA" in line


def test_the_verdicts_of_another_network_are_not_used(calibrated, tmp_path, caplog):
    save(tmp_path / "pair", color_network(strength=21))
    shutil.copy(calibrated[0] / VERDICTS_FILE, tmp_path / "pair")
    assert load(tmp_path / "pair").classify(np.zeros((224, 224, 3), "uint8")).verdict is None
    [line] = [message for message in caplog.messages if "verdicts" in message]
    assert "belongs to another model" in line


def test_verdicts_for_another_number_of_features_are_not_used(calibrated, tmp_path, caplog):
    shutil.copytree(calibrated[0], tmp_path / "pair")
    with np.load(tmp_path / "pair" / VERDICTS_FILE) as file:
        arrays = dict(file)
    np.savez(tmp_path / "pair" / VERDICTS_FILE, **{**arrays, "prototypes": arrays["prototypes"][:, :2]})
    assert load(tmp_path / "pair").classify(np.zeros((224, 224, 3), "uint8")).verdict is None
    [line] = [message for message in caplog.messages if "verdicts" in message.lower()]
    assert line.endswith("are ignored: they are for another number of features.")


def test_what_is_wrong_is_said_in_one_line(calibrated, data, tmp_path):
    status, said = calibrate(tmp_path / "nothing", data)
    assert (status, said.splitlines()[-1].startswith(f"calibrate: {tmp_path / 'nothing'}")) == (1, True)
    status, said = calibrate(calibrated[0], tmp_path / "no photos")
    assert (status, said.splitlines()[-1]) == (
        1,
        f"calibrate: {tmp_path / 'no photos'} is not a folder. Put your photos into a folder: "
        f"{tmp_path / 'no photos'}/<label>/.",
    )
    headless = tmp_path / "headless"
    flat = [keras.Input((224, 224, 3)), layers.AveragePooling2D(56), layers.Flatten(), layers.Dense(2, "softmax")]
    save(headless, keras.Sequential(flat))
    status, said = calibrate(headless, data)
    assert (status, said.splitlines()[-1]) == (
        1,
        f"calibrate: {headless / MODEL_FILE} can have no verdicts: The network does not end in global average pooling "
        "and one dense layer.",
    )
    assert not (headless / VERDICTS_FILE).exists()
