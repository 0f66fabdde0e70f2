"""inference/pooled_head.py: the scores of single places, and the map of what speaks for a species."""

from dataclasses import replace

import numpy as np
import pytest

from inference.pooled_head import PooledHead

CHANNELS, SPECIES = 6, 4


@pytest.fixture
def head() -> PooledHead:
    """A head of random weights."""
    chance = np.random.default_rng(3)
    kernel = chance.normal(size=(CHANNELS, SPECIES)).astype("float32")
    return PooledHead(kernel, (0.1 * chance.normal(size=SPECIES)).astype("float32"))


def random_features(rows: int = 5, columns: int = 7) -> np.ndarray:
    chance = np.random.default_rng(4)
    shape = (rows, columns, CHANNELS)
    return np.where(chance.random(shape) < 0.3, chance.random(shape), 0).astype("float32")  # most features are absent


def test_the_mean_of_the_scores_of_all_places_is_the_score_of_the_pooled_features(head):
    features = random_features()
    pooled = features.mean(axis=(0, 1)) @ head.kernel + head.bias
    np.testing.assert_allclose(head.scores(features).mean(axis=(0, 1)), pooled, rtol=1e-5)
    np.testing.assert_allclose(head.scores(features.mean(axis=(0, 1))), pooled, rtol=1e-5)


@pytest.mark.parametrize("index", range(SPECIES))
def test_a_map_has_the_shape_of_the_features_and_shares_of_the_largest_addition(head, index):
    shares = np.array(head.activation_map(random_features(), index))
    assert shares.shape == (5, 7)
    assert shares.min() >= 0
    assert shares.max() == 1


def test_a_map_marks_the_place_that_speaks_for_the_species():
    head = PooledHead(np.eye(3, dtype="float32"), np.zeros(3, "float32"))
    features = np.full((5, 5, 3), 0.1, "float32")
    features[1, 3] = (0, 4, 0)
    features[4, 0] = (0, 2, 0)
    features[0, 0] = (9, 0, 0)  # speaks for another species
    shares = np.array(head.activation_map(features, 1))
    assert (shares[1, 3], shares[4, 0], shares[0, 0]) == (1, 0.5, 0)
    assert (shares > 0).sum() == 2


def test_a_map_has_only_zeros_where_nothing_speaks_for_the_species():
    head = PooledHead(np.array([[1, 0]], "float32"), np.array([0, 1], "float32"))
    assert head.activation_map(np.full((2, 3, 1), 5, "float32"), 1) == ((0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_place_whose_features_are_no_numbers_counts_for_nothing(head, number):
    head = replace(head, bias=np.zeros(SPECIES, "float32"))
    features = random_features()
    expected = np.array(head.activation_map(features, 0))
    row, column = np.argwhere(expected < 1)[-1]
    features[row, column] = number
    expected[row, column] = 0
    np.testing.assert_array_equal(head.activation_map(features, 0), expected)
    assert not np.any(head.activation_map(np.full_like(features, number), 0))
