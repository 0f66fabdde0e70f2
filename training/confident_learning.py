"""Which labels are probably wrong, by confident learning (Northcutt et al. 2021, arXiv:1911.00068)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .data import SEED
from .evaluation import Floats, Ints, fit_temperature, softmax

FOLDS = 5
SHRINKAGE = 0.1  # of the covariance towards its diagonal; from 0.03 to 0.3 the results are alike


@dataclass(frozen=True)
class Suspect:
    """A photo whose label is probably wrong.

    :param photo: its index.
    :param looks_like: the class index of the label that it looks like.
    :param own: probability of the label that it has, 0 to 1.
    :param other: probability of the one that it looks like, 0 to 1.
    """

    photo: int
    looks_like: int
    own: float
    other: float


def out_of_fold_probabilities(features: Floats, targets: Ints, groups: Sequence[Sequence[int]]) -> Floats:
    """What a classifier that did not learn from a photo says of it.

    The classifier is linear discriminant analysis, which has a closed form. Its probabilities, calibrated with one
    temperature, are those of the labels as they are, mistakes included.

    :param features: ``float[photos, features]``.
    :param targets: ``int[photos]``.
    :param groups: the indices of all photos; copies of a photo are in one group, and are judged by the same classifier.
    :return: ``float[photos, classes]``.
    """
    classes = int(targets.max()) + 1
    fold_of = stratified_folds(targets, groups)
    scores = np.zeros((len(targets), classes))
    for fold in range(FOLDS):
        judged = fold_of == fold
        if judged.any():
            scores[judged] = discriminant_scores(features[~judged], targets[~judged], features[judged], classes)
    # The features depend on each other more than a covariance of so few photos shows, so the scores are too large.
    uncalibrated = softmax(scores / features.shape[1] ** 0.5)
    logits = np.log(np.maximum(uncalibrated, 1e-30))
    return softmax(logits / fit_temperature(uncalibrated, targets))


def stratified_folds(targets: Ints, groups: Sequence[Sequence[int]]) -> Ints:
    """The fold of each photo, ``int[photos]``: each label's photos are spread evenly, and groups stay together.

    A label that has but one group is spread all the same: otherwise nobody who knows the label would judge it.
    """
    rng = np.random.default_rng(SEED)
    fold_of = np.zeros(len(targets), dtype=int)
    of_label: dict[int, list[Sequence[int]]] = {}
    for group in groups:
        of_label.setdefault(int(targets[group[0]]), []).append(group)
    for own in of_label.values():
        parts = [[photo] for photo in own[0]] if len(own) == 1 else own
        counts = np.zeros(FOLDS)
        first = rng.integers(FOLDS)  # else the first fold would get the odd photo of every label
        for number in rng.permutation(len(parts)):
            fold = (int(np.argmin(np.roll(counts, -first))) + first) % FOLDS
            fold_of[list(parts[number])] = fold
            counts[fold] += len(parts[number])
    return fold_of


def discriminant_scores(known: Floats, targets: Ints, judged: Floats, classes: int) -> Floats:
    """Linear discriminant analysis with a shrunk covariance, and labels that are equally frequent.

    :param known: ``float[photos, features]``, with their ``targets``.
    :param judged: ``float[others, features]``.
    :return: logarithms of the labels' likelihoods, up to a constant: ``float[others, classes]``; minus infinity for a
        label that none of the known photos has.
    """
    present = np.unique(targets)
    means = np.stack([known[targets == label].mean(axis=0) for label in present])
    deviations = known - means[np.searchsorted(present, targets)]
    scale = np.sqrt((deviations**2).mean(axis=0))
    scale = np.where(scale > 1e-6 * scale.max(initial=1e-12), scale, np.inf)  # what never varies tells nothing
    deviations, means, judged = deviations / scale, means / scale, judged / scale
    covariance = (1 - SHRINKAGE) * (deviations.T @ deviations) / len(known)
    covariance[np.diag_indices_from(covariance)] += SHRINKAGE
    directions = np.linalg.solve(covariance, means.T)
    scores = np.full((len(judged), classes), -np.inf)
    scores[:, present] = judged @ directions - (means.T * directions).sum(axis=0) / 2
    return scores


def find_suspects(probabilities: Floats, targets: Ints) -> list[Suspect]:
    """The photos that are off the diagonal of the confident joint (section 3.1), the most suspicious first.

    A photo looks like a label if its probability is at least the mean that the photos with that label have for it;
    if several do, like the most probable. It is a suspect if it looks like another label than its own. The order is
    that of the own label's probability less the other's.

    :param probabilities: out-of-fold, ``float[photos, classes]``.
    :param targets: ``int[photos]``.
    """
    photos = np.arange(len(targets))
    own = probabilities[photos, targets]
    means = [own[targets == label].mean() if label in targets else np.inf for label in range(probabilities.shape[1])]
    reached = np.where((probabilities >= means) & (probabilities > 0), probabilities, -1.0)
    looks_like = reached.argmax(axis=1)
    suspicious = (reached.max(axis=1) > 0) & (looks_like != targets)
    suspects = [
        Suspect(int(photo), int(looks_like[photo]), float(own[photo]), float(probabilities[photo, looks_like[photo]]))
        for photo in photos[suspicious]
    ]
    return sorted(suspects, key=lambda suspect: suspect.own - suspect.other)
