"""The model pair: looked at before TensorFlow is imported, then loaded where nothing learns."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .labels import load_labels
from .model_file import check_model_file

if TYPE_CHECKING:
    from .classifier import Classifier


def check_pair(model_file: Path, labels_file: Path) -> None:
    """Say what can be said of the files without TensorFlow, before the seconds that its import takes.

    :raises PairError: one of them is missing, or is not what it should be.
    """
    load_labels(labels_file)
    check_model_file(model_file)


def load_classifier(model_file: Path, labels_file: Path, precision: str) -> "Classifier":
    """Load the pair in a process in which nothing learns: TensorFlow is told so.

    :param precision: see ``Classifier``.
    :raises PairError: a file is unusable, or the two do not belong together.
    """
    # oneDNN may then keep weights in the order that it likes: a fifth less processor time. Where something learns, or
    # convolves outside of a traced network, the answers would be wrong.
    os.environ.setdefault("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1")
    from .classifier import Classifier

    return Classifier(model_file, labels_file, precision)
