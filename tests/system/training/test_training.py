"""training/: labelled photos in, a model pair out."""

import contextlib
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
from inference.compiled import COMPILED_FILE
from inference.digest import sha256
from inference.errors import PairError
from inference.examples import EXAMPLES_FOLDER, load_examples
from inference.loader import load_classifier
from inference.manifest import MANIFEST_FILE
from inference.model_card import load_model_card
from inference.pair import check_pair
from inference.photo import Photo, open_photo
from inference.verdicts_file import VERDICTS_FILE, load_verdicts, write_verdicts
from tests.support.drawings import draw_goldfinch
from tests.support.pictures import draw_pictures
from tests.support.servers import ROOT
from tests.support.small_training import small_network
from training import network as networks
from training import recipe
from training.__main__ import fingerprint
from training.batches import AUGMENTATION, Batches, augment, one_hot, shown_small
from training.calibrate import make_verdicts
from training.checkpoint import BestEpoch, Checkpoint, CheckpointError, State
from training.data import Dataset, Split, read_dataset
from training.examples import write_examples
from training.faults import BrokenOffError
from training.model_card import build_card, species_entries, write_card
from training.network import WeightsError, classification_head, divide_logits, whole_network
from training.pair import save_pair
from training.report import VerdictReport, write_report
from training.stages import Stage
from training.start import is_model, read_start


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder to train on: two labels, three splits, one broken file."""
    folder = tmp_path_factory.mktemp("data")
    for seed, (split, count) in enumerate([("train", 18), ("validation", 3), ("test", 3)]):
        draw_pictures(folder / split / "Blue <i>Light", count, "blue", seed)
        draw_pictures(folder / split / "002.Amber_Light", count, "orange", seed)
    (folder / "train" / "002.Amber_Light" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def splits(data) -> dict[str, Split]:
    return read_dataset(data).splits


# --- the images that the network sees


def batches(splits: dict[str, Split], **options: object) -> Batches:
    return Batches(splits["train"], 2, 32, batch_size=10, **options)


def test_photos_for_evaluation_are_the_pixels_that_the_app_would_make(splits):
    evaluated = batches(splits, augmented=False)
    assert len(evaluated) == 4  # 10, 10, 10 and 6 photos
    images, targets = evaluated[3]
    assert (images.shape, images.dtype) == ((6, 32, 32, 3), np.float32)
    assert targets.tolist() == [[0, 1]] * 6
    expected = open_photo(evaluated.split.paths[30]).pixels(32) / np.float32(255)
    np.testing.assert_array_equal(images[0], expected)


def test_photos_for_training_are_shuffled_and_augmented_anew_each_epoch_and_the_same_each_time(splits):
    first, second = batches(splits, augmented=True), batches(splits, augmented=True)
    assert len(first) == 3  # whole batches only
    images, targets, weights = first[0]
    assert weights.tolist() == [1] * 10
    np.testing.assert_array_equal(images, second[0][0])
    assert len({tuple(target) for target in targets}) == 2
    first.on_epoch_end()
    assert not np.array_equal(images, first[0][0])
    np.testing.assert_array_equal(first[0][0], batches(splits, augmented=True, epoch=1)[0][0])


def test_some_pictures_of_none_of_the_labels_are_in_each_batch_and_all_labels_are_equally_right_for_them(
    splits, tmp_path
):
    draw_pictures(tmp_path / "others", 5, "red")
    others = sorted((tmp_path / "others").iterdir())
    weights = np.array([0.5, 2], "float32")
    with_others = batches(splits, augmented=True, others=others, weights=weights)
    for images, targets, in_loss in map(with_others.__getitem__, range(3)):
        assert len(images) == 11
        assert images[10, ..., 0].mean() > images[10, ..., 2].mean() + 0.1  # red
        assert targets[10].tolist() == [0.5, 0.5]
        np.testing.assert_allclose(in_loss[:10], targets[:10] @ weights)
        assert in_loss[10] == 1
    assert {tuple(with_others._others(index)) for index in range(5)} == {(number,) for number in range(36, 41)}
    assert len(batches(splits, augmented=False, others=others).paths) == 36


def test_an_augmented_photo_has_the_wanted_size_and_shows_the_bird_or_part_of_it():
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
        assert min(shares) > 0.75 * smallest  # the bird is 0.83 of its image's side
        assert min(shares) < 0.6
        assert max(shares) > 0.75
        assert min(centres) < 0.45
        assert max(centres) > 0.55


# --- the recipe


def test_rare_labels_weigh_more_and_a_photo_weighs_one_on_average():
    train = Split([], np.array([0] * 90 + [1] * 10))
    weights = recipe.class_weights(train, 2)
    assert (90 * weights[0] + 10 * weights[1]) / 100 == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(9**recipe.CLASS_WEIGHT)


def test_the_images_grow_through_the_last_stage_and_end_at_the_size_that_the_app_uses():
    head, fine_tuning = recipe.stages("some.weights.h5", 16)
    assert (head.frozen_through, fine_tuning.frozen_through) == ("mixed8", recipe.FROZEN_IN_FINE_TUNING)
    assert list(fine_tuning.sizes) == sorted(fine_tuning.sizes)
    assert (fine_tuning.epochs, fine_tuning.sizes[-1]) == (16, 224)
    assert recipe.stages("imagenet", 4)[0].frozen_through == "mixed10"
    (everything,) = recipe.stages("none", 1)
    assert (everything.frozen_through, everything.sizes) == (None, (224,))
    assert recipe.stages("none", 2)[0].sizes == (160, 224)


def small_training(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.support.small_training", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data) -> tuple[Path, str]:
    """The checkpoint of a small training that was not disturbed, and what it printed at the end."""
    path = tmp_path_factory.mktemp("undisturbed") / "checkpoint.h5"
    ended = small_training(data, path)
    assert ended.returncode == 0, ended.stderr
    return path, ended.stdout


def test_a_training_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path, data, undisturbed):
    _path, ended = undisturbed
    assert ended.split()[:2] == ["1", "3"]  # stage, epoch
    # Amid an epoch, while the first checkpoint of the second stage is written, amid the first epoch of that stage (the
    # checkpoint then says that none of it is done), while its checkpoint is written, and amid the last epoch.
    for moment in (("batch", 3), ("save", 4), ("batch", 4), ("save", 1), ("batch", 8)):
        assert small_training(data, tmp_path / "killed.h5", *moment).returncode == -signal.SIGKILL
    assert small_training(data, tmp_path / "killed.h5").stdout == ended


def test_the_weights_that_are_kept_are_those_with_the_best_score(undisturbed):
    path, ended = undisturbed
    kept = re.search(r"top1=([\d.]+), loss=[\d.]+\) 5 ([\d.]+) ", ended)
    assert float(kept[1]) == pytest.approx(float(kept[2]))
    state = Checkpoint(path, "the same").read()
    assert state.best.top1 == max(row["val_top1"] for row in state.history)


def test_a_better_score_or_a_smaller_loss_is_better_in_whatever_stage():
    best = BestEpoch(stage=1, epoch=2, top1=0.8, loss=1.0)
    assert best.beats(None)
    assert best.beats(BestEpoch(stage=1, epoch=1, top1=0.8, loss=1.1))
    assert not best.beats(best)
    assert not best.beats(BestEpoch(stage=0, epoch=1, top1=0.81, loss=1.1))


def test_a_stage_ends_when_validation_has_not_improved_for_long():
    def state(stage: int, scores: list[float]) -> State:
        rows = [{"stage": 1, "val_top1": score, "val_loss": 1.0} for score in scores]
        return State(stage, len(scores), [{"stage": 0, "val_top1": 0.99, "val_loss": 0.1}, *rows])

    assert recipe.ended_early(state(1, [0.5, 0.8] + [0.8] * recipe.PATIENCE))
    assert not recipe.ended_early(state(1, [0.5, 0.8] + [0.8] * (recipe.PATIENCE - 1)))
    assert not recipe.ended_early(state(1, [0.5, 0.8] + [0.7] * (recipe.PATIENCE - 1) + [0.81]))
    assert not recipe.ended_early(state(2, [0.8] * 20))
    assert not recipe.ended_early(State())


def test_a_checkpoint_of_another_training_or_a_broken_one_is_refused(tmp_path, data, undisturbed):
    path = tmp_path / "checkpoint.h5"
    assert Checkpoint(path, "the same").read() is None
    path.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"cannot be read\. Add --fresh to start over"):
        Checkpoint(path, "the same").read()
    shutil.copy(undisturbed[0], path)
    with h5py.File(path, "r+") as file:
        del file["optimizer"]["00003"]
    assert "cannot be read. Add --fresh" in small_training(data, path).stderr
    with pytest.raises(CheckpointError, match="belongs to a training with other photos or options"):
        Checkpoint(path, "another").read()


def test_a_training_that_cannot_go_on_says_why(tmp_path, data):
    splits = read_dataset(shutil.copytree(data, tmp_path / "data")).splits

    def train_small(learning_rate: float) -> None:
        network, base = small_network()
        checkpoint, plan = Checkpoint(tmp_path / "checkpoint.h5", ""), [Stage("all", None, (32,), learning_rate)]
        recipe.train(network, base, plan, splits, State(), checkpoint)

    with pytest.raises(BrokenOffError, match=r"^the loss is no longer a number"):
        train_small(float("nan"))
    missing = splits["train"].paths[3]
    missing.unlink()
    with pytest.raises(BrokenOffError, match=f"^{re.escape(str(missing))} can no longer be read .No such file"):
        train_small(1e-2)


# --- the network


def test_a_photo_that_was_moved_to_another_label_makes_another_training(tmp_path):
    paths = [tmp_path / name / "2023" / "1.jpg" for name in ("a", "b", "c")]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.touch()

    def identity(targets: list[int]) -> str:
        splits = {"train": Split(paths, np.array(targets, dtype="int32"))}
        return fingerprint(Dataset({"a": 0, "b": 1}, splits, []), Path("none"), {})

    assert identity([0, 0, 1]) == identity([0, 0, 1]) != identity([0, 1, 1])


def test_a_training_goes_on_from_a_pair_with_all_that_it_knows_of_the_labels_that_stay(trained, tmp_path):
    models, _said = trained
    start = read_start(models / MODEL_FILE)
    assert start.labels == ("002.Amber_Light", "Blue <i>Light")
    assert start.knows_all({"Blue <i>Light": 0})
    labels = {"002.Amber_Light": 0, "A new one": 1, "Blue <i>Light": 2}
    assert not start.knows_all(labels)
    network = whole_network(start.base, classification_head(3), 96)
    start.fill_head(network, labels)
    image = np.random.default_rng(0).random((1, 96, 96, 3), dtype="float32")
    old = keras.models.load_model(models / MODEL_FILE, compile=False)
    expected = whole_network(start.base, classification_head(2), 96)
    expected.set_weights(old.get_weights())
    shares = network.predict(image, verbose=0)[0]
    np.testing.assert_allclose(
        shares[2] / shares[0], np.divide(*expected.predict(image, verbose=0)[0][::-1]), rtol=1e-4
    )
    new, no_new = recipe.further_stages(2, new_labels=True), recipe.further_stages(2, new_labels=False)
    assert [stage.name for stage in new] == ["the head", "fine-tuning"]
    assert no_new == new[1:]
    assert no_new[0].sizes == (224, 224)


def test_a_training_from_a_pair_begins_with_the_confidence_that_its_loss_asks_for(trained, data):
    start = read_start(trained[0] / MODEL_FILE)
    dataset = read_dataset(data)
    validation = start.known(dataset.splits["validation"], dataset.class_indices)
    assert (validation.paths, validation.targets.tolist()) == (
        dataset.splits["validation"].paths,
        dataset.splits["validation"].targets.tolist(),
    )
    half = len(validation.paths) // 2
    assert start.known(validation, {"A new one": 0, "Blue <i>Light": 1}).paths == validation.paths[half:]
    network = whole_network(start.base, classification_head(2), None)
    start.fill_head(network, dataset.class_indices)
    divide_logits(network, 0.1)  # ten times as sure
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.LABEL_SMOOTHING)
    losses = []
    for prepare in (lambda: None, lambda: recipe.undo_calibration(network, validation)):
        prepare()
        losses.append(float(loss(one_hot(validation.targets, 2), recipe.probabilities(network, validation))))
    assert losses[1] < losses[0]


def test_a_network_of_another_kind_is_nothing_to_go_on_from(tmp_path):
    network = keras.Sequential(
        [keras.Input((224, 224, 3)), keras.layers.Conv2D(4, 9, 9), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    network.save(tmp_path / "another.h5")
    assert is_model(str(tmp_path / "another.h5"))
    with pytest.raises(WeightsError, match=r"class_indices\.npy"):
        read_start(tmp_path / "another.h5")
    np.save(tmp_path / LABELS_FILE, {"a": 0, "b": 1})
    with pytest.raises(WeightsError, match="is not an InceptionV3 with global pooling and one dense layer"):
        read_start(tmp_path / "another.h5")


def test_a_temperature_in_the_last_layer_changes_the_confidence_and_not_the_answer():
    network = whole_network(
        keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3)]), classification_head(5), 32
    )
    images = np.random.default_rng(0).random((6, 32, 32, 3), dtype="float32")
    before = np.log(network.predict(images, verbose=0))
    divide_logits(network, 0.5)
    after = np.log(network.predict(images, verbose=0))
    np.testing.assert_allclose(after - after[:, :1], 2 * (before - before[:, :1]), atol=1e-5)


# --- the command


def training(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "training", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def train(*arguments: str | Path) -> tuple[int, str]:
    """Exit status, and what was printed."""
    process = training(*arguments)
    said = process.communicate(timeout=600)[1]
    return process.returncode, said


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, data, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "empty").mkdir()
    status, said = train("~/empty")
    assert status == 1
    assert said.splitlines()[-1].startswith(f"training: {tmp_path}/empty holds no photos.")
    status, said = train(data, "--weights", tmp_path / "none.weights.h5", "--output", tmp_path / "models")
    assert status == 1
    assert "cannot be read: 1, left out\n    train/002.Amber_Light/broken.jpg  The file is not a picture." in said
    assert said.splitlines()[-1].startswith(f"training: The weights {tmp_path}/none.weights.h5 cannot be loaded")
    (tmp_path / "file").touch()
    status, said = train(data, "--output", tmp_path / "file")
    assert (status, said.splitlines()[-1]) == (1, f"training: {tmp_path}/file cannot be created: File exists.")
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """Weights to start from."""
    weights = tmp_path_factory.mktemp("start") / "start.weights.h5"
    keras.applications.InceptionV3(weights=None, include_top=False).save_weights(weights)
    return weights


def say_after(process: subprocess.Popen[str], words: str, signal_number: int) -> str:
    """Send a signal once the process has printed these words; all that it printed."""
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal_number)
    return said + process.communicate(timeout=300)[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data, start) -> tuple[Path, str]:
    """The folder written by a training that was interrupted and then finished; what the second run printed.

    Only the second one copies examples. Before the first one the folder holds examples of another model.
    """
    models = tmp_path_factory.mktemp("trained") / "models"
    models.mkdir()
    write_examples(models, "0" * 64, [sorted(data.glob("test/*/*.jpg"))[:1]])
    command = (data, "--weights", start, "--output", models, "--epochs", "1")

    process = training(*command)
    said = say_after(process, "the head, epoch 1 of 3", signal.SIGINT)
    assert process.returncode == 130, said
    assert f"{models} holds the best model so far, from epoch 1 of stage 1" in said
    assert "Traceback" not in said
    assert read_card(models)["best_epoch"] == {"stage": 1, "epoch": 1}
    assert not (models / EXAMPLES_FOLDER).exists()
    assert (models / "checkpoint.h5").is_file()

    status, said = train(*command, "--examples")
    assert status == 0, said
    assert "Continuing after epoch 1 of stage 1." in said
    assert "the head, epoch 1 of 3" not in said
    assert "fine-tuning, epoch 1 of 1" in said
    return models, said


def test_a_training_leaves_the_pair_its_manifest_its_card_its_report_and_its_examples_and_nothing_else(trained):
    models, _ = trained
    written = {CARD_FILE, REPORT_FILE, VERDICTS_FILE, COMPILED_FILE, EXAMPLES_FOLDER}
    expected = {MODEL_FILE, LABELS_FILE, MANIFEST_FILE} | written
    assert {path.name for path in models.iterdir()} == expected
    manifest = json.loads((models / MANIFEST_FILE).read_bytes())
    assert manifest == {
        "model_sha256": sha256(models / MODEL_FILE),
        "labels_sha256": sha256(models / LABELS_FILE),
    }


def test_a_photo_that_is_deleted_meanwhile_costs_no_epoch_that_is_done(trained, data, tmp_path):
    copy = shutil.copytree(data, tmp_path / "data")
    draw_pictures(copy / "_other", 3, "red")
    process = training(copy, "--weights", trained[0] / MODEL_FILE, "--output", tmp_path / "models", "--epochs", "3")
    said = ""
    while "fine-tuning, epoch 1 of 3" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    deleted = sorted((copy / "train").glob("*/*.jpg"))[:20]
    for path in deleted:
        path.unlink()
    said += process.communicate(timeout=300)[1]
    assert process.returncode == 1, said
    assert "_other: 3 pictures of none of the labels, 1 of them held out" in said
    assert re.search(r"Broken off: .*\.jpg can no longer be read \(No such file or directory\)", said)
    assert f"{tmp_path}/models holds the best model so far, from epoch " in said
    assert "Traceback" not in said
    check_pair(tmp_path / "models" / MODEL_FILE, tmp_path / "models" / LABELS_FILE)


def read_card(models: Path) -> dict:
    return json.loads((models / CARD_FILE).read_text(encoding="utf-8"))


def test_the_app_gives_the_answers_that_the_card_counts(trained, data):
    models, said = trained
    card = read_card(models)
    pair = check_pair(models / MODEL_FILE, models / LABELS_FILE)
    classifier = load_classifier(pair)
    assert list(pair.labels) == card["labels"] == ["002.Amber_Light", "Blue <i>Light"]
    for split in ("validation", "test"):
        photos = sorted((data / split).glob("*/*.jpg"))
        correct = [classifier.classify(open_photo(path).pixels()).label == path.parent.name for path in photos]
        assert card["accuracy"][split] == {"top1": pytest.approx(np.mean(correct)), "top5": 1.0}
        assert f"{split}: top-1 {100 * np.mean(correct):.2f} %, top-5 100.00 %" in said


def test_the_app_gives_verdicts_on_the_answers_of_a_trained_pair_and_the_report_says_how_well_they_work(trained, data):
    models, said = trained
    classifier = load_classifier(check_pair(models / MODEL_FILE, models / LABELS_FILE))
    answers = [classifier.classify(open_photo(path).pixels()) for path in sorted(data.glob("test/*/*.jpg"))]
    assert all(answer.verdict and answer.familiarity and 1 <= answer.likely <= 2 for answer in answers)
    assert "What is said of photos that the network did not learn from:" in said
    report = (models / REPORT_FILE).read_text(encoding="utf-8")
    assert "When it gives no answer" in report
    assert "How many pictures of anything else are refused was not measured" in report


def test_the_app_reads_the_metrics_that_training_wrote(trained):
    models, _ = trained
    card = load_model_card(models / MODEL_FILE, sha256(models / MODEL_FILE))
    written = read_card(models)
    assert card.metrics.top1 == written["accuracy"]["test"]["top1"]
    assert (card.metrics.training_photos, card.metrics.evaluation_photos) == (36, 6)
    assert [species.held_out_photos for species in card.metrics.species] == [6, 6]


def test_the_card_says_how_the_photos_that_were_named_wrongly_were_named(trained):
    models, _ = trained
    species = read_card(models)["species"]
    for each, other in (species, species[::-1]):
        wrong = round(6 * (1 - each["held_out"]["recall"]))
        assert each["confused_with"] == ({other["label"]: wrong} if wrong else {})


def test_the_confusion_of_each_species_is_counted_on_validation_and_test_together_the_most_frequent_first():
    splits = {
        name: Split([], np.array(targets, dtype="int32"))
        for name, targets in {"train": [0, 1, 2], "validation": [0, 0, 1], "test": [0, 0, 2]}.items()
    }
    answers = {"validation": np.eye(3)[[2, 1, 1]], "test": np.eye(3)[[0, 2, 0]]}
    entries = species_entries(Dataset({"a": 0, "b": 1, "../c": 2}, splits, []), answers)
    assert [(each.held_out.photos, list(each.confused_with.items())) for each in entries] == [
        (4, [("../c", 2), ("b", 1)]),
        (1, []),
        (1, [("a", 1)]),
    ]


def test_a_training_that_is_asked_for_examples_lists_those_of_its_model(trained):
    models, said = trained
    examples = load_examples(models / MODEL_FILE, sha256(models / MODEL_FILE))
    copied = sum(examples.listed.photos)  # often none: this network is hardly ever sure
    assert len(examples.listed.photos) == 2
    assert f"Examples: {copied} photo" in said
    assert len(list((models / EXAMPLES_FOLDER).iterdir())) == copied + 1


def test_the_card_says_what_the_network_was_made_of(trained):
    models, _ = trained
    card = read_card(models)
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
    assert card["recipe"]["weights"] == "start.weights.h5"  # and not its path


def test_the_report_holds_everything_itself_and_escapes_what_labels_hold(trained):
    models, _ = trained
    page = (models / REPORT_FILE).read_text(encoding="utf-8")
    assert "Blue &lt;i&gt;Light" in page
    assert "<i>Light" not in page
    assert "Amber Light" in page  # people read the name of the species
    assert page.count("data:image/svg+xml;base64,") == 4
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert "train/002.Amber_Light/broken.jpg" in page


# --- the pair


@pytest.mark.parametrize(("rename", "accepted"), [(1, "old"), (2, "old"), (3, None), (4, "new")])
def test_a_save_that_is_cut_short_leaves_a_pair_that_is_the_old_one_or_refused(tmp_path, monkeypatch, rename, accepted):
    def save(labels: list[str], bias: float) -> None:
        network = whole_network(
            keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3)]), classification_head(2), 32
        )
        network.layers[-1].set_weights([np.zeros((8, 2)), np.array([bias, 0])])
        save_pair(network, {label: index for index, label in enumerate(labels)}, model, labels_file)

    model, labels_file = tmp_path / MODEL_FILE, tmp_path / LABELS_FILE
    save(["Robin", "Wren"], 1.0)
    old = sha256(model)
    replace, calls = Path.replace, 0

    def cut_short(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == rename:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as context, contextlib.suppress(KeyboardInterrupt):
        context.setattr(Path, "replace", cut_short)
        save(["Wren", "Robin"], 2.0)
    if accepted is None:
        with pytest.raises(PairError, match="does not hold the labels that were saved with") as refusal:
            check_pair(model, labels_file)
        assert "\n" not in str(refusal.value)
    else:
        pair = check_pair(model, labels_file)
        assert (pair.sha256 == old, pair.labels) == {
            "old": (True, ("Robin", "Wren")),
            "new": (False, ("Wren", "Robin")),
        }[accepted]


# --- what differs from one machine or training to another


def test_bfloat16_is_chosen_where_the_processor_or_a_gpu_computes_in_it(monkeypatch):
    def fastest(has_bfloat16: bool, devices: list[str]) -> str:
        monkeypatch.setattr(networks, "has_bfloat16", lambda: has_bfloat16)
        monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
        return networks.fastest_precision()

    assert fastest(False, ["cpu:0"]) == "float32"
    assert fastest(True, ["cpu:0"]) == "mixed_bfloat16"
    assert fastest(False, ["cpu:0", "gpu:0"]) == "mixed_bfloat16"


def test_a_training_that_diverged_still_leaves_a_card_and_a_report(tmp_path, data):
    dataset = read_dataset(data)
    answers = {
        name: np.full((len(split.paths), 2), np.nan, dtype="float32")
        for name, split in dataset.splits.items()
        if name != "train"
    }
    epoch = {"stage": 0, "epoch": 1, "loss": float("nan"), "top1": 0.5, "val_loss": float("nan"), "val_top1": 0.5}
    state = State(0, 1, [epoch], BestEpoch(0, 1, 0.5, float("nan")))
    (tmp_path / MODEL_FILE).write_bytes(b"a model")
    card = build_card(tmp_path / MODEL_FILE, dataset, state, {}, 1.0, answers, answers["validation"])
    write_card(tmp_path / CARD_FILE, card)
    verdicts, results = make_verdicts(dataset, lambda pixels: (np.full((len(pixels), 8), np.nan, "float32"),) * 2)
    write_verdicts(tmp_path, card.model.sha256, verdicts)
    report = VerdictReport(verdicts.curve, results)
    write_report(tmp_path / REPORT_FILE, card, dataset, answers["test"], report, with_photos=True)
    written = read_card(tmp_path)
    assert written["history"] == [epoch | {"loss": None, "val_loss": None}]
    assert written["calibration"]["expected_calibration_error"] == {"validation": None, "test": None}
    assert load_model_card(tmp_path / MODEL_FILE, sha256(tmp_path / MODEL_FILE)).metrics is None
    assert load_verdicts(tmp_path / MODEL_FILE, card.model.sha256)
    assert "named correctly (top-1)" in (tmp_path / REPORT_FILE).read_text(encoding="utf-8")
