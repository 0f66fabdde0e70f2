"""What a network's scores mean, and the probabilities that they stand for."""

import json
from enum import Enum, auto
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .keras_files.archive import is_archive, open_archive

TOLERANCE = 1e-3  # of a sum of probabilities; float16 has three digits
SIGMOIDS = ("sigmoid", "hardsigmoid")  # how their names begin
#: The losses for classes that exclude each other, as Keras's functions and classes are called, without ``_``.
EXCLUSIVE_LOSSES = ("categoricalcrossentropy", "categoricalfocalcrossentropy")  # "sparse" may be before them


class Scores(Enum):
    """What the numbers mean that a network gives for an image. If there is only one, it is that of the second class."""

    SHARES = auto()  # not negative; a class's share of the sum is its probability, and the only number is one
    LOGITS = auto()  # their softmax is probabilities, or the sigmoid of the only one is one
    SIGNED = auto()  # the only number, from -1 for the first class to 1 for the second


class HeadError(ValueError):
    """The scores of a network cannot be used; the message follows the name of its file."""


def meaning_in_training(model_file: Path) -> Scores | None:
    """What the loss that a network was trained with took its scores for; None if it was another loss, or is unknown.

    :param model_file: an ``.h5`` or ``.keras`` file that ``check_model_file`` has accepted.
    """
    try:
        loss = json.dumps(_training_config(model_file)["loss"]).replace("_", "").lower()
    except (TypeError, ValueError, LookupError, RecursionError):  # Keras wrote no such description
        return None
    if not any(name in loss for name in EXCLUSIVE_LOSSES):
        return None
    return Scores.LOGITS if '"fromlogits": true' in loss else Scores.SHARES


def _training_config(model_file: Path) -> Any:
    """What ``compile`` was called with.

    :raises LookupError: the file does not say. There are other exceptions if Keras did not write it.
    """
    if is_archive(model_file):
        with open_archive(model_file) as (config, _weights):
            return config["compile_config"]
    with h5py.File(model_file) as file:
        return json.loads(file.attrs["training_config"])


def meaning_of_scores(scores: NDArray[np.float32], activation: str, in_training: Scores | None) -> Scores:
    """Tell what a network's scores mean.

    :param scores: ``[images, n]``, what it gives for images that differ.
    :param activation: its last one, as ``graph.last_activation`` names it; empty if it has none.
    :param in_training: what its loss took them for.
    :raises HeadError: they are no numbers for any image, or they are no scores of classes that exclude each other.
    """
    # A network that divides by the deviation or the maximum of an image gives NaN for a blank one only.
    scores = scores[np.isfinite(scores).all(axis=1)]
    if not len(scores):
        raise HeadError("gives NaN or infinity instead of scores: its training has failed. Put in another one.")
    if activation == "softmax" and (scores == 1).all():
        raise HeadError(
            "has a softmax over a single number, which is 1 whatever the picture. Mend that, and train again."
        )
    is_fraction = bool((scores >= 0).all() and (scores <= 1).all())
    if scores.shape[1] == 1:
        return _meaning_of_one(activation, is_fraction)
    if activation.startswith(SIGMOIDS) or (activation == "concatenate" and is_fraction and not _have_one_sum(scores)):
        # Keras's losses for classes that exclude each other make probabilities of any scores.
        if in_training is None:
            raise HeadError(
                "scores each class by itself (sigmoid), for pictures of several birds at once, which is not supported. "
                "Give it a softmax instead, and train it with categorical_crossentropy."
            )
        return in_training
    if scores.min() < 0 or (activation == "linear" and not _have_one_sum(scores)):
        return Scores.LOGITS
    is_share = activation == "softmax" or in_training is Scores.SHARES or _have_one_sum(scores)
    return Scores.SHARES if is_share else Scores.LOGITS


def _meaning_of_one(activation: str, is_fraction: bool) -> Scores:
    """What the only score of a network means.

    :param is_fraction: it is between 0 and 1 for all images.
    :raises HeadError: it cannot be a probability, though it is meant to be one.
    """
    if activation.startswith(SIGMOIDS) and not is_fraction:
        raise HeadError("changes the result of its sigmoid, so that it is no probability. Leave that out.")
    if activation == "tanh":
        return Scores.SIGNED
    return Scores.SHARES if is_fraction and activation != "linear" else Scores.LOGITS


def _have_one_sum(scores: NDArray[np.float32]) -> bool:
    """Whether scores that are not negative have the same sum for every image, though they differ: 1, or 100."""
    sums = scores.sum(axis=1, dtype="float64")
    return bool(scores.min() >= 0 and np.ptp(sums) <= TOLERANCE * sums.max() and np.ptp(scores, axis=0).any())


def probabilities(scores: NDArray[np.float32], meaning: Scores) -> NDArray[np.float64]:
    """One probability for each class, from 0 to 1; their sum is 1.

    :param scores: ``[images, n]``; n is 1 if the network scores only the second of two classes.
    :return: ``[images, classes]``; the same for all classes if the scores say nothing, because they are all 0 or NaN.
    """
    with np.errstate(invalid="ignore"):  # infinity less infinity
        weights = _weights(scores.astype("float64"), meaning)
    sums = weights.sum(axis=1, keepdims=True)
    says_something = np.isfinite(sums) & (sums > 0)
    shares = np.full_like(weights, 1 / weights.shape[1])
    np.divide(weights, sums, out=shares, where=says_something)
    return shares


def _weights(scores: NDArray[np.float64], meaning: Scores) -> NDArray[np.float64]:
    """Numbers that are in proportion to the probabilities, and not negative."""
    if scores.shape[1] == 1:
        second = _second_of_two(scores, meaning)
        return np.concatenate([1 - second, second], axis=1)
    if meaning is Scores.LOGITS:
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.maximum(scores, 0)


def _second_of_two(scores: NDArray[np.float64], meaning: Scores) -> NDArray[np.float64]:
    """The probability of the second class."""
    match meaning:
        case Scores.LOGITS:
            return np.exp(-np.logaddexp(0, -scores))
        case Scores.SIGNED:
            scores = (scores + 1) / 2
    return np.clip(scores, 0, 1)
