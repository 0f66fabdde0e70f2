"""Give a model pair its verdicts, such as that a photo shows no bird: they take no training."""

import argparse
import logging
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference import LABELS_FILE, MODEL_FILE
from inference.errors import PairError
from inference.loader import load_classifier
from inference.options import NetworkOptions, Precision
from inference.pair import check_pair
from inference.verdicts_file import VERDICTS_FILE, VerdictCurve, Verdicts, write_verdicts

from .command import INTERRUPTED, path_argument
from .data import Dataset, Split, read_dataset
from .evaluation import Ints
from .faults import DataError, count_of, fault_table
from .looks import PooledNetwork, look_at
from .others import OTHER_FOLDER
from .verdict_results import STRICTNESSES, GroupResult, JudgedGroup, results_table
from .verdicts import PHOTOS_FOR_PROTOTYPES, find_prototypes, fit_rules

BIRDS_FOLDER = "birds"  # in _other/: other birds; the rest are other things

log = logging.getLogger(__name__)


def main() -> None:
    options = parse_options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("inference.classifier").setLevel(logging.ERROR)  # it would say that there are no verdicts yet
    try:
        calibrate_pair(options.pair, options.data)
    except (DataError, PairError) as error:
        sys.exit(f"calibrate: {error}")
    except OSError as error:
        sys.exit(f"calibrate: {error.filename or options.pair}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("pair", type=path_argument, help="the .h5, or the folder with it and class_indices.npy")
    parser.add_argument("data", type=path_argument, help="the folder of labelled photos that it was trained on")
    return parser.parse_args()


def calibrate_pair(pair: Path, data: Path) -> None:
    """Write ``verdicts.npz`` beside a model, and log how well the verdicts work.

    :param pair: the ``.h5``, or the folder with it.
    :param data: the labelled photos, as for training.
    :raises PairError: the pair cannot be used, or its network has no features that verdicts could rest on.
    :raises DataError: the photos cannot be used, or are not those of the pair's labels.
    """
    model_file = pair / MODEL_FILE if pair.is_dir() else pair
    if not model_file.is_file():
        raise PairError(f"{model_file} is missing. Give the .h5 of a model pair, or the folder with {MODEL_FILE}.")
    checked = check_pair(model_file, model_file.parent / LABELS_FILE)
    dataset = for_labels(read_dataset(data), checked.labels)
    if dataset.faults:
        log.info("What is wrong or unusual in the folder:\n%s\n", fault_table(dataset.faults))
    classifier = load_classifier(checked, NetworkOptions(precision=Precision.FLOAT32))
    try:
        verdicts, results = make_verdicts(dataset, classifier.pooled)
    except LookupError as error:
        raise PairError(f"{model_file} can have no verdicts: {error}") from error
    write_verdicts(model_file.parent, checked.sha256, verdicts)
    log_results(results)
    log.info("Written: %s", model_file.parent / VERDICTS_FILE)


def for_labels(dataset: Dataset, labels: tuple[str, ...]) -> Dataset:
    """A dataset with the class indices of a network; photos of other labels are left out.

    :raises DataError: there are none of its labels to train, or none to validate with.
    """
    indices = {unicodedata.normalize("NFC", label): index for index, label in enumerate(labels)}
    new = np.array([indices.get(label, -1) for label in dataset.class_indices], dtype="int32")
    splits = {}
    for name, split in dataset.splits.items():
        targets = new[split.targets]
        kept = np.flatnonzero(targets >= 0)
        splits[name] = Split([split.paths[number] for number in kept], targets[kept])
    if not splits["train"].paths or not splits["validation"].paths:
        raise DataError(f"The folder holds no photos of the pair's labels, such as {labels[0]!r:.80}.")
    if missing := len(set(indices.values()) - set(splits["train"].targets.tolist())):
        log.warning(
            "There are no photos of %s: what the network names as one of them may be called an unknown bird.",
            count_of(missing, "label"),
        )
    return replace(dataset, class_indices={label: index for index, label in enumerate(labels)}, splits=splits)


def make_verdicts(dataset: Dataset, network: PooledNetwork) -> tuple[Verdicts, list[GroupResult]]:
    """What verdicts rest on, and how well they work.

    :param dataset: its class indices are those of the network.
    """
    train = dataset.splits["train"]
    chosen = first_of_each(train.targets, PHOTOS_FOR_PROTOTYPES)
    learned = look_at([train.paths[number] for number in chosen], train.targets[chosen], network, "train")
    prototypes = find_prototypes(learned.features, learned.targets)
    known = {
        name: look_at(split.paths, split.targets, network, name)
        for name, split in dataset.splits.items()
        if name != "train" and split.paths
    }
    rules = fit_rules(prototypes, known["validation"])
    groups = [JudgedGroup(name, looks, rules) for name, looks in known.items()]
    for name, paths in by_kind(dataset.others.held_out).items():
        looks = look_at(paths, np.full(len(paths), -1), network, name)
        groups += [JudgedGroup(name, looks, rules)] if len(looks) else []
    answered = VerdictCurve(STRICTNESSES, tuple(group.answered() for group in groups))
    return Verdicts(rules, answered), [group.measured() for group in groups]


def log_results(results: list[GroupResult]) -> None:
    """Log what becomes of each group of pictures."""
    log.info("What is said of photos that the network did not learn from:\n%s", results_table(results))


def first_of_each(targets: Ints, count: int) -> Ints:
    """The indices of the first so many photos of each species.

    :param targets: the class index of each photo.
    """
    return np.concatenate([np.flatnonzero(targets == index)[:count] for index in np.unique(targets)])


def by_kind(paths: list[Path]) -> dict[str, list[Path]]:
    """Pictures of none of the labels: other birds, and the others; a kind without pictures is left out."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(paths, key=_is_bird, reverse=True):
        kinds.setdefault("other birds" if _is_bird(path) else "others", []).append(path)
    return kinds


def _is_bird(path: Path) -> bool:
    return (OTHER_FOLDER, BIRDS_FOLDER) in zip(path.parts, path.parts[1:], strict=False)


if __name__ == "__main__":
    main()
