"""``python -m training`` with a network that learns colors in seconds, instead of InceptionV3.

python -m tests.support.small_pair DATA --weights none --output MODELS …: everything but the network and its learning
rates is as in a real training.
"""

import keras

import training.__main__
from training import network, recipe


def small_inception(**_options: object) -> keras.Model:
    """A network with the names of those layers of InceptionV3 that the recipe names."""
    images = keras.Input((None, None, 3))
    features = images
    for name, filters, stride in (("mixed2", 8, 8), ("mixed8", 12, 4), ("mixed10", 16, 2)):
        features = keras.layers.Conv2D(filters, 3, strides=stride, activation="relu", name=name)(features)
    return keras.Model(images, features)


def main() -> None:
    keras.applications.InceptionV3 = small_inception
    recipe.BATCH_SIZE = 8
    recipe.HEAD_LEARNING_RATE = recipe.FURTHER_LEARNING_RATE = recipe.SCRATCH_LEARNING_RATE = 1e-2
    recipe.FROZEN_IN_FINE_TUNING = None  # there is nothing in it that ImageNet has taught
    network.DROPOUT = 0.0
    training.__main__.main()


if __name__ == "__main__":
    main()
