"""What each part of the training recipe is worth: short trainings that differ in one thing.

python -m benchmarks.recipe DATA --weights FILE [--only TRY …]: prints a table in Markdown.

All begin with the same weights, of a network whose head was trained by the recipe on as many photos. They are
fine-tuned on every fourth photo for three epochs at 160 pixels, and evaluated at that size on the validation photos, as
they are and shown small in the frame (from half of its side, the same for each try).
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import numpy.typing as npt

from inference.photo import open_photo
from training import network, recipe
from training.batches import AUGMENTATION, shown_small
from training.checkpoint import Checkpoint, State
from training.data import Dataset, Split, read_dataset
from training.stages import Stage

TITLE = "What each part of the training recipe is worth."
SIZE = 160  # pixels
EPOCHS = 3
SHARE = 4  # every fourth photo
SMALLEST = 0.5  # least share of the frame's side that a bird shown small takes

TRIES: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "the recipe, other photos": {"seed": 1},
    "no small birds": {"augmentation": {"small": 0.0}},
    "half of the birds small": {"augmentation": {"small": 0.5}},
    "no blur": {"augmentation": {"blurred": 0.0}},
    "no change of color": {"augmentation": {"colour": 0.0, "tint": 0.0}},
    "crops of 60 % or more": {"augmentation": {"crop_area": (0.6, 1.0)}},
    "no class weights": {"constants": {"CLASS_WEIGHT": 0.0}},
    "full class weights": {"constants": {"CLASS_WEIGHT": 1.0}},
    "no label smoothing": {"constants": {"LABEL_SMOOTHING": 0.0}},
    "no averaging of weights": {"constants": {"AVERAGED_EPOCHS": 0.0}},
    "half the learning rate": {"constants": {"FINE_TUNING_LEARNING_RATE": 1e-4}},
    "twice the learning rate": {"constants": {"FINE_TUNING_LEARNING_RATE": 4e-4}},
    "no warm-up": {"constants": {"WARM_UP": 0.0}},
    "every layer learns": {"constants": {"FROZEN_IN_FINE_TUNING": None}},
    "BatchNormalization learns": {"train_batch_normalization": True},
    "float32": {"precision": "float32"},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipe", description=TITLE)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--only", nargs="+", default=list(TRIES), choices=list(TRIES), metavar="TRY")
    options = parser.parse_args()
    dataset = read_dataset(options.data)
    with tempfile.TemporaryDirectory() as folder, patch.object(recipe, "IMAGE_SIZE", SIZE):
        start = head_weights(some_photos(dataset), options.weights, Path(folder))
        print("| try | top-1 | loss | top-1, shown small | minutes |\n| --- | --- | --- | --- | --- |", flush=True)
        for name in options.only:
            print(f"| {name} | {measure(dataset, start, Path(folder), **TRIES[name])} |", flush=True)


def build(
    dataset: Dataset, weights: str | None, precision: str, *, train_batch_normalization: bool = False
) -> tuple[keras.Model, keras.Model]:
    """The network for images of any size, and the InceptionV3 in it."""
    keras.config.set_dtype_policy(precision)
    base = network.inception(weights)
    head = network.classification_head(len(dataset.class_indices))
    return network.whole_network(base, head, None, train_batch_normalization=train_batch_normalization), base


def some_photos(dataset: Dataset, first: int = 0) -> Dataset:
    """The dataset with every ``SHARE``-th photo of train only, beginning with the one of that index."""
    train = dataset.splits["train"]
    some = Split(train.paths[first::SHARE], train.targets[first::SHARE])
    return replace(dataset, splits={"train": some, "validation": dataset.splits["validation"]})


def head_weights(dataset: Dataset, weights: str, folder: Path) -> list[npt.NDArray[Any]]:
    """The weights that all tries begin with, from the recipe's first stage."""
    keras.utils.set_random_seed(0)
    whole, base = build(dataset, weights, network.fastest_precision())
    state = State()
    plan = recipe.stages(weights, 1)[:1]
    recipe.train(whole, base, plan, dataset.splits, state, Checkpoint(folder / "head.h5", ""))
    return state.best_weights


def measure(
    dataset: Dataset,
    start: list[npt.NDArray[Any]],
    folder: Path,
    *,
    augmentation: dict[str, object] | None = None,
    seed: int = 0,
    train_batch_normalization: bool = False,
    precision: str | None = None,
    constants: dict[str, object] | None = None,
) -> str:
    """One try, as cells of the table: accuracy in per cent, loss, accuracy on birds shown small, minutes."""
    splits = some_photos(dataset, first=seed).splits
    with ExitStack() as stack:
        stack.enter_context(patch.dict(AUGMENTATION, augmentation or {}))
        for name, value in (constants or {}).items():
            stack.enter_context(patch.object(recipe, name, value))
        keras.utils.set_random_seed(seed)
        whole, base = build(
            dataset,
            None,
            precision or network.fastest_precision(),
            train_batch_normalization=train_batch_normalization,
        )
        whole.set_weights(start)
        state = State()
        (stage,) = recipe.stages("imagenet", EPOCHS)[1:]
        plan = [Stage(stage.name, stage.frozen_through, (SIZE,) * EPOCHS, stage.learning_rate)]
        began = time.monotonic()
        recipe.train(whole, base, plan, splits, state, Checkpoint(folder / "try.h5", ""))
        minutes = (time.monotonic() - began) / 60
    assert state.best is not None
    whole.set_weights(state.best_weights)
    small = small_accuracy(whole.predict_on_batch, splits["validation"])
    keras.backend.clear_session()
    return f"{100 * state.best.top1:.1f} | {state.best.loss:.3f} | {100 * small:.1f} | {minutes:.1f}"


def small_accuracy(predict: Callable[[npt.NDArray[np.float32]], Any], split: Split) -> float:
    """Top-1, 0 to 1, on the photos of a split shown small, each always in the same way."""
    correct = 0
    with patch.dict(AUGMENTATION, {"smallest": SMALLEST, "smallest_pixels": 0}):
        for start in range(0, len(split.paths), 32):
            numbers = range(start, min(start + 32, len(split.paths)))
            shown = [
                np.asarray(shown_small(open_photo(split.paths[number]).image, SIZE, random.Random(number)))
                for number in numbers
            ]
            answers = np.asarray(predict(np.stack(shown).astype(np.float32) / np.float32(255))).argmax(axis=1)
            correct += int((answers == split.targets[start : start + 32]).sum())
    return correct / len(split.paths)


if __name__ == "__main__":
    main()
