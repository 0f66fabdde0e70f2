"""A checked model pair -> a classifier. The app imports TensorFlow only here, and only when it is needed."""

import os
from typing import TYPE_CHECKING

from .input_range import InputRange
from .judge import STRICTNESS
from .pair import Pair

if TYPE_CHECKING:
    from .classifier import Classifier


def load_classifier(
    pair: Pair, precision: str, input_range: InputRange | None = None, strictness: float = STRICTNESS
) -> "Classifier":
    """Load a pair, in a process that does not train.

    :param precision: of the network, as ``Classifier`` takes it.
    :param input_range: of the pixel values that it is given; by default the one that its first layers ask for.
    :param strictness: the share of photos of known species, 0 to 1, that its verdicts may refuse.
    :raises PairError: the network cannot be used, the two files do not belong together, or one was replaced meanwhile.
    """
    # oneDNN may then keep weights in the order that suits it: a fifth less processor time. In a process that trains,
    # or convolves outside of a traced network, the results would be wrong.
    os.environ.setdefault("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1")
    from .classifier import Classifier

    try:
        return Classifier(pair, precision, input_range, strictness)
    finally:
        pair.check_unchanged()  # after a failure, too: a file that was half replaced is its likely reason
