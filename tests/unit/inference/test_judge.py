"""inference/judge.py: which answers are refused, and how many species an unsure one names."""

import numpy as np
import pytest

from inference.judge import (
    LEVELS,
    Judge,
    VerdictRules,
    directions,
    familiarity_scores,
    set_sizes,
    share_below,
)
from inference.verdict import Familiarity, Verdict

PROTOTYPES = directions(np.array([[4, 0, 0, 1], [0, 4, 0, 1]], "float32"))
RULES = VerdictRules(PROTOTYPES, np.zeros(2), np.ones(2), LEVELS, LEVELS, 0.9, 0.05)
SURE, TORN = np.array([0.95, 0.03, 0.02]), np.array([0.6, 0.38, 0.02])
FAMILIAR = Familiarity(species=0.5, bird=0.5)


def verdict(species: float, bird: float, probabilities: np.ndarray = SURE, strictness: float = 0.05) -> Verdict:
    return Judge(RULES, strictness).verdict(Familiarity(species, bird), probabilities)[0]


def test_a_familiar_photo_gets_a_sure_answer_if_one_species_is_likely_and_an_unsure_one_otherwise():
    assert Judge(RULES).verdict(FAMILIAR, SURE) == (Verdict.SURE, 1)
    assert Judge(RULES).verdict(FAMILIAR, TORN) == (Verdict.UNSURE, 2)


def test_what_looks_like_none_of_the_species_is_refused_however_sure_the_network_is():
    assert verdict(species=0.04, bird=0.5) is Verdict.UNKNOWN_BIRD
    assert verdict(species=0.06, bird=0.5) is Verdict.SURE
    assert verdict(species=0.0, bird=0.004) is Verdict.NO_BIRD
    assert verdict(species=0.06, bird=0.004) is Verdict.NO_BIRD
    assert verdict(species=0.0, bird=0.006) is Verdict.UNKNOWN_BIRD


def test_the_strictness_is_the_share_of_known_birds_that_are_refused():
    familiarities = np.linspace(0, 1, 1000, endpoint=False)  # as those of photos of known species are
    for strictness in (0, 0.01, 0.05, 0.2):
        refused = [not verdict(each, each, strictness=strictness).names_species for each in familiarities]
        assert np.mean(refused) == pytest.approx(strictness, abs=0.001)


def test_a_photo_like_a_prototype_is_more_familiar_than_one_with_other_features():
    features = np.array([[3, 0, 0, 1], [0, 1, 3, 1], [0, 0, 9, 0]], "float32")
    likeness = familiarity_scores(features, np.stack([SURE] * 3), PROTOTYPES)[:, 1]
    assert likeness[0] > likeness[1] > likeness[2]
    assert likeness[2] == 0


def test_the_length_of_the_features_does_not_make_a_photo_familiar():
    features = np.array([[1, 2, 3, 4]], "float32")
    few, many = (familiarity_scores(each, SURE[np.newaxis], PROTOTYPES) for each in (features, 100 * features))
    np.testing.assert_allclose(few, many, rtol=1e-5)


def test_the_more_the_species_differ_in_probability_the_more_familiar_is_a_photo():
    probabilities = np.array([[0.999, 0.0005, 0.0005], SURE, TORN, [0.34, 0.33, 0.33]])
    contrast = familiarity_scores(np.ones((4, 4), "float32"), probabilities, PROTOTYPES)[:, 0]
    assert sorted(contrast, reverse=True) == list(contrast)


def test_a_probability_that_was_rounded_to_nothing_is_no_proof():
    rounded = familiarity_scores(np.ones((1, 4), "float32"), np.array([[1.0, 0.0, 0.0]]), PROTOTYPES)
    assert np.isfinite(rounded).all()


def test_familiarity_counts_the_validation_photos_with_a_lower_score():
    quantiles = np.linspace(10, 30, len(LEVELS))
    assert [share_below(score, quantiles) for score in (5, 10, 15, 20.05, 30, 99)] == pytest.approx(
        [0, 0, 0.25, 0.5025, 1, 1]
    )


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_familiar_to_nobody(score):
    assert share_below(score, LEVELS) == 0


def test_features_that_are_all_zero_are_no_bird():
    judge = Judge(RULES)
    familiarity = judge.familiarity(np.zeros(4, "float32"), SURE)
    assert judge.verdict(familiarity, SURE)[0] is Verdict.NO_BIRD


def test_a_prediction_set_takes_the_most_likely_species_until_it_is_complete():
    probabilities = np.array([[0.02, 0.95, 0.03], [0.5, 0.3, 0.2], [0.52, 0.41, 0.07]])
    assert set_sizes(probabilities, threshold=0.9, penalty=0).tolist() == [1, 3, 2]
    assert set_sizes(probabilities, threshold=0.9, penalty=0.1).tolist() == [1, 2, 2]


def test_a_prediction_set_has_no_more_species_than_an_answer_has_candidates():
    assert set_sizes(np.full((1, 100), 0.01), threshold=0.9, penalty=0).tolist() == [5]
    assert set_sizes(np.array([[0.5, 0.5]]), threshold=2, penalty=0).tolist() == [2]
