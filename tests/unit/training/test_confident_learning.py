"""training/confident_learning.py: wrong labels are found by classifiers that did not learn from them."""

import numpy as np

from tests.support.pictures import picture
from training.confident_learning import (
    FOLDS,
    discriminant_scores,
    find_suspects,
    out_of_fold_probabilities,
    stratified_folds,
)
from training.evaluation import top_k

COLORS = ["red", "orange", "green", "blue", "purple", "brown"]


def drawn(photos: int) -> tuple[np.ndarray, np.ndarray]:
    """As many drawings of each color, as 48 features, and the index of each one's color."""
    rng = np.random.default_rng(0)
    features = [np.asarray(picture(color, rng).resize((4, 4))).ravel() / 255 for color in COLORS for _ in range(photos)]
    return np.stack(features), np.repeat(np.arange(len(COLORS)), photos)


def alone(photos: np.ndarray) -> list[list[int]]:
    return [[photo] for photo in range(len(photos))]


def test_of_labels_that_were_swapped_eight_in_ten_are_found_and_no_others_are_suspected():
    features, colors = drawn(40)
    rng = np.random.default_rng(1)
    swapped = rng.choice(len(colors), 12, replace=False)
    targets = colors.copy()
    targets[swapped] = (colors[swapped] + rng.integers(1, len(COLORS), len(swapped))) % len(COLORS)
    suspects = find_suspects(out_of_fold_probabilities(features, targets, alone(targets)), targets)
    found = {suspect.photo for suspect in suspects} & set(swapped.tolist())
    assert len(found) / len(swapped) >= 0.8  # recall
    assert len(found) / len(suspects) == 1.0  # precision
    assert all(suspect.looks_like == colors[suspect.photo] for suspect in suspects if suspect.photo in found)
    assert [suspect.own - suspect.other for suspect in suspects] == sorted(s.own - s.other for s in suspects)


def test_where_all_labels_are_right_hardly_any_is_suspected():
    features, colors = drawn(40)
    probabilities = out_of_fold_probabilities(features, colors, alone(colors))
    assert top_k(probabilities, colors, 1) > 0.98
    assert len(find_suspects(probabilities, colors)) <= 2
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_a_copy_under_the_wrong_label_does_not_vouch_for_a_photo():
    features, colors = drawn(12)
    features = np.concatenate([features, features[:1], features[:1]])
    targets = np.append(colors, [3, 3])  # two copies of a red photo, labelled blue
    targets[0] = 3
    groups = [[0, len(colors), len(colors) + 1], *[[photo] for photo in range(1, len(colors))]]
    suspects = find_suspects(out_of_fold_probabilities(features, targets, groups), targets)
    assert {0, len(colors), len(colors) + 1} <= {suspect.photo for suspect in suspects}


def test_each_label_is_spread_over_the_folds_and_copies_stay_together():
    targets = np.repeat([0, 1, 2], [23, 10, 5])
    groups = [[0, 1, 2], [23, 24], *[[photo] for photo in range(38) if photo not in (0, 1, 2, 23, 24)]]
    folds = stratified_folds(targets, groups)
    assert len(set(folds[[0, 1, 2]])) == len(set(folds[[23, 24]])) == 1
    for label in range(3):
        counts = np.bincount(folds[targets == label], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1


def test_a_label_whose_photos_are_all_copies_is_spread_all_the_same():
    folds = stratified_folds(np.repeat([0, 1], 5), [[0, 1, 2, 3, 4], [5], [6], [7], [8], [9]])
    assert sorted(folds[:5]) == sorted(folds[5:]) == list(range(FOLDS))


def test_more_features_than_photos_some_of_which_never_vary_are_no_obstacle():
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1], 5)
    features = np.hstack([rng.normal(size=(10, 40)) + 3 * targets[:, np.newaxis], np.ones((10, 3))])
    scores = discriminant_scores(features, targets, features, 3)
    assert np.isneginf(scores[:, 2]).all()
    assert scores[:, :2].argmax(axis=1).tolist() == targets.tolist()


def test_a_photo_is_suspected_of_the_most_probable_label_among_those_that_are_as_probable_as_usual():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.0, 0.6, 0.4], [0.4, 0.35, 0.25]])
    # Usual are 0.55 for the first label (photos 0 and 1), 0.58 for the second, 0.4 for the third.
    suspects = find_suspects(probabilities, np.array([0, 0, 1, 2, 1]))
    assert [(suspect.photo, suspect.looks_like, suspect.own, suspect.other) for suspect in suspects] == [
        (3, 1, 0.4, 0.6)
    ]
