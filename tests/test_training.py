"""training/: labelled photographs in, a model pair out."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from inference import CARD_FILE, LABELS_FILE, MODEL_FILE, REPORT_FILE
from inference.card import load_card, sha256
from inference.classifier import Classifier
from inference.photo import Photo, open_photo
from training import recipe
from training.batches import AUGMENTATION, Batches, augment, shown_small
from training.checkpoint import Best, Checkpoint, CheckpointError, State
from training.data import Split, read_dataset
from training.network import classification_head, divide_logits, whole_network

from .drawings import draw_goldfinch
from .pictures import draw_pictures
from .servers import ROOT


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder to train on: two labels, three splits, one broken file."""
    folder = tmp_path_factory.mktemp("data")
    for seed, (split, count) in enumerate([("train", 18), ("validation", 3), ("test", 3)]):
        draw_pictures(folder / split / "Blue <i>Light", count, "blue", seed)
        draw_pictures(folder / split / "Amber Light", count, "orange", seed)
    (folder / "train" / "Amber Light" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def splits(data) -> dict[str, Split]:
    return read_dataset(data).splits


# --- the pictures that the network sees


def batches(splits: dict[str, Split], **options: object) -> Batches:
    return Batches(splits["train"], 2, 32, batch_size=10, **options)


def test_pictures_that_are_judged_are_the_pixels_that_the_app_would_make(splits):
    judged = batches(splits, augmented=False)
    assert len(judged) == 4  # 10, 10, 10 and 6 pictures
    pictures, targets = judged[3]
    assert (pictures.shape, pictures.dtype) == ((6, 32, 32, 3), np.float32)
    assert targets.tolist() == [[0, 1]] * 6
    expected = open_photo(judged.split.paths[30]).pixels(32) / np.float32(255)
    np.testing.assert_array_equal(pictures[0], expected)


def test_pictures_to_learn_from_are_shuffled_and_changed_anew_each_epoch_and_the_same_each_time(splits):
    first, second = batches(splits, augmented=True), batches(splits, augmented=True)
    assert len(first) == 3  # whole batches only
    pictures, targets = first[0]
    np.testing.assert_array_equal(pictures, second[0][0])
    assert len({tuple(target) for target in targets}) == 2
    first.on_epoch_end()
    assert not np.array_equal(pictures, first[0][0])
    np.testing.assert_array_equal(first[0][0], batches(splits, augmented=True, epoch=1)[0][0])


def test_an_augmented_picture_has_the_wanted_size_and_shows_the_bird_or_part_of_it():
    bird = Photo(draw_goldfinch(240, 180), (240, 180))
    changed = [augment(bird, 96, random.Random(seed)) for seed in range(60)]
    assert {image.size for image in changed} == {(96, 96)}
    assert all(np.asarray(image).std() > 10 for image in changed)
    assert len({image.tobytes() for image in changed}) == 60


def test_some_birds_are_shown_small_anywhere_in_the_frame_but_never_smaller_than_can_be_seen():
    red = Image.new("RGB", (300, 200), "red")
    red.paste("blue", (0, 0, 300, 200))
    red.paste("red", (20, 20, 280, 180))  # a red bird in a blue frame, which fills what is around it
    for size, smallest in ((224, AUGMENTATION["smallest"]), (128, AUGMENTATION["smallest_pixels"] / 128)):
        shares, centres = [], []
        for seed in range(80):
            shown = np.asarray(shown_small(red, size, random.Random(seed))).astype(int)
            reddish = (shown[..., 0] > 200) & (shown[..., 2] < 50)
            rows, columns = np.nonzero(reddish)
            shares.append(np.sqrt((np.ptp(rows) + 1) * (np.ptp(columns) + 1)) / size)
            centres.append(rows.mean() / size)
        assert min(shares) > 0.75 * smallest  # the bird is 0.83 of its picture's side
        assert min(shares) < 0.6
        assert max(shares) > 0.75
        assert min(centres) < 0.45
        assert max(centres) > 0.55


# --- the recipe


def test_rare_labels_weigh_more_and_a_picture_weighs_one_on_average():
    train = Split([], np.array([0] * 90 + [1] * 10))
    weights = recipe.class_weights(train, 2)
    assert (90 * weights[0] + 10 * weights[1]) / 100 == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(9**recipe.CLASS_WEIGHT)


def test_the_pictures_grow_through_the_last_stage_and_end_at_the_size_that_the_app_uses():
    head, fine_tuning = recipe.stages("some.weights.h5", 16)
    assert (head.frozen_through, fine_tuning.frozen_through) == ("mixed8", recipe.FROZEN_IN_FINE_TUNING)
    assert list(fine_tuning.sizes) == sorted(fine_tuning.sizes)
    assert (fine_tuning.epochs, fine_tuning.sizes[-1]) == (16, 224)
    assert recipe.stages("imagenet", 4)[0].frozen_through == "mixed10"
    (everything,) = recipe.stages("none", 1)
    assert (everything.frozen_through, everything.sizes) == (None, (224,))
    assert recipe.stages("none", 2)[0].sizes == (160, 224)


def small_training(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.small_training", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory, data) -> tuple[Path, str]:
    """The checkpoint of a small training that nothing happened to, and how it ended."""
    path = tmp_path_factory.mktemp("unharmed") / "checkpoint.h5"
    ended = small_training(data, path)
    assert ended.returncode == 0, ended.stderr
    return path, ended.stdout


def test_a_training_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path, data, unharmed):
    _path, ended = unharmed
    assert ended.split()[:2] == ["1", "3"]  # stage, epoch
    # Amid an epoch, while the first checkpoint of the second stage is written, amid the first epoch of that stage (the
    # checkpoint then says that none of it is done), while its checkpoint is written, and amid the last epoch.
    for moment in (("batch", 3), ("save", 4), ("batch", 4), ("save", 1), ("batch", 8)):
        assert small_training(data, tmp_path / "killed.h5", *moment).returncode == -signal.SIGKILL
    assert small_training(data, tmp_path / "killed.h5").stdout == ended


def test_the_weights_that_are_kept_are_those_that_were_judged_best(unharmed):
    path, ended = unharmed
    kept = re.search(r"top1=([\d.]+), loss=[\d.]+\) 5 ([\d.]+) ", ended)
    assert float(kept[1]) == pytest.approx(float(kept[2]))
    state = Checkpoint(path, "the same").read()
    assert state.best.top1 == max(row["val_top1"] for row in state.history)


def test_a_better_score_or_a_smaller_loss_is_better_in_whatever_stage():
    best = Best(stage=1, epoch=2, top1=0.8, loss=1.0)
    assert best.beats(None)
    assert best.beats(Best(stage=1, epoch=1, top1=0.8, loss=1.1))
    assert not best.beats(best)
    assert not best.beats(Best(stage=0, epoch=1, top1=0.81, loss=1.1))


def test_a_stage_ends_when_validation_has_not_become_better_for_long():
    def state(stage: int, scores: list[float]) -> State:
        rows = [{"stage": 1, "val_top1": score, "val_loss": 1.0} for score in scores]
        return State(stage, len(scores), [{"stage": 0, "val_top1": 0.99, "val_loss": 0.1}, *rows])

    assert recipe.ended_early(state(1, [0.5, 0.8] + [0.8] * recipe.PATIENCE))
    assert not recipe.ended_early(state(1, [0.5, 0.8] + [0.8] * (recipe.PATIENCE - 1)))
    assert not recipe.ended_early(state(1, [0.5, 0.8] + [0.7] * (recipe.PATIENCE - 1) + [0.81]))
    assert not recipe.ended_early(state(2, [0.8] * 20))
    assert not recipe.ended_early(State())


def test_a_checkpoint_of_another_training_or_a_broken_one_is_refused(tmp_path, data, unharmed):
    path = tmp_path / "checkpoint.h5"
    assert Checkpoint(path, "the same").read() is None
    path.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"cannot be read\. Add --fresh to begin again"):
        Checkpoint(path, "the same").read()
    shutil.copy(unharmed[0], path)
    with h5py.File(path, "r+") as file:
        del file["optimizer"]["00003"]
    assert "cannot be read. Add --fresh" in small_training(data, path).stderr
    with pytest.raises(CheckpointError, match="belongs to a training with other pictures or options"):
        Checkpoint(path, "another").read()


# --- the network


def test_a_temperature_in_the_last_layer_changes_the_confidence_and_not_the_answer():
    network = whole_network(
        keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3)]), classification_head(5), 32
    )
    pictures = np.random.default_rng(0).random((6, 32, 32, 3), dtype="float32")
    before = np.log(network.predict(pictures, verbose=0))
    divide_logits(network, 0.5)
    after = np.log(network.predict(pictures, verbose=0))
    np.testing.assert_allclose(after - after[:, :1], 2 * (before - before[:, :1]), atol=1e-5)


# --- the command


def training(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "training", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def train(*arguments: str | Path) -> tuple[int, str]:
    """Exit status, and what was said."""
    process = training(*arguments)
    said = process.communicate(timeout=600)[1]
    return process.returncode, said


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, data):
    status, said = train(tmp_path)
    assert status == 1
    assert said.splitlines()[-1].startswith(f"training: {tmp_path} holds no pictures.")
    status, said = train(data, "--weights", tmp_path / "none.weights.h5", "--output", tmp_path / "models")
    assert status == 1
    assert "cannot be read: 1, left out\n    train/Amber Light/broken.jpg  The file is not a picture." in said
    assert said.splitlines()[-1].startswith(f"training: The weights {tmp_path}/none.weights.h5 cannot be loaded")
    (tmp_path / "file").touch()
    status, said = train(data, "--output", tmp_path / "file")
    assert (status, said.splitlines()[-1]) == (1, f"training: {tmp_path}/file cannot be made: File exists.")
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """Weights to start from."""
    weights = tmp_path_factory.mktemp("start") / "start.weights.h5"
    keras.applications.InceptionV3(weights=None, include_top=False).save_weights(weights)
    return weights


def say_after(process: subprocess.Popen[str], words: str, signal_number: int) -> str:
    """Send a signal once the process has said these words; all that it said."""
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal_number)
    return said + process.communicate(timeout=300)[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data, start) -> tuple[Path, str]:
    """The folder that a training wrote which was interrupted and then came to its end; what that said."""
    models = tmp_path_factory.mktemp("trained") / "models"
    command = (data, "--weights", start, "--output", models, "--epochs", "1")

    process = training(*command)
    said = say_after(process, "the head, epoch 1 of 3", signal.SIGINT)
    assert process.returncode == 130, said
    assert f"{models} holds the best model so far, from epoch 1 of stage 1" in said
    assert "Traceback" not in said
    assert load_card(models / MODEL_FILE)["best_epoch"] == {"stage": 1, "epoch": 1}
    assert (models / "checkpoint.h5").is_file()

    status, said = train(*command)
    assert status == 0, said
    assert "Going on after epoch 1 of stage 1." in said
    assert "the head, epoch 1 of 3" not in said
    assert "fine-tuning, epoch 1 of 1" in said
    return models, said


def test_a_training_leaves_the_pair_its_card_and_its_report_and_nothing_else(trained):
    models, _ = trained
    assert sorted(path.name for path in models.iterdir()) == [MODEL_FILE, LABELS_FILE, CARD_FILE, REPORT_FILE]


def test_the_app_gives_the_answers_that_the_card_counts(trained, data):
    models, said = trained
    card = load_card(models / MODEL_FILE)
    pair = Classifier(models / MODEL_FILE, models / LABELS_FILE)
    assert list(pair.labels) == card["labels"] == ["Amber Light", "Blue <i>Light"]
    for split in ("validation", "test"):
        pictures = sorted((data / split).glob("*/*.jpg"))
        right = [pair.classify(open_photo(path).pixels()).label == path.parent.name for path in pictures]
        assert card["accuracy"][split] == {"top1": pytest.approx(np.mean(right)), "top5": 1.0}
        assert f"{split}: top-1 {100 * np.mean(right):.2f} %, top-5 100.00 %" in said


def test_the_card_says_what_the_network_was_made_of(trained):
    models, _ = trained
    card = json.loads((models / CARD_FILE).read_text(encoding="utf-8"))
    assert card["model"]["sha256"] == sha256(models / MODEL_FILE)
    assert card["pictures"] == {"train": 36, "validation": 6, "test": 6}
    assert card["left_out"] == {"cannot be read": 1}
    assert [species["train"]["pictures"] for species in card["species"]] == [18, 18]
    assert [species["held_out"]["pictures"] for species in card["species"]] == [6, 6]
    assert len(card["history"]) == 4
    assert card["calibration"]["temperature"] > 0
    assert set(card["calibration"]["expected_calibration_error"]) == {"validation", "test"}
    assert card["versions"]["keras"] == keras.__version__
    assert card["seed"] == 0
    assert card["recipe"]["weights"] == "start.weights.h5"  # and not where it lay


def test_the_report_holds_everything_itself_and_escapes_what_labels_hold(trained):
    models, _ = trained
    page = (models / REPORT_FILE).read_text(encoding="utf-8")
    assert "Blue &lt;i&gt;Light" in page
    assert "<i>Light" not in page
    assert page.count("data:image/svg+xml;base64,") == 3
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert "train/Amber Light/broken.jpg" in page
