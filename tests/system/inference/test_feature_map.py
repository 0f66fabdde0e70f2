"""inference/feature_map.py: the head of a network is found, and the network runs on images of any size."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from inference import tracing
from inference.classifier import Classifier
from inference.feature_map import find_pooled_head, run
from inference.folding import compute_in_bfloat16, fold_batch_normalization
from tests.system.inference.test_classifier import PIXELS, load, saved

__all__ = ["saved"]  # a fixture

CLASSES = 3
NO_HEAD = "There is no closer look at small birds, no verdict such as that a photo shows no bird, and no map of"
ONE_SIZE = "There is no closer look at small birds: "
PICTURE = np.random.default_rng(1).integers(0, 256, (900, 1200, 3), dtype="uint8")


def convolved(images: keras.KerasTensor, channels: int = 8) -> keras.KerasTensor:
    """A few layers that take images of any size."""
    features = layers.Conv2D(channels, 16, strides=16, use_bias=False)(images)
    features = layers.Activation("relu")(layers.BatchNormalization()(features))
    return layers.Conv2D(channels, 3, padding="same", activation="relu")(features)


def with_head(*head: layers.Layer, size: int | None = 224) -> keras.Model:
    images = keras.Input((size, size, 3))
    features = convolved(images)
    for layer in head:
        features = layer(features)
    return keras.Model(images, features)


def pooled_and_dense(size: int | None = 224) -> keras.Model:
    return with_head(layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="softmax"), size=size)


def any_size() -> keras.Model:
    return pooled_and_dense(None)


def kept_places() -> keras.Model:
    pooling = layers.GlobalAveragePooling2D(keepdims=True)
    return with_head(pooling, layers.Flatten(), layers.Dense(CLASSES, activation="softmax"))


def dropout_and_activation() -> keras.Model:
    layers_of_head = (layers.Dropout(0.5), layers.Dense(CLASSES), layers.Activation("softmax"))
    return with_head(layers.GlobalAveragePooling2D(), *layers_of_head)


def softmax_layer() -> keras.Model:
    return with_head(layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, use_bias=False), layers.Softmax())


def logits() -> keras.Model:
    return with_head(layers.GlobalAveragePooling2D(), layers.Dense(CLASSES))


def pooling_in_base() -> keras.Model:
    """As ``keras.applications`` networks with ``pooling="avg"``, called on images that are scaled before."""
    inner = keras.Input((224, 224, 3))
    base = keras.Model(inner, layers.GlobalAveragePooling2D()(convolved(inner)))
    images = keras.Input((224, 224, 3))
    features = base(layers.Rescaling(2.0, -1.0)(images), training=False)
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(layers.Dropout(0.2)(features)))


def sequential() -> keras.Model:
    head = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="softmax")]
    return keras.Sequential([keras.Input((224, 224, 3)), layers.Conv2D(8, 16, strides=16, activation="relu"), *head])


def sequential_in_sequential() -> keras.Model:
    base = keras.Sequential([keras.Input((224, 224, 3)), layers.Conv2D(8, 16, strides=16, activation="relu")])
    head = keras.Sequential(
        [keras.Input((14, 14, 8)), layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="softmax")]
    )
    return keras.Sequential([keras.Input((224, 224, 3)), base, head])


def branches() -> keras.Model:
    """Two branches that are concatenated before the pooling, and an operation without a layer."""
    images = keras.Input((224, 224, 3))
    features = layers.Concatenate()([convolved(images * 2.0 - 1.0), layers.Dropout(0.5)(convolved(images))])
    pooled = layers.GlobalAveragePooling2D()(features)
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(pooled))


def one_of_two_outputs() -> keras.Model:
    """A base of two outputs, of which the head takes the second one."""
    inner = keras.Input((224, 224, 3))
    features = convolved(inner)
    base = keras.Model(inner, [features, layers.GlobalAveragePooling2D()(features)])
    images = keras.Input((224, 224, 3))
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(base(images)[1]))


def half_precision_input() -> keras.Model:
    images = keras.Input((224, 224, 3), dtype="float16")
    pooled = layers.GlobalAveragePooling2D()(convolved(images))
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(pooled))


WITH_HEAD = [
    pooled_and_dense,
    any_size,
    kept_places,
    dropout_and_activation,
    softmax_layer,
    logits,
    pooling_in_base,
    sequential,
    sequential_in_sequential,
    branches,
    one_of_two_outputs,
    half_precision_input,
]


def two_dense() -> keras.Model:
    return with_head(layers.GlobalAveragePooling2D(), layers.Dense(8, activation="relu"), layers.Dense(CLASSES))


def maximum() -> keras.Model:
    return with_head(layers.GlobalMaxPooling2D(), layers.Dense(CLASSES, activation="softmax"))


def flattened() -> keras.Model:
    return with_head(layers.Flatten(), layers.Dense(CLASSES, activation="softmax"))


def sigmoid() -> keras.Model:
    return with_head(layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="sigmoid"))


def one_score() -> keras.Model:
    return with_head(layers.GlobalAveragePooling2D(), layers.Dense(1))


def channels_first() -> keras.Model:
    pooling = layers.GlobalAveragePooling2D(data_format="channels_first")
    return with_head(layers.Permute((3, 1, 2)), pooling, layers.Dense(CLASSES, activation="softmax"))


def normalized() -> keras.Model:
    head = (layers.BatchNormalization(), layers.Dense(CLASSES, activation="softmax"))
    return with_head(layers.GlobalAveragePooling2D(), *head)


def merged_after_pooling() -> keras.Model:
    images = keras.Input((224, 224, 3))
    average, maximum = layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D()
    features = convolved(images)
    pooled = layers.Concatenate()([average(features), maximum(features)])
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(pooled))


def dense_of_one_of_two_outputs() -> keras.Model:
    """A model inside whose first output is no pooling, behind one that is."""
    inner = keras.Input((8,))
    inside = keras.Model(inner, [layers.Dense(8, activation="relu")(inner), inner * 2.0])
    images = keras.Input((224, 224, 3))
    features = inside(layers.GlobalAveragePooling2D()(convolved(images)))[0]
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(features))


def quantized() -> keras.Model:
    network = pooled_and_dense()
    network.layers[-1].quantize("int8")
    return network


WITHOUT_HEAD = [
    two_dense,
    maximum,
    flattened,
    sigmoid,
    one_score,
    channels_first,
    normalized,
    merged_after_pooling,
    dense_of_one_of_two_outputs,
    quantized,
]


def built(build: Callable[[], keras.Model]) -> keras.Model:
    """A network of random weights, with biases and statistics that are not 0 and 1."""
    keras.utils.set_random_seed(2)
    network = build()
    chance = np.random.default_rng(2)
    for variable in network.variables:
        if variable.path.endswith(("gamma", "beta", "bias", "mean", "variance")):
            variable.assign(chance.uniform(0.5, 1.5, variable.shape))
    return network


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


IMAGES = tf.constant(PIXELS / np.float32(255))


@pytest.mark.parametrize("build", WITH_HEAD)
def test_a_network_with_a_pooled_head_runs_as_keras_runs_it_and_its_map_adds_up_to_its_scores(build):
    network = built(build)
    head = find_pooled_head(network)
    output, features = run(network, IMAGES, head.pooling)
    expected = network(IMAGES, training=False).numpy()
    np.testing.assert_array_equal(output.numpy(), expected)
    of_places = head.scores(features.numpy())
    scores = of_places.mean(axis=(1, 2))
    np.testing.assert_allclose(scores if build is logits else softmax(scores), expected, atol=2e-6, rtol=2e-5)
    assert of_places.shape == (4, 14, 14, CLASSES)


@pytest.mark.parametrize("build", WITH_HEAD)
@pytest.mark.parametrize("size", [(224, 640), (96, 480), (301, 303)])
def test_it_takes_images_of_other_sizes(build, size):
    network = built(build)
    head = find_pooled_head(network)
    images = tf.random.stateless_uniform((2, *size, 3), (1, 2))
    _output, features = run(network, images, head.pooling)
    assert features.shape == (2, *(side // 16 for side in size), head.kernel.shape[0])


@pytest.mark.parametrize("build", WITHOUT_HEAD)
def test_other_heads_are_not_taken_for_one(build):
    assert find_pooled_head(built(build)) is None


def test_the_head_of_a_folded_network_is_the_same():
    network = built(branches)
    expected = find_pooled_head(network)
    fold_batch_normalization(network)
    folded = find_pooled_head(network)
    np.testing.assert_array_equal(folded.kernel, expected.kernel)
    _output, features = run(network, IMAGES, folded.pooling)
    scores = folded.scores(features.numpy().mean(axis=(1, 2)))
    np.testing.assert_allclose(softmax(scores), network(IMAGES, training=False), atol=1e-6)
    compute_in_bfloat16(network)
    _output, features = run(network, IMAGES, folded.pooling)
    np.testing.assert_allclose(
        softmax(folded.scores(np.float32(features).mean(axis=(1, 2)))), softmax(scores), atol=0.05
    )


def loaded(pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture, precision: str = "float32") -> Classifier:
    with caplog.at_level("WARNING"):
        return load(*pair, precision)


def messages(caplog: pytest.LogCaptureFixture, beginning: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith(beginning)]


@pytest.mark.parametrize("build", [two_dense, maximum])
def test_a_network_without_such_a_head_logs_one_line_and_has_no_map(saved, caplog, build):
    classifier = loaded(saved(built(build), CLASSES), caplog)
    answers = [classifier.classify(PIXELS[0], PICTURE), *classifier.classify_batch(PIXELS)]
    for answer in answers:
        assert (answer.activation, answer.region, answer.others, answer.wants_closer_look) == ((), None, (), False)
    assert len(messages(caplog, NO_HEAD)) == 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("build", [pooling_in_base, sequential_in_sequential, logits])
def test_a_network_with_one_has_maps_and_looks_closer(saved, caplog, build, precision):
    classifier = loaded(saved(built(build), CLASSES), caplog, precision)
    answer, *_others = classifier.classify_batch(PIXELS)
    shares = np.array(answer.activation)
    assert shares.shape == (14, 14)
    assert 0 <= shares.min() < shares.max() == 1
    assert answer.wants_closer_look  # it was not trained: it is sure of nothing
    assert not classifier.classify(PIXELS[0], PICTURE).wants_closer_look
    assert not messages(caplog, "There is no closer look")


@pytest.mark.parametrize("size", [299, None])
def test_a_network_for_images_of_another_size_looks_closer_too(saved, caplog, size):
    network = built(lambda: pooled_and_dense(size))
    classifier = loaded(saved(network, CLASSES), caplog)
    answer = classifier.classify(PIXELS[0])
    resized = tf.image.resize(PIXELS[:1] / np.float32(255), [size or 224] * 2)
    (expected,) = network.predict(resized, verbose=0)
    assert answer.confidence == pytest.approx(float(expected.max()), abs=1e-5)
    places = (size or 224) // 16
    assert np.shape(answer.activation) == (places, places)
    assert not classifier.classify(PIXELS[0], PICTURE).wants_closer_look
    assert not messages(caplog, "There is no closer look")


def one_size_only() -> keras.Model:
    """A network of such a head, whose layers before it are made for one size."""
    images = keras.Input((224, 224, 3))
    features = layers.Reshape((14 * 14 * 8,))(convolved(images))
    features = layers.Reshape((7, 7, 32))(features)
    pooled = layers.GlobalAveragePooling2D()(features)
    return keras.Model(images, layers.Dense(CLASSES, activation="softmax")(pooled))


def test_a_network_that_takes_one_size_only_logs_one_line_and_answers(saved, caplog):
    classifier = loaded(saved(built(one_size_only), CLASSES), caplog)
    assert not messages(caplog, "There is no closer look")
    expected = classifier.classify(PIXELS[0])
    for _ in range(2):
        answer = classifier.classify(PIXELS[0], PICTURE)
        assert answer.candidates == expected.candidates
        assert (answer.region, answer.wants_closer_look) == (None, False)
        assert np.shape(answer.activation) == (7, 7)
    assert len(messages(caplog, ONE_SIZE)) == 1


def test_a_network_too_large_for_a_search_answers_without_a_closer_look(saved, caplog, monkeypatch):
    classifier = loaded(saved(built(any_size), CLASSES), caplog)
    expected = classifier.classify(PIXELS[0])
    assert expected.wants_closer_look
    monkeypatch.setattr(tracing, "MAX_TENSOR", 2 * PIXELS[0].size)  # enough for 224 pixels
    answer = classifier.classify(PIXELS[0], PICTURE)
    assert answer.candidates == expected.candidates
    assert answer.region is None
    assert len(messages(caplog, "There is no closer look at small birds: ")) == 1
