"""inference/folding.py: fewer operations, the same answers."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from inference import folding
from inference.folding import compute_in_bfloat16, fold_batch_normalization
from inference.keras_files.network import load_network
from inference.processor import has_bfloat16

RNG = np.random.default_rng(0)
# Each image has a color of its own, and noise.
IMAGES = np.float32(0.7 * RNG.random((4, 1, 1, 3)) + 0.3 * RNG.random((4, 80, 80, 3)))


def with_statistics(model: keras.Model) -> keras.Model:
    """The model after it has seen the images: none of its BatchNormalizations has a mean of 0 or a variance of 1."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if variable.path.split("/")[-1] in ("gamma", "beta", "bias"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    for layer in folding.layers(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
            layer.trainable = True
    model(IMAGES, training=True)
    return model


def block(images: keras.KerasTensor, **convolution: object) -> keras.KerasTensor:
    """Convolution, BatchNormalization, activation."""
    convolved = layers.Conv2D(8, 3, **convolution)(images)
    return layers.Activation("relu")(layers.BatchNormalization()(convolved))


def scored(images: keras.KerasTensor, features: keras.KerasTensor) -> keras.Model:
    pooled = layers.GlobalAveragePooling2D()(features)
    return with_statistics(keras.Model(images, layers.Dense(3, activation="softmax")(pooled)))


def plain(**convolution: object) -> keras.Model:
    images = keras.Input((80, 80, 3))
    return scored(images, block(block(images, **convolution), padding="same"))


def model_inside() -> keras.Model:
    """What ``base(inputs)`` of a keras.applications network looks like in a fine-tuning script."""
    inner_images = keras.Input((80, 80, 3))
    inner = keras.Model(inner_images, block(inner_images, use_bias=False))
    images = keras.Input((80, 80, 3))
    return scored(images, inner(layers.Rescaling(2.0, -1.0)(images)))


def sequential() -> keras.Model:
    pieces = [layers.Conv2D(8, 3), layers.BatchNormalization(scale=False), layers.ReLU()]
    head = [layers.Flatten(), layers.Dense(3, activation="softmax")]
    return with_statistics(keras.Sequential([keras.Input((80, 80, 3)), *pieces, *head]))


def several_models_inside() -> keras.Model:
    images = keras.Input((80, 80, 3))
    first, second = (keras.Sequential([layers.Conv2D(8, 3), layers.BatchNormalization()]) for _ in range(2))
    return scored(images, second(layers.ReLU()(first(images))))


def called_by_name() -> keras.Model:
    images = keras.Input((80, 80, 3))
    normalized = layers.BatchNormalization()(inputs=layers.Conv2D(8, 3)(inputs=images))
    return scored(images, layers.ReLU()(normalized))


FOLDED: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "a convolution with a bias": (plain, 2),
    "a convolution without a bias": (lambda: plain(use_bias=False), 2),
    "a dilated one": (lambda: plain(dilation_rate=2), 2),
    "one with strides": (lambda: plain(strides=2, padding="same"), 2),
    "a model inside the model": (model_inside, 1),
    "a Sequential": (sequential, 1),
    "layers that are called by name": (called_by_name, 1),
    "models in a row inside the model": (several_models_inside, 2),
}


def convolution_with_activation() -> keras.Model:
    return plain(activation="relu")


def convolution_used_twice() -> keras.Model:
    images = keras.Input((80, 80, 3))
    convolved = layers.Conv2D(8, 3)(images)
    return scored(images, layers.Add()([convolved, layers.BatchNormalization()(convolved)]))


def shared_convolution() -> keras.Model:
    images = keras.Input((80, 80, 3))
    convolution = layers.Conv2D(3, 3, padding="same")
    return scored(images, convolution(layers.BatchNormalization()(convolution(images))))


def shared_normalization() -> keras.Model:
    images = keras.Input((80, 80, 3))
    normalization = layers.BatchNormalization()
    first = normalization(layers.Conv2D(3, 3)(images))
    return scored(images, normalization(layers.Conv2D(3, 3)(first)))


def convolution_that_leaves_an_inner_model() -> keras.Model:
    inner_images = keras.Input((80, 80, 3))
    convolved = layers.Conv2D(8, 3)(inner_images)
    inner = keras.Model(inner_images, [convolved, layers.BatchNormalization()(convolved)])
    images = keras.Input((80, 80, 3))
    return scored(images, layers.Add()(inner(images)))


def normalization_of_another_axis() -> keras.Model:
    images = keras.Input((80, 80, 3))
    return scored(images, layers.BatchNormalization(axis=1)(layers.Conv2D(8, 3)(images)))


LEFT_ALONE = {
    "activation in between": (convolution_with_activation, 1),
    "a convolution with two followers": (convolution_used_twice, 0),
    "a convolution that is called twice": (shared_convolution, 0),
    "a BatchNormalization that is called twice": (shared_normalization, 0),
    "a convolution that leaves an inner model": (convolution_that_leaves_an_inner_model, 0),
    "another axis": (normalization_of_another_axis, 0),
    "depthwise convolutions": (lambda: with_statistics(mobilenet()), 35),
}


def mobilenet() -> keras.Model:
    return keras.applications.MobileNetV2((80, 80, 3), weights=None, classes=3)


def operations(network: tf.types.experimental.ConcreteFunction, kind: str) -> int:
    return sum(operation.type == kind for operation in network.graph.get_operations())


def answers(model: keras.Model) -> tuple[np.ndarray, int]:
    """A model's outputs for the images, and how often it takes a root: once for each BatchNormalization."""

    @tf.function
    def traced(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    network = traced.get_concrete_function(tf.constant(IMAGES))
    return network(tf.constant(IMAGES)).numpy(), operations(network, "Rsqrt")


def loaded(build: Callable[[], keras.Model], folder: Path) -> keras.Model:
    """A model as the app has it: loaded from a file, which connects its layers in another way than building it does."""
    keras.utils.set_random_seed(0)
    build().save(folder / "model.h5")
    return load_network(folder / "model.h5")


@pytest.mark.parametrize("what", FOLDED | LEFT_ALONE)
def test_a_folded_network_gives_the_same_answers_in_fewer_operations(what, tmp_path):
    build, folded = (FOLDED | LEFT_ALONE)[what]
    model = loaded(build, tmp_path)
    expected, roots = answers(model)
    fold_batch_normalization(model)
    found, roots_left = answers(model)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert abs(found[0] - found[1]).max() > 1e-5  # or the network would ignore the image
    assert roots - roots_left == folded


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16")
@pytest.mark.parametrize("what", FOLDED | LEFT_ALONE)
def test_in_bfloat16_the_answers_are_nearly_the_same(what, tmp_path):
    build, _folded = (FOLDED | LEFT_ALONE)[what]
    model = loaded(build, tmp_path)
    expected, _roots = answers(model)
    fold_batch_normalization(model)
    compute_in_bfloat16(model)
    found, _roots = answers(model)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, atol=0.05)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)  # not so in bfloat16
