"""How good a network is: figures from its probabilities, and the temperature that makes them honest."""

from collections import Counter

import numpy as np

BINS = 15  # of confidence, for the calibration error; as Guo et al. have it
TEMPERATURES = (0.2, 5.0)  # a fit on few pictures stays between these
_BISECTIONS = 50


def top_k(probabilities: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Share of pictures, 0 to 1, whose label is among the ``k`` likeliest.

    :param probabilities: ``float[pictures, classes]``.
    :param targets: ``int[pictures]``.
    """
    best = np.argsort(-probabilities, axis=1)[:, :k]
    return float((best == targets[:, np.newaxis]).any(axis=1).mean())


def calibration_bins(probabilities: np.ndarray, targets: np.ndarray) -> list[dict[str, float]]:
    """Pictures by how sure the network is of its answer, in ``BINS`` equal steps of confidence; empty ones left out.

    :return: for each bin the ``pictures`` in it, their mean ``confidence``, and the share of ``right`` answers.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "pictures": int((places == place).sum()),
            "confidence": float(confidence[places == place].mean()),
            "right": float(right[places == place].mean()),
        }
        for place in np.unique(places)
    ]


def calibration_error(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Expected calibration error, 0 to 1 (Guo et al. 2017, arXiv:1706.04599, equation 3)."""
    bins = calibration_bins(probabilities, targets)
    return sum(step["pictures"] * abs(step["right"] - step["confidence"]) for step in bins) / len(targets)


def fit_temperature(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The temperature by which to divide the logits so that the labels become likeliest (Guo et al. 2017, section 4.2).

    :param probabilities: softmax of the logits. Its logarithm is the logits but for a constant, which softmax ignores.
    :return: more than 1 for a network that is too sure of itself.
    """
    logits = np.log(np.maximum(probabilities.astype("float64"), 1e-30))
    of_label = logits[np.arange(len(targets)), targets]
    # The cross-entropy is convex in 1 / temperature: bisect for where its slope is 0.
    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        slope = float(((softmax(middle * logits) * logits).sum(axis=1) - of_label).mean())
        low, high = (middle, high) if slope < 0 else (low, middle)
    return 2 / (low + high)


def softmax(logits: np.ndarray) -> np.ndarray:
    """``float[n, classes]`` -> ``float[n, classes]``, each row adding up to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def precision_and_recall(
    probabilities: np.ndarray, targets: np.ndarray, classes: int
) -> list[dict[str, float | int | None]]:
    """For each label the ``pictures`` of it, the share of them that are recognised (``recall``), and the share of
    the answers with this label that are right (``precision``); None where there are none."""
    answers = probabilities.argmax(axis=1)
    right = np.bincount(targets[answers == targets], minlength=classes)
    shown, said = np.bincount(targets, minlength=classes), np.bincount(answers, minlength=classes)
    return [
        {
            "pictures": int(shown[label]),
            "recall": float(right[label] / shown[label]) if shown[label] else None,
            "precision": float(right[label] / said[label]) if said[label] else None,
        }
        for label in range(classes)
    ]


def most_confused(probabilities: np.ndarray, targets: np.ndarray) -> list[tuple[int, int, int]]:
    """Pairs of labels that are taken for each other, and how often; the most frequent first."""
    answers = probabilities.argmax(axis=1)
    wrong = answers != targets
    pairs = Counter((int(min(pair)), int(max(pair))) for pair in zip(targets[wrong], answers[wrong], strict=True))
    return [
        (first, second, times) for (first, second), times in sorted(pairs.items(), key=lambda item: (-item[1], item))
    ]


def answered_above(probabilities: np.ndarray, targets: np.ndarray) -> list[dict[str, float]]:
    """How often the network speaks, and how often it is right, if it speaks only when it is sure enough.

    :return: for each ``confidence`` 0.00, 0.01 … 0.99 the share of pictures ``answered``, and of these the share
        of ``right`` answers (None if there are none).
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    rows = []
    for hundredth in range(100):
        spoken = confidence >= hundredth / 100
        rows.append(
            {
                "confidence": hundredth / 100,
                "answered": float(spoken.mean()),
                "right": float(right[spoken].mean()) if spoken.any() else None,
            }
        )
    return rows


def unsure_below(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The highest confidence, in hundredths, below which at least half of the answers are wrong; 0 if there is none."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    wrong_below = [
        hundredth / 100
        for hundredth in range(1, 100)
        if (below := confidence < hundredth / 100).any() and right[below].mean() <= 0.5
    ]
    return max(wrong_below, default=0.0)
