"""Compares a candidate with the pair in use: how many photos each names correctly, as the app would run them.

python -m training.comparison MODEL LABELS, with a JSON list of paths on standard input, writes the label that the pair
gives to each. This is a process of its own, as in ``compilation.py``, and for the same reasons.
"""

import json
import logging
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference import LABELS_FILE, MODEL_FILE
from inference.errors import PairError, PhotoError
from inference.labels import load_labels
from inference.loader import load_classifier
from inference.pair import check_pair
from inference.photo import open_photo

from .data import Dataset


class ComparisonError(Exception):
    """Two pairs cannot be compared; the message says why, without a full stop."""


@dataclass(frozen=True)
class Score:
    """How many photos the two pairs name correctly.

    :param old: by the pair in use.
    :param new: by the candidate.
    :param photos: of all.
    """

    old: int
    new: int
    photos: int

    def __str__(self) -> str:
        return f"{self.old} → {self.new} of {self.photos}"


@dataclass(frozen=True)
class Comparison:
    """What decides about a candidate.

    :param split: ``test``, or ``validation`` without one.
    :param fixed: on those photos of that split whose labels both pairs know.
    :param left_out: how many photos of the split have other labels.
    :param corrections: on the corrections that were held out.
    """

    split: str
    fixed: Score
    left_out: int
    corrections: Score

    def __str__(self) -> str:
        left_out = f" (without {self.left_out} whose labels only one of them knows)" if self.left_out else ""
        return f"{self.split} {self.fixed}{left_out}, corrections held out {self.corrections}"

    def objection(self) -> str:
        """Why the candidate should not take the place of the pair in use, as a sentence; empty if it should."""
        if not self.corrections.photos:
            return "No correction was held out, so nothing shows that it is better."
        if not self.fixed.photos:
            return f"No photo of {self.split} has a label that both pairs know."
        if self.fixed.new < self.fixed.old:
            return f"It is worse on {self.split}."
        if self.corrections.new <= self.corrections.old:
            return "It is no better on the corrections that were held out."
        return ""


def compare_pairs(old: Path, new: Path, dataset: Dataset) -> Comparison:
    """Show both pairs the test photos and the corrections that were held out.

    :param old: the folder of the pair in use.
    :param new: that of the candidate.
    :param dataset: with the labels of the candidate, and ``more``.
    :raises ComparisonError: one of them did not name them all.
    """
    assert dataset.more is not None
    name = "test" if "test" in dataset.splits else "validation"
    labels = list(dataset.class_indices)
    photos = [
        (path, labels[target])
        for split in (dataset.splits[name], dataset.more.held_out)
        for path, target in zip(split.paths, split.targets, strict=True)
    ]
    paths, right = [path for path, _label in photos], [label for _path, label in photos]
    correct = [
        [given == label for given, label in zip(labels_for(paths, folder), right, strict=True)] for folder in (old, new)
    ]
    both_know = {unicodedata.normalize("NFC", label) for label in load_labels(old / LABELS_FILE)} & set(labels)
    of_split = len(dataset.splits[name].paths)
    fixed = [number for number in range(of_split) if right[number] in both_know]
    held_out = range(of_split, len(photos))
    return Comparison(name, _score(correct, fixed), of_split - len(fixed), _score(correct, held_out))


def _score(correct: list[list[bool]], numbers: Sequence[int]) -> Score:
    old, new = (sum(by_pair[number] for number in numbers) for by_pair in correct)
    return Score(old, new, len(numbers))


def labels_for(photos: list[Path], folder: Path) -> list[str]:
    """The labels that a pair gives to photos.

    :raises ComparisonError: it did not name them all.
    """
    command = [sys.executable, "-m", __name__, str(folder / MODEL_FILE), str(folder / LABELS_FILE)]
    paths = json.dumps([str(path.absolute()) for path in photos])
    ended = subprocess.run(command, input=paths, capture_output=True, text=True)
    if ended.returncode:
        reason = (ended.stderr.splitlines() or ["no reason was given"])[-1]
        raise ComparisonError(f"{folder} did not name all photos: {reason}")
    return [unicodedata.normalize("NFC", label) for label in json.loads(ended.stdout)]


def main() -> None:
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    paths = [Path(path) for path in json.load(sys.stdin)]
    try:
        classifier = load_classifier(check_pair(Path(sys.argv[1]), Path(sys.argv[2])))
        size = classifier.batch_size
        batches = [paths[start : start + size] for start in range(0, len(paths), size)]
        labels = [
            answer.label
            for batch in batches
            for answer in classifier.classify_batch(np.stack([open_photo(path).pixels() for path in batch]))
        ]
    except (PairError, PhotoError, OSError) as error:
        sys.exit(str(error))
    json.dump(labels, sys.stdout)


if __name__ == "__main__":
    main()
