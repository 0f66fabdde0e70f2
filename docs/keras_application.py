"""Save a network of ``keras.applications`` and its scores: ``python keras_application.py NAME FOLDER``.

It needs Keras 2 or 3 and nothing else. Without arguments it prints the names of the networks.
"""

import inspect
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
from tensorflow import keras

CLASSES = 10
SIDE = 128  # pixels; all the networks take them


def names() -> list[str]:
    """The functions of ``keras.applications`` that build a network."""
    functions = inspect.getmembers(keras.applications, inspect.isfunction)
    return [name for name, function in functions if "include_top" in inspect.signature(function).parameters]


def build(name: str, images: np.ndarray) -> keras.Model:
    """A network with random weights whose scores differ, for images like these.

    With the weights that Keras starts with, all classes would have the same score, and a wrong network might, too.
    """
    keras.utils.set_random_seed(1)
    base = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=images.shape[1:], pooling="avg"
    )
    rng = np.random.default_rng(1)
    for weight in base.trainable_weights:
        if len(weight.shape) == 1:  # scales, small, so that rounding does not add up; offsets
            low, high = (0.02, 0.3) if "gamma" in weight.name else (-0.3, 0.3)
            weight.assign(rng.uniform(low, high, weight.shape))
    normalizations = [layer for layer in base._flatten_layers() if type(layer).__name__ == "BatchNormalization"]
    momentum = [layer.momentum for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0  # one batch then leaves its own statistics behind
    base(images, training=True)
    for layer, usual in zip(normalizations, momentum, strict=True):
        layer.momentum = usual
    features = np.asarray(base(images[:1], training=False))
    head = keras.layers.Dense(CLASSES, activation="softmax")
    network = keras.Model(base.input, head(base.output))
    logits_of_about_2 = 2 / np.linalg.norm(features)
    head.set_weights(
        [rng.normal(scale=logits_of_about_2, size=(features.shape[1], CLASSES)), rng.normal(size=CLASSES) / 10]
    )
    return network


def images() -> np.ndarray:
    """Four images with values from 0 to 1; the first one is asked about."""
    noise = np.random.default_rng(0).random((4, SIDE, SIDE, 3), dtype="float32")
    brightness = np.linspace(0.5, 1, 4, dtype="float32")
    return noise * brightness[:, np.newaxis, np.newaxis, np.newaxis]


def main() -> None:
    """Print the names, or save ``network.h5`` and ``scores.npy``."""
    if len(sys.argv) == 1:
        print(*names(), sep="\n")
        return
    name, folder = sys.argv[1], Path(sys.argv[2])
    network = build(name, images())
    np.save(folder / "scores.npy", np.asarray(network(images()[:1], training=False)))
    network.save(folder / "network.h5")


if __name__ == "__main__":
    main()
