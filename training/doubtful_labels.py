"""Find photos whose label is probably wrong, and write a page to decide about them."""

import argparse
import logging
import os
import sys
from pathlib import Path

# Read when Keras and TensorFlow are imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a missing GPU is not an error
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # as the app does: take GPU memory as it is needed

from inference.packages import missing_packages

if missing := missing_packages("Finding doubtful labels"):
    sys.exit(f"training.doubtful_labels: {missing}")

import numpy as np

from .command import INTERRUPTED, path_argument
from .confident_learning import Suspect, find_suspects, out_of_fold_probabilities
from .corrections import LEFT_OUT, apply_decisions, find_decisions
from .data import Dataset, Split, read_dataset
from .evaluation import Floats
from .faults import DataError, count_of, fault_table
from .features import feature_extractor, pooled_features
from .label_decisions import DECISIONS_FILE, Decision, encode_decisions, path_key, read_decisions
from .near_duplicates import duplicate_groups
from .network import WeightsError
from .review_page import Doubt, write_review_page

REVIEW_FILE = "label_review.html"
SHOWN = 200  # suspects on the page; one takes about 50 kB
COMPARED = 3  # photos of each of the two labels that are shown beside a suspect

log = logging.getLogger("training.doubtful_labels")


def main() -> None:
    options = parse_options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for library in ("absl", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        review_labels(options)
    except (DataError, WeightsError) as error:
        sys.exit(f"training.doubtful_labels: {error}")
    except OSError as error:
        sys.exit(f"training.doubtful_labels: {error.filename or options.output}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.doubtful_labels", description=__doc__)
    parser.add_argument("data", type=path_argument, help="folder of labelled photos, as for training")
    parser.add_argument(
        "--weights",
        default="imagenet",
        help="network that looks at the photos: imagenet (default, downloaded), a weights file, or the .h5 of a pair",
    )
    parser.add_argument(
        "--decisions", type=Path, help=f"earlier decisions (default: DATA/{DECISIONS_FILE}, if it is there)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("label_review"), help="folder for page and list (default: %(default)s)"
    )
    parser.add_argument("--most", type=int, default=SHOWN, help="suspects on the page at most (default: %(default)s)")
    return parser.parse_args()


def review_labels(options: argparse.Namespace) -> None:
    """Find the suspects, and write the page and the list of them into the output folder.

    :raises DataError: the folder cannot be used, or the list there holds decisions that would be lost.
    """
    dataset = read_dataset(options.data)
    file = find_decisions(options.data, options.decisions)
    earlier = read_decisions(file, dataset.class_indices) if file else {}
    earlier = {path: decision for path, decision in earlier.items() if decision.choice}
    dataset = apply_decisions(dataset, options.data, file)
    options.output.mkdir(parents=True, exist_ok=True)
    list_file = options.output / DECISIONS_FILE
    refuse_to_lose(list_file, earlier, dataset)
    if dataset.faults:
        log.info("What is wrong or unusual in the folder:\n%s\n", fault_table(dataset.faults))

    photos = all_photos(dataset)
    features, hashes = pooled_features(feature_extractor(options.weights), photos.paths)
    probabilities = out_of_fold_probabilities(features, photos.targets, duplicate_groups(hashes))
    keys = [path_key(path, options.data) for path in photos.paths]
    found = find_suspects(probabilities, photos.targets)
    suspects = [suspect for suspect in found if keys[suspect.photo] not in earlier]

    labels = list(dataset.class_indices)
    listed = [Decision(keys[suspect.photo], None, labels[suspect.looks_like]) for suspect in suspects]
    new = list_file.with_suffix(".new.csv")
    new.write_bytes(encode_decisions([*earlier.values(), *listed]))
    new.replace(list_file)
    plain = np.setdiff1d(np.arange(len(keys)), [suspect.photo for suspect in found])
    standardized = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    doubts = [doubt(suspect, photos, keys, labels, standardized, plain) for suspect in suspects[: max(0, options.most)]]
    page = options.output / REVIEW_FILE
    write_review_page(page, doubts, len(suspects), labels, list(earlier.values()), options.data / DECISIONS_FILE)
    log.info(
        "%s: %d of %s. %s more than are on the page; all are listed in %s.",
        "Labels in doubt", len(suspects), count_of(len(keys), "photo"), len(suspects) - len(doubts) or "No", list_file,
    )  # fmt: skip
    log.info(
        "Open %s in a browser, decide, and save the decisions as %s.", page, options.data / DECISIONS_FILE
    )  # fmt: skip


def refuse_to_lose(list_file: Path, earlier: dict[str, Decision], dataset: Dataset) -> None:
    """Check that the list may be written anew.

    :raises DataError: somebody has written decisions into it, and has not given them to this command.
    """
    if list_file.is_file():
        written = read_decisions(list_file, dataset.class_indices)
        if any(decision.choice for path, decision in written.items() if path not in earlier):
            raise DataError(
                f"{list_file} holds decisions, which would be lost. Give the file with --decisions, move it to the "
                "photos, or write to another folder with --output."
            )


def all_photos(dataset: Dataset) -> Split:
    """The photos of all splits, with the labels that were decided, without those that were left out."""
    paths, targets = [], []
    for name, split in dataset.splits.items():
        paths += split.paths
        targets.append(dataset.corrected.get(name, split.targets))
    together = np.concatenate(targets)
    kept = np.flatnonzero(together != LEFT_OUT)
    return Split([paths[photo] for photo in kept], together[kept])


def doubt(
    suspect: Suspect,
    photos: Split,
    keys: list[str],
    labels: list[str],
    features: Floats,
    plain: np.typing.NDArray[np.int_],
) -> Doubt:
    """What the page shows of a suspect.

    :param features: of all photos, standardized.
    :param plain: the indices of the photos that are no suspects, to compare with.
    """

    def nearest(label: int) -> list[Path]:
        of_label = plain[photos.targets[plain] == label]
        distances = ((features[of_label] - features[suspect.photo]) ** 2).sum(axis=1)
        return [photos.paths[photo] for photo in of_label[np.argsort(distances)[:COMPARED]]]

    label = int(photos.targets[suspect.photo])
    return Doubt(
        path=photos.paths[suspect.photo],
        key=keys[suspect.photo],
        label=labels[label],
        looks_like=labels[suspect.looks_like],
        own=suspect.own,
        other=suspect.other,
        of_label=nearest(label),
        of_other=nearest(suspect.looks_like),
    )


if __name__ == "__main__":
    main()
