"""A network as a ``tf.function``, and images to try it on."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import IMAGE_SIZE
from .backend import keras, tf
from .feature_map import run
from .graph import row_of_scores
from .input_range import InputRange
from .pooled_head import PooledHead

log = logging.getLogger(__name__)

MAX_TENSOR = 2**28  # numbers between two layers, 1 GiB: what VGG16 makes of MAX_SIDE × MAX_SIDE pixels


def check_tensors(graph: tf.Graph, enlargement: float = 1) -> None:
    """Refuse a network that would take too much memory.

    :param enlargement: how many times as many pixels as those of the graph its images are to have.
    :raises ValueError: a tensor in it holds more numbers than ``MAX_TENSOR``.
    """
    for operation in graph.get_operations():
        for tensor in operation.outputs:
            if (tensor.shape.num_elements() or 0) * enlargement > MAX_TENSOR:
                raise ValueError(f"{operation.name} makes {tensor.shape.num_elements()} numbers of it.")


def traced(model: keras.Model, input_range: InputRange, head: PooledHead | None, count: int = 1) -> Any:
    """The network as one ``tf.function``: ``uint8[count, 224, 224, 3]`` -> scores ``float32[count, n]``, and features.

    Calling it takes less than half of ``model.predict``'s time on a CPU. The features are the input of the pooling,
    ``float32[count, rows, columns, channels]``, of no rows if there is no such head.

    :param input_range: of the pixel values that the network is given.
    """
    size = model.input_shape[1:3]
    if None not in size and size != (IMAGE_SIZE, IMAGE_SIZE):
        log.warning(
            "The network takes %d×%d images: the %d×%d pixels are resized for it.", *size, IMAGE_SIZE, IMAGE_SIZE
        )

    def scores(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rgb = _scaled(pixels, input_range)
        if None not in size:
            rgb = tf.image.resize(rgb, size)  # changes nothing if it has that size already
        if head is None:
            return row_of_scores(model(rgb, training=False)), tf.zeros((count, 0, 0, 0))
        output, features = run(model, rgb, head.pooling)
        return row_of_scores(output), tf.cast(features, tf.float32)

    return tf.function(scores, input_signature=[tf.TensorSpec((count, IMAGE_SIZE, IMAGE_SIZE, 3), tf.uint8)])


def traced_features(model: keras.Model, input_range: InputRange, head: PooledHead) -> Any:
    """The network up to its pooling, for images of any size: ``uint8[n, height, width, 3]`` -> features."""

    def features(pixels: tf.Tensor) -> tf.Tensor:
        _output, features = run(model, _scaled(pixels, input_range), head.pooling)
        return tf.cast(features, tf.float32)

    return tf.function(features, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])


def _scaled(pixels: tf.Tensor, input_range: InputRange) -> tf.Tensor:
    """Pixel values in a range."""
    black, white = input_range.limits
    return tf.cast(pixels, tf.float32) / (255 / (white - black)) + black


def different_images() -> NDArray[np.uint8]:
    """Three images that have little in common, ``uint8[3, 224, 224, 3]``: blank, a gradient and noise."""
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    gradient = np.broadcast_to(np.linspace(0, 255, IMAGE_SIZE, dtype="uint8")[:, np.newaxis, np.newaxis], shape)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    return np.stack([np.zeros(shape, "uint8"), gradient, noise])
