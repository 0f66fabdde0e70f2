"""Fine-tune InceptionV3 on your labelled photographs."""

import argparse
import logging
import sys
from pathlib import Path

import keras

from inference import LABELS_FILE, MODEL_FILE

from . import network, recipe
from .data import DataError, check_pictures, read_class_indices, read_split

log = logging.getLogger("training")


def main() -> None:
    options = parse_options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keras.utils.set_random_seed(0)
    try:
        train_pair(options.data, options.weights, options.output, options.epochs)
    except (DataError, network.WeightsError) as error:
        sys.exit(f"training: {error}")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument(
        "data", type=Path, help="folder with train/<label>/*, validation/<label>/* and, if you like, test/<label>/*"
    )
    parser.add_argument(
        "--weights", default="imagenet", help="start: imagenet (default, downloaded), none, or a weights file"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("models"), help="folder for the pair (default: %(default)s)"
    )
    parser.add_argument(
        "--epochs",
        type=_at_least_one,
        default=recipe.FINE_TUNING_EPOCHS,
        help="passes over the pictures in the second stage (default: %(default)s)",
    )
    return parser.parse_args()


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def train_pair(data: Path, weights: str, output: Path, epochs: int) -> None:
    """Train on ``data``, write the model and its labels into ``output``, print the accuracy on every split."""
    class_indices = read_class_indices(data)
    splits = {name: read_split(data / name, class_indices) for name in ("train", "validation")}
    if (data / "test").is_dir():
        splits["test"] = read_split(data / "test", class_indices)
    for name, split in splits.items():
        log.info("%s: %d pictures of %d labels", name, len(split.paths), len(set(split.targets)))
    for split in splits.values():
        check_pictures(split)
    output.mkdir(parents=True, exist_ok=True)

    base = network.inception(None if weights == "none" else weights)
    head = network.classification_head(len(class_indices))
    learning_rate = recipe.SCRATCH_LEARNING_RATE
    if weights != "none":
        # A weights file may lack the last modules (they then start random) or carry another network's
        # pooling there, so they are trained with the head.
        frozen_through = "mixed10" if weights == "imagenet" else "mixed8"
        recipe.train_head(base, head, frozen_through, splits["train"], splits["validation"])
        freeze_through(base, recipe.FROZEN_IN_FINE_TUNING)
        learning_rate = recipe.FINE_TUNING_LEARNING_RATE
    whole = network.whole_network(base, head, size=None, normalise=weights == "none")
    recipe.fine_tune(whole, learning_rate, splits["train"], splits["validation"], output / "best.weights.h5", epochs)

    model = output / MODEL_FILE
    network.save_pair(base, head, class_indices, model, output / LABELS_FILE)
    saved = keras.models.load_model(model, compile=False)
    for name, split in splits.items():
        top1, top5 = recipe.accuracy(saved, split)
        log.info("%s: top-1 %.2f %%, top-5 %.2f %%", name, 100 * top1, 100 * top5)


def freeze_through(base: keras.Model, last: str) -> None:
    """Leave the layers of ``base`` up to and with the one named ``last`` as they are in training."""
    names = [layer.name for layer in base.layers]
    for layer in base.layers[: names.index(last) + 1]:
        layer.trainable = False


if __name__ == "__main__":
    main()
