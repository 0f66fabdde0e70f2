"""How good a network is: metrics from its probabilities, and the temperature that calibrates its confidence."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.model_card import CalibrationBin, CoveragePoint, SpeciesScore

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

BINS = 15  # of confidence, for the calibration error; the number that Guo et al. use
TEMPERATURES = (0.2, 5.0)  # a fit on few photos stays between these
_BISECTIONS = 50


def top_k(probabilities: Floats, targets: Ints, k: int) -> float:
    """Share of photos, 0 to 1, whose label is among the ``k`` most likely.

    :param probabilities: ``float[photos, classes]``.
    :param targets: ``int[photos]``.
    """
    best = np.argsort(-probabilities, axis=1)[:, :k]
    return float((best == targets[:, np.newaxis]).any(axis=1).mean())


def calibration_bins(probabilities: Floats, targets: Ints) -> list[CalibrationBin]:
    """The photos in ``BINS`` equal steps of the network's confidence; empty steps are left out."""
    confidence, correct = _answers(probabilities, targets)
    # The confidences of a network that diverged are not numbers; they are counted in the lowest step.
    steps = np.minimum((np.nan_to_num(confidence) * BINS).astype(int), BINS - 1)
    return [
        CalibrationBin(
            photos=int((steps == step).sum()),
            confidence=float(confidence[steps == step].mean()),
            accuracy=float(correct[steps == step].mean()),
        )
        for step in np.unique(steps)
    ]


def calibration_error(probabilities: Floats, targets: Ints) -> float:
    """Expected calibration error, 0 to 1 (Guo et al. 2017, arXiv:1706.04599, equation 3)."""
    bins = calibration_bins(probabilities, targets)
    return sum(each.photos * abs(each.accuracy - each.confidence) for each in bins) / len(targets)


def fit_temperature(probabilities: Floats, targets: Ints, smoothing: float = 0.0) -> float:
    """The temperature to divide logits by: it maximizes the likelihood of the labels (Guo et al. 2017, section 4.2).

    :param probabilities: softmax of the logits. Its logarithm is the logits up to a constant, which softmax ignores.
    :param smoothing: of the labels (Szegedy et al. 2015, arXiv:1512.00567, section 7).
    :return: more than 1 for an overconfident network.
    """
    logits = np.log(np.maximum(probabilities.astype("float64"), 1e-30))
    of_label = (1 - smoothing) * logits[np.arange(len(targets)), targets] + smoothing * logits.mean(axis=1)
    # The cross-entropy is convex in 1 / temperature: bisect for where its slope is 0.
    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        slope = float(((softmax(middle * logits) * logits).sum(axis=1) - of_label).mean())
        low, high = (middle, high) if slope < 0 else (low, middle)
    return 2 / (low + high)


def softmax(logits: Floats) -> Floats:
    """``float[n, classes]`` -> ``float[n, classes]``, each row adding up to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def species_scores(probabilities: Floats, targets: Ints, classes: int) -> list[SpeciesScore]:
    """Number of photos, recall and precision of each label."""
    answers = probabilities.argmax(axis=1)
    correct = np.bincount(targets[answers == targets], minlength=classes)
    photos, answered = np.bincount(targets, minlength=classes), np.bincount(answers, minlength=classes)
    return [
        SpeciesScore(
            photos=int(photos[label]),
            recall=float(correct[label] / photos[label]) if photos[label] else None,
            precision=float(correct[label] / answered[label]) if answered[label] else None,
        )
        for label in range(classes)
    ]


def confusion(probabilities: Floats, targets: Ints) -> Counter[tuple[int, int]]:
    """How many photos of a label were named as another one, by the two: ``{(label, named): photos}``.

    Pairs that do not occur are left out, because nearly all of a confusion matrix is zero.
    """
    answers = probabilities.argmax(axis=1)
    wrong = answers != targets
    return Counter(zip(targets[wrong].tolist(), answers[wrong].tolist(), strict=True))


def most_confused(probabilities: Floats, targets: Ints) -> list[tuple[int, int, int]]:
    """Pairs of labels of which one was given for the other, and how often; the most frequent first."""
    pairs: Counter[tuple[int, int]] = Counter()
    for (label, named), photos in confusion(probabilities, targets).items():
        pairs[min(label, named), max(label, named)] += photos
    return [
        (first, second, times) for (first, second), times in sorted(pairs.items(), key=lambda item: (-item[1], item))
    ]


def coverage_accuracy_curve(probabilities: Floats, targets: Ints) -> list[CoveragePoint]:
    """How many photos get an answer, and how many of those a correct one, for confidences from 0.00 to 0.99."""
    confidence, correct = _answers(probabilities, targets)
    points = []
    for hundredth in range(100):
        answered = confidence >= hundredth / 100
        points.append(
            CoveragePoint(
                confidence=hundredth / 100,
                coverage=float(answered.mean()),
                accuracy=float(correct[answered].mean()) if answered.any() else None,
            )
        )
    return points


def unsure_below(probabilities: Floats, targets: Ints) -> float:
    """The highest confidence, in hundredths, below which at least half of the answers are wrong; 0 if there is none."""
    confidence, correct = _answers(probabilities, targets)
    wrong_below = [
        hundredth / 100
        for hundredth in range(1, 100)
        if (below := confidence < hundredth / 100).any() and correct[below].mean() <= 0.5
    ]
    return max(wrong_below, default=0.0)


def _answers(probabilities: Floats, targets: Ints) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The confidence of each answer, and whether it is correct."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
