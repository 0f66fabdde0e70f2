"""training/evaluation.py: metrics from probabilities."""

import numpy as np
import pytest

from inference.model_card import CoveragePoint, SpeciesScore
from training.evaluation import (
    calibration_bins,
    calibration_error,
    confusion,
    coverage_accuracy_curve,
    fit_temperature,
    most_confused,
    softmax,
    species_scores,
    top_k,
    unsure_below,
)

# Four photos of the labels 0, 1, 2, 2; the second and the last are named wrongly.
PROBABILITIES = np.array([[0.9, 0.05, 0.05], [0.2, 0.1, 0.7], [0.1, 0.1, 0.8], [0.3, 0.5, 0.2]])
TARGETS = np.array([0, 1, 2, 2])


def drawn(temperature: float, photos: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a network whose logits are ``temperature`` times what they should be, and drawn labels."""
    rng = np.random.default_rng(0)
    calibrated = softmax(rng.normal(0, 2, (photos, 5)))
    targets = (calibrated.cumsum(axis=1) > rng.random((photos, 1))).argmax(axis=1)
    return softmax(np.log(calibrated) * temperature), targets


def test_top_k_counts_the_label_among_the_k_likeliest():
    assert [top_k(PROBABILITIES, TARGETS, k) for k in (1, 2, 3)] == [0.5, 0.5, 1.0]


def test_recall_is_of_the_photos_and_precision_of_the_answers():
    assert species_scores(PROBABILITIES, TARGETS, 4) == [
        SpeciesScore(photos=1, recall=1.0, precision=1.0),
        SpeciesScore(photos=1, recall=0.0, precision=0.0),
        SpeciesScore(photos=2, recall=0.5, precision=0.5),
        SpeciesScore(photos=0, recall=None, precision=None),
    ]


def test_a_pair_is_confused_either_way_round():
    assert most_confused(PROBABILITIES, TARGETS) == [(1, 2, 2)]


def test_the_confusion_has_a_direction_and_leaves_out_what_does_not_occur():
    assert confusion(PROBABILITIES, TARGETS) == {(1, 2): 1, (2, 1): 1}
    always_the_second = np.tile([0.1, 0.8, 0.1], (6, 1))
    assert confusion(always_the_second, np.array([0, 0, 0, 1, 2, 2])) == {(0, 1): 3, (2, 1): 2}
    assert most_confused(always_the_second, np.array([0, 0, 0, 1, 2, 2])) == [(0, 1, 3), (1, 2, 2)]
    assert confusion(np.eye(4), np.arange(4)) == {}


def test_calibration_error_is_the_mean_gap_between_confidence_and_accuracy():
    # In 15 steps, 0.9, 0.7, 0.8 and 0.5 lie in one each: gaps of 0.1, 0.7, 0.2 and 0.5.
    assert [each.photos for each in calibration_bins(PROBABILITIES, TARGETS)] == [1, 1, 1, 1]
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


def test_the_temperature_for_smoothed_labels_gives_the_least_loss_in_training():
    probabilities, targets = drawn(0.5, 2_000)
    logits, classes = np.log(probabilities), probabilities.shape[1]
    smoothed = 0.9 * np.eye(classes)[targets] + 0.1 / classes

    def loss(temperature: float) -> float:
        return float(-(smoothed * np.log(softmax(logits / temperature))).sum(axis=1).mean())

    found = fit_temperature(probabilities, targets, smoothing=0.1)
    assert loss(found) < min(loss(found * 0.98), loss(found * 1.02), loss(fit_temperature(probabilities, targets)))


def test_a_temperature_fitted_on_too_few_photos_stays_within_bounds():
    assert fit_temperature(np.array([[0.6, 0.4]]), np.array([0])) == pytest.approx(0.2)
    assert fit_temperature(np.array([[0.6, 0.4]]), np.array([1])) == pytest.approx(5.0)
    assert fit_temperature(np.array([[1.0, 0.0]], dtype="float32"), np.array([1])) == pytest.approx(5.0)


def test_above_a_confidence_fewer_photos_get_an_answer_and_more_of_them_are_named_correctly():
    curve = coverage_accuracy_curve(PROBABILITIES, TARGETS)
    assert [point.confidence for point in curve] == [hundredth / 100 for hundredth in range(100)]
    assert curve[0] == CoveragePoint(confidence=0.0, coverage=1.0, accuracy=0.5)
    assert curve[75] == CoveragePoint(confidence=0.75, coverage=0.5, accuracy=1.0)
    assert curve[99] == CoveragePoint(confidence=0.99, coverage=0.0, accuracy=None)


def test_unsure_is_a_confidence_below_which_half_of_the_answers_are_wrong():
    sure = np.array([[0.95, 0.05, 0], [0.05, 0.95, 0], [0.9, 0.1, 0]])
    # Below 0.9 there are 0.5, 0.7 and 0.8, of which one is right; the next two are right.
    assert unsure_below(np.vstack([PROBABILITIES, sure]), np.append(TARGETS, [0, 1, 0])) == 0.9
    assert unsure_below(np.eye(3), np.arange(3)) == 0.0
