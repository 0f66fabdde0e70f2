"""training/evaluation.py: figures from probabilities."""

import numpy as np
import pytest

from training.evaluation import (
    answered_above,
    calibration_bins,
    calibration_error,
    fit_temperature,
    most_confused,
    precision_and_recall,
    softmax,
    top_k,
    unsure_below,
)

# Four pictures of the labels 0, 1, 2, 2; the second and the last are answered wrongly.
PROBABILITIES = np.array([[0.9, 0.05, 0.05], [0.2, 0.1, 0.7], [0.1, 0.1, 0.8], [0.3, 0.5, 0.2]])
TARGETS = np.array([0, 1, 2, 2])


def drawn(temperature: float, pictures: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a network whose logits are ``temperature`` times what they should be, and drawn labels."""
    rng = np.random.default_rng(0)
    honest = softmax(rng.normal(0, 2, (pictures, 5)))
    targets = (honest.cumsum(axis=1) > rng.random((pictures, 1))).argmax(axis=1)
    return softmax(np.log(honest) * temperature), targets


def test_top_k_counts_the_label_among_the_k_likeliest():
    assert [top_k(PROBABILITIES, TARGETS, k) for k in (1, 2, 3)] == [0.5, 0.5, 1.0]


def test_recall_is_of_the_pictures_and_precision_of_the_answers():
    figures = precision_and_recall(PROBABILITIES, TARGETS, 4)
    assert figures == [
        {"pictures": 1, "recall": 1.0, "precision": 1.0},
        {"pictures": 1, "recall": 0.0, "precision": 0.0},
        {"pictures": 2, "recall": 0.5, "precision": 0.5},
        {"pictures": 0, "recall": None, "precision": None},
    ]


def test_a_pair_is_confused_either_way_round():
    assert most_confused(PROBABILITIES, TARGETS) == [(1, 2, 2)]


def test_calibration_error_is_the_mean_gap_between_confidence_and_right_answers():
    # In 15 steps, 0.9, 0.7, 0.8 and 0.5 lie in one each: gaps of 0.1, 0.7, 0.2 and 0.5.
    assert [step["pictures"] for step in calibration_bins(PROBABILITIES, TARGETS)] == [1, 1, 1, 1]
    assert calibration_error(PROBABILITIES, TARGETS) == pytest.approx((0.1 + 0.7 + 0.2 + 0.5) / 4)
    assert calibration_error(np.eye(3), np.arange(3)) == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_that_distorted_the_confidence_is_found_and_takes_the_error_away(temperature):
    probabilities, targets = drawn(temperature)
    found = fit_temperature(probabilities, targets)
    assert found == pytest.approx(temperature, rel=0.05)
    calibrated = softmax(np.log(probabilities) / found)
    assert calibration_error(calibrated, targets) < 0.015
    if temperature != 1:
        assert calibration_error(probabilities, targets) > 0.05


def test_a_temperature_fitted_on_too_few_pictures_stays_within_bounds():
    assert fit_temperature(np.array([[0.6, 0.4]]), np.array([0])) == pytest.approx(0.2)
    assert fit_temperature(np.array([[0.6, 0.4]]), np.array([1])) == pytest.approx(5.0)
    assert fit_temperature(np.array([[1.0, 0.0]], dtype="float32"), np.array([1])) == pytest.approx(5.0)


def test_who_speaks_only_when_sure_speaks_less_and_is_right_more_often():
    rows = answered_above(PROBABILITIES, TARGETS)
    assert [row["confidence"] for row in rows] == [hundredth / 100 for hundredth in range(100)]
    assert rows[0] == {"confidence": 0.0, "answered": 1.0, "right": 0.5}
    assert rows[75] == {"confidence": 0.75, "answered": 0.5, "right": 1.0}
    assert rows[99] == {"confidence": 0.99, "answered": 0.0, "right": None}


def test_unsure_is_a_confidence_below_which_half_of_the_answers_are_wrong():
    sure = np.array([[0.95, 0.05, 0], [0.05, 0.95, 0], [0.9, 0.1, 0]])
    # Below 0.9 there are 0.5, 0.7 and 0.8, of which one is right; the next two are right.
    assert unsure_below(np.vstack([PROBABILITIES, sure]), np.append(TARGETS, [0, 1, 0])) == 0.9
    assert unsure_below(np.eye(3), np.arange(3)) == 0.0
