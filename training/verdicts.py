"""Fits what verdicts rest on to photos that the network did not learn from."""

import numpy as np
import numpy.typing as npt

from inference import CANDIDATES
from inference.judge import LEVELS, STRICTNESS, VerdictRules, directions, familiarity_scores, set_sizes

from .evaluation import Floats, Ints
from .looks import Looks

# Each of these was chosen by the comparison in models/README.md.
PROTOTYPES = 3  # of a species
PHOTOS_FOR_PROTOTYPES = 40  # of a species at most; more make no better prototypes
SET_PENALTY = 0.05  # what each species after the first adds to the sum of a prediction set
WRONG_IF_SURE = 0.01  # share of sure answers that may be wrong
MISSED_IF_UNSURE = 0.05  # share of unsure answers whose likely species may lack the right one

MAX_PROTOTYPE_NUMBERS = 2 * 10**6  # they take 4 MB
_THRESHOLDS = np.linspace(0.5, 0.999, 500)  # of prediction sets
_CLUSTERING_STEPS = 20


def fit_rules(prototypes: Floats, known: Looks) -> VerdictRules:
    """What verdicts rest on.

    :param prototypes: from ``find_prototypes``.
    :param known: validation photos.
    """
    scores = familiarity_scores(known.features, known.probabilities, prototypes)
    means, deviations = scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-9)
    totals = ((scores - means) / deviations).sum(axis=1)
    species, bird = (np.quantile(each, LEVELS, method="weibull") for each in (totals, scores[:, 1]))
    is_answered = totals >= np.interp(STRICTNESS, LEVELS, species)
    probabilities = known.probabilities[is_answered]
    threshold = set_threshold(probabilities, known.targets[is_answered])
    return VerdictRules(prototypes, means, deviations, species, bird, threshold, SET_PENALTY)


def find_prototypes(features: Floats, targets: Ints) -> Floats:
    """Up to ``PROTOTYPES`` of each species, ``float32[n, channels]``; of very many species, some share one.

    :param features: pooled, of training photos, ``float32[photos, channels]``.
    :param targets: their class indices.
    """
    directed = directions(features)
    species = np.unique(targets)
    most = max(1, MAX_PROTOTYPE_NUMBERS // features.shape[1])
    if len(species) > most:
        means = np.stack([directed[targets == each].mean(axis=0) for each in species])
        return _rounded(cluster_directions(_normalized(means), most))
    count = min(PROTOTYPES, most // len(species))
    return _rounded(np.concatenate([cluster_directions(directed[targets == each], count) for each in species]))


def cluster_directions(vectors: Floats, count: int) -> Floats:
    """The means of so many groups of vectors that are similar: k-means with cosines, the same result each time.

    :param vectors: ``float32[n, channels]``, each of length 1.
    :return: ``float32[count, channels]``, each of length 1; fewer if there are fewer vectors.
    """
    chosen = [int((vectors @ vectors.mean(axis=0)).argmax())]
    while len(chosen) < min(count, len(vectors)):  # then always the one that is least like those before
        chosen.append(int((vectors @ vectors[chosen].T).max(axis=1).argmin()))
    middles = vectors[chosen]
    for _ in range(_CLUSTERING_STEPS):
        nearest = (vectors @ middles.T).argmax(axis=1)
        groups = [vectors[nearest == number] for number in range(len(middles))]
        middles = np.stack(
            [group.mean(axis=0) if len(group) else middle for group, middle in zip(groups, middles, strict=True)]
        )
        middles = _normalized(middles)
    return middles


def set_threshold(probabilities: Floats, targets: Ints) -> float:
    """The least threshold of prediction sets at which sure and unsure answers are wrong no more often than they may.

    Both shares are raised by what a photo more, with a wrong answer, would add: those of the next photo are then kept
    on average (split conformal prediction), as long as there are photos enough to say so.

    :param probabilities: of validation photos that are not refused, ``float64[n, labels]``.
    :param targets: their class indices.
    """
    ranks = (-probabilities).argsort(axis=1, kind="stable")[:, :CANDIDATES]
    hits = ranks == targets[:, np.newaxis]
    rank = np.where(hits.any(axis=1), hits.argmax(axis=1), CANDIDATES)
    for threshold in _THRESHOLDS:
        sizes = set_sizes(probabilities, threshold, SET_PENALTY)
        missed, is_unsure = rank >= sizes, sizes > 1
        if _seldom(missed[~is_unsure], WRONG_IF_SURE) and _seldom(missed[is_unsure], MISSED_IF_UNSURE):
            return float(threshold)
    return float(_THRESHOLDS[-1])


def _seldom(wrong: npt.NDArray[np.bool_], limit: float) -> bool:
    """Whether no more than a share of some answers is wrong, or none of few."""
    return not wrong.any() or (wrong.sum() + 1) / (len(wrong) + 1) <= limit


def _normalized(vectors: Floats) -> Floats:
    scaled: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return scaled


def _rounded(prototypes: Floats) -> Floats:
    """As they are in the file."""
    return prototypes.astype("float16").astype("float32")
