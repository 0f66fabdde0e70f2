"""inference/head.py: whatever a network's scores are, they become probabilities, or the network is refused."""

import json
import zipfile

import h5py
import numpy as np
import pytest

from inference.head import HeadError, Scores, meaning_in_training, meaning_of_scores, probabilities

LOGITS = np.array([[3.5, -3.0, 0.4], [1.0, 2.0, -6.0], [-0.1, 0.0, 0.1]], dtype="float32")
SOFTMAX = (np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)).astype("float32")
SIGMOID = 1 / (1 + np.exp(-LOGITS))


@pytest.mark.parametrize(
    ("scores", "activation"),
    [
        (SOFTMAX, "softmax"),
        (100 * SOFTMAX, "softmax"),  # percent
        (SOFTMAX, "dividebysum"),  # of a layer that is not known
        (SOFTMAX, "concatenate"),
        (SOFTMAX, "linear"),  # a dense layer after the softmax
        (LOGITS, "linear"),
        (LOGITS, ""),
        (LOGITS + 10, "linear"),  # no number of them is negative
        (LOGITS + 10, "batchnormalization"),
        (np.log(SOFTMAX), "logsoftmax"),
    ],
)
def test_the_probabilities_are_those_that_the_network_means(scores, activation):
    meaning = meaning_of_scores(scores, activation, None)
    found = probabilities(scores, meaning)
    np.testing.assert_allclose(found, SOFTMAX, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


def test_an_image_for_which_a_network_gives_no_numbers_does_not_change_what_its_scores_mean():
    blank = np.full((1, 3), np.nan, dtype="float32")
    for scores, activation in ((SOFTMAX, "softmax"), (SOFTMAX, "dividebysum"), (LOGITS, "linear")):
        expected = meaning_of_scores(scores, activation, None)
        assert meaning_of_scores(np.concatenate([blank, scores]), activation, None) is expected


@pytest.mark.parametrize(
    ("score", "activation", "second"),
    [
        (0.3, "sigmoid", 0.3),
        (0.3, "linear", 1 / (1 + np.exp(-0.3))),
        (-3.0, "linear", 1 / (1 + np.exp(3.0))),
        (1000.0, "linear", 1.0),
        (-1000.0, "linear", 0.0),
        (-0.4, "tanh", 0.3),
        (0.3, "divide", 0.3),
    ],
)
def test_a_single_score_is_that_of_the_second_of_two_classes(score, activation, second):
    scores = np.array([[score]], dtype="float32")
    found = probabilities(scores, meaning_of_scores(scores, activation, None))
    np.testing.assert_allclose(found, [[1 - second, second]], atol=1e-6)


@pytest.mark.parametrize(
    ("scores", "activation", "sentence"),
    [
        (SIGMOID, "sigmoid", "scores each class by itself"),
        (SIGMOID, "hardsigmoidofkeras2", "scores each class by itself"),
        (SIGMOID, "concatenate", "scores each class by itself"),  # one sigmoid for each class, put together
        (SOFTMAX * [1, np.nan, 1], "softmax", "gives NaN or infinity instead of scores"),
        (
            np.where(LOGITS.max(axis=1, keepdims=True) == LOGITS, np.inf, LOGITS),
            "linear",
            "gives NaN or infinity instead of scores",
        ),
        (np.ones((3, 1)), "softmax", "has a softmax over a single number"),
        (np.ones((3, 3)), "softmax", "has a softmax over a single number"),  # along another axis than the classes
        (np.array([[31.0], [12.0]]), "sigmoid", "changes the result of its sigmoid"),
    ],
)
def test_scores_that_are_none_of_classes_that_exclude_each_other_are_refused(scores, activation, sentence):
    with pytest.raises(HeadError, match=sentence):
        meaning_of_scores(scores, activation, None)


def test_a_sigmoid_for_each_class_means_what_its_loss_took_it_for():
    shares = probabilities(SIGMOID, meaning_of_scores(SIGMOID, "sigmoid", Scores.SHARES))
    np.testing.assert_allclose(shares, SIGMOID / SIGMOID.sum(axis=1, keepdims=True), atol=1e-6)
    logits = probabilities(SIGMOID, meaning_of_scores(SIGMOID, "sigmoid", Scores.LOGITS))
    np.testing.assert_allclose(logits, np.exp(SIGMOID) / np.exp(SIGMOID).sum(axis=1, keepdims=True), atol=1e-6)


CATEGORICAL = {"class_name": "CategoricalCrossentropy", "config": {"name": "x", "from_logits": False}}
SPARSE_FROM_LOGITS = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}


@pytest.mark.parametrize(
    ("training_config", "meaning"),
    [
        ('{"loss": "categorical_crossentropy"}', Scores.SHARES),
        ('{"loss": "sparse_categorical_crossentropy"}', Scores.SHARES),
        ('{"loss": {"dense": "categorical_crossentropy"}}', Scores.SHARES),
        (json.dumps({"loss": [CATEGORICAL]}), Scores.SHARES),
        (json.dumps({"loss": SPARSE_FROM_LOGITS}), Scores.LOGITS),
        ('{"loss": "binary_crossentropy", "metrics": ["categorical_crossentropy"]}', None),
        ('{"loss": null}', None),
        ("{}", None),
        ("[]", None),
        ("no JSON", None),
        ("[" * 100_000, None),
        (7, None),
        (None, None),
    ],
)
def test_the_loss_in_a_file_says_what_the_scores_were_taken_for(tmp_path, training_config, meaning):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        if isinstance(training_config, str) and len(training_config) > 2**15:
            training_config = np.bytes_(training_config[: 2**15])  # an attribute takes no more
        if training_config is not None:
            file.attrs["training_config"] = training_config
    assert meaning_in_training(tmp_path / "model.h5") is meaning


@pytest.mark.parametrize(
    ("description", "meaning"), [({"compile_config": {"loss": "categorical_crossentropy"}}, Scores.SHARES), ({}, None)]
)
def test_a_keras_archive_says_it_too(tmp_path, description, meaning):
    h5py.File(tmp_path / "weights.h5", "w").close()
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(description))
        archive.write(tmp_path / "weights.h5", "model.weights.h5")
    assert meaning_in_training(tmp_path / "model.keras") is meaning


@pytest.mark.parametrize("meaning", list(Scores))
@pytest.mark.parametrize("classes", [1, 2, 121])
def test_whatever_a_network_gives_for_a_photo_no_probability_is_below_0_or_above_1_and_their_sum_is_1(meaning, classes):
    rng = np.random.default_rng(0)
    scores = rng.normal(scale=1000, size=(50, classes)).astype("float32")
    for row, numbers in enumerate([0, -1, 1, 1e38, -1e38, np.nan, np.inf, -np.inf]):
        scores[row] = numbers
        scores[10 + row, 0] = numbers
    found = probabilities(scores, meaning)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
