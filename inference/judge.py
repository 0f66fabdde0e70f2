"""Gives verdicts: whether a photo looks like one of the known species, and how many of them it may show.

Two scores say how familiar a photo is. Its *contrast* is high if the network finds some species far more likely than
others: it is the divergence of the probabilities from equal ones. Its *likeness* is the cosine between its pooled
features and the most similar prototype, which is the mean of similar training photos of a species; it is low for what
is no bird. The thresholds are applied in ``Judge.verdict`` and nowhere else. ``models/README.md`` says how well that
works.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import CANDIDATES
from .verdict import Familiarity, Verdict

Floats = NDArray[np.floating[Any]]

STRICTNESS = 0.05  # share of photos of known species that may be refused. The default of a setting
NO_BIRD_SHARE = 0.1  # of the strictness: the share of photos of known species that may be called "no bird"
LEAST_PROBABILITY = 1e-12  # float16 has no smaller ones than 6e-8, and gives 0 instead
LEVELS = np.linspace(0, 1, 201)  # shares of photos at which the quantiles of the scores are kept


@dataclass(frozen=True, eq=False)
class VerdictRules:
    """What the verdicts of one network rest on.

    :param prototypes: ``float32[n, channels]``, each of length 1.
    :param means: of contrast and likeness on validation photos, ``float[2]``.
    :param deviations: likewise.
    :param species: the sums of both scores below which the shares ``LEVELS`` of the validation photos are,
        ``float[201]``.
    :param bird: likewise for the likeness alone.
    :param set_threshold: the sum of probabilities and penalties at which a prediction set is complete.
    :param set_penalty: what each species after the first adds to that sum.
    """

    prototypes: Floats
    means: Floats
    deviations: Floats
    species: Floats
    bird: Floats
    set_threshold: float
    set_penalty: float


class Judge:
    """Gives verdicts.

    :param strictness: the share of photos of known species, 0 to 1, that may be refused.
    """

    def __init__(self, rules: VerdictRules, strictness: float = STRICTNESS) -> None:
        self._rules, self._strictness = rules, strictness

    def familiarity(self, features: Floats, probabilities: Floats) -> Familiarity:
        """Compare a photo with those of the known species.

        :param features: pooled, ``float32[channels]``.
        :param probabilities: of all species, ``float[species]``.
        """
        rules = self._rules
        scores = familiarity_scores(features[np.newaxis], probabilities[np.newaxis], rules.prototypes)
        return Familiarity(
            species=share_below(combined(scores, rules)[0], rules.species),
            bird=share_below(scores[0, 1], rules.bird),
        )

    def verdict(self, familiarity: Familiarity, probabilities: Floats) -> tuple[Verdict, int]:
        """The verdict, and how many of the most likely species it takes to be right in 95 of 100 unsure answers.

        :param probabilities: of all species, or of the ``CANDIDATES`` most likely ones.
        """
        rules = self._rules
        likely = int(set_sizes(probabilities[np.newaxis], rules.set_threshold, rules.set_penalty)[0])
        if familiarity.bird < NO_BIRD_SHARE * self._strictness:
            return Verdict.NO_BIRD, likely
        if familiarity.species < self._strictness:
            return Verdict.UNKNOWN_BIRD, likely
        return (Verdict.UNSURE if likely > 1 else Verdict.SURE), likely


def familiarity_scores(features: Floats, probabilities: Floats, prototypes: Floats) -> Floats:
    """Contrast and likeness of several photos, ``float[n, 2]``.

    :param features: pooled, ``float32[n, channels]``.
    :param probabilities: ``float[n, species]``.
    :param prototypes: ``float32[m, channels]``.
    """
    contrast = -np.log(np.maximum(probabilities, LEAST_PROBABILITY)).mean(axis=1)
    # Not @: its threads wait for each other where other work has the processor, for milliseconds.
    likeness = np.einsum("nc,mc->nm", directions(features), prototypes).max(axis=1)
    return np.stack([contrast, likeness], axis=1).astype("float64")


def directions(features: Floats) -> Floats:
    """Pooled features as vectors of length 1, whose products are similarities.

    The square root makes of features, which are hardly ever negative, ones whose differences are comparable.

    :param features: ``float32[n, channels]``.
    """
    roots = np.sqrt(np.maximum(features, 0))
    lengths = np.linalg.norm(roots, axis=-1, keepdims=True)
    scaled: Floats = roots / np.maximum(lengths, 1e-12)
    return scaled


def combined(scores: Floats, rules: VerdictRules) -> Floats:
    """The sum of both scores, standardized, ``float[n]``.

    :param scores: ``float[n, 2]``.
    """
    total: Floats = ((scores - rules.means) / rules.deviations).sum(axis=1)
    return total


def share_below(score: float, quantiles: Floats) -> float:
    """The share of validation photos, 0 to 1, with a lower score; 0 for a score that is not a number."""
    return float(np.interp(score, quantiles, LEVELS, left=0.0)) if np.isfinite(score) else 0.0


def set_sizes(probabilities: Floats, threshold: float, penalty: float) -> NDArray[np.int_]:
    """The sizes of prediction sets, ``int[n]``: of the most likely species so many that the set is complete.

    These are the sets of RAPS (Angelopoulos et al. 2021, arXiv:2009.14193) without their randomness, and with
    ``CANDIDATES`` species at most.

    :param probabilities: ``float[n, species]``; the ``CANDIDATES`` highest of each photo are enough.
    """
    highest = -np.sort(-probabilities, axis=1)[:, :CANDIDATES]
    sums = np.cumsum(highest, axis=1) + penalty * np.arange(highest.shape[1])
    sizes: NDArray[np.int_] = np.minimum(1 + (sums < threshold).sum(axis=1), highest.shape[1])
    return sizes
