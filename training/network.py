"""The network: InceptionV3 with a head for your labels."""

from collections.abc import Callable

import keras
import numpy as np

from inference.processor import has_bfloat16

from .evaluation import Floats
from .looks import Pixels, PooledNetwork

POOLING = "pool"  # the name of that layer
DROPOUT = 0.3  # share of pooled features dropped in training

Head = Callable[[keras.KerasTensor], keras.KerasTensor]


class WeightsError(ValueError):
    """The weights to start from cannot be loaded; the message says why."""


def fastest_precision() -> str:
    """The dtype policy to train in: ``mixed_bfloat16`` on a GPU or a processor that computes in it, or ``float32``."""
    devices = keras.distribution.list_devices() if keras.backend.backend() in ("jax", "tensorflow") else []
    has_gpu = any(device.startswith("gpu") for device in devices)
    return "mixed_bfloat16" if has_gpu or has_bfloat16() else "float32"


def inception(weights: str | None) -> keras.Model:
    """InceptionV3 (Szegedy et al. 2015, arXiv:1512.00567) without its top, for images of any size.

    :param weights: ``"imagenet"``, None for a random start, or the path of a weights file.
    :raises WeightsError: they cannot be loaded.
    """
    try:
        return keras.applications.InceptionV3(weights=weights, include_top=False, input_shape=(None, None, 3))
    # Keras raises a plain Exception for a failed download, and whatever h5py does for a bad file.
    except Exception as error:
        raise WeightsError(f"The weights {weights} cannot be loaded: {error}") from error


def classification_head(classes: int) -> Head:
    """Global average pooling, dropout and softmax; every call shares the same weights."""
    layers = [
        keras.layers.GlobalAveragePooling2D(name=POOLING),
        keras.layers.Dropout(DROPOUT, name="dropout"),
        # In float32 under any policy: the loss takes the logarithm of its output.
        keras.layers.Dense(classes, activation="softmax", dtype="float32", name="species"),
    ]

    def head(features: keras.KerasTensor) -> keras.KerasTensor:
        for layer in layers:
            features = layer(features)
        return features

    return head


def whole_network(
    base: keras.Model, head: Head, size: int | None, *, train_batch_normalization: bool = False
) -> keras.Model:
    """Images in, probabilities out.

    :param base: what ``inception`` made.
    :param head: what ``classification_head`` made.
    :param size: width and height of an image in pixels; None for any.
    :param train_batch_normalization: let BatchNormalization learn. A network that starts random needs it; one that was
        trained before keeps the statistics that it has.
    :return: ``float32[n, size, size, 3]``, RGB in [0, 1] -> ``float32[n, classes]``.
    """
    images = keras.Input((size, size, 3), name="rgb")
    scaled = keras.layers.Rescaling(2.0, offset=-1.0)(images)  # InceptionV3 was trained on [-1, 1]
    return keras.Model(images, head(base(scaled, training=None if train_batch_normalization else False)))


def with_pooled_features(network: keras.Model) -> PooledNetwork:
    """The pooled features and the probabilities that a network of ``whole_network`` gives for some images."""
    both = keras.Model(network.inputs, [network.get_layer(POOLING).output, network.outputs[0]])

    def pooled(pixels: Pixels) -> tuple[Floats, Floats]:
        features, probabilities = both.predict_on_batch(pixels.astype("float32") / np.float32(255))
        return np.asarray(features), np.asarray(probabilities)

    return pooled


def divide_logits(network: keras.Model, temperature: float) -> None:
    """Build a temperature into the last layer: the answers stay, their confidence changes."""
    last = network.layers[-1]
    last.set_weights([weights / temperature for weights in last.get_weights()])
