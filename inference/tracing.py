"""A network as a ``tf.function``."""

import logging
from collections.abc import Callable
from typing import Any

from . import IMAGE_SIZE
from .backend import keras, tf
from .feature_map import KerasHead, run
from .graph import row_of_scores
from .input_range import InputRange

log = logging.getLogger(__name__)

Network = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

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


def traced(model: keras.Model, input_range: InputRange, head: KerasHead | None, count: int = 1) -> Any:
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
    signature = [tf.TensorSpec((count, IMAGE_SIZE, IMAGE_SIZE, 3), tf.uint8)]
    return tf.function(network_function(model, input_range, head), input_signature=signature)


def network_function(model: keras.Model, input_range: InputRange, head: KerasHead | None) -> Network:
    """The network as a function: pixels, ``uint8[n, height, width, 3]`` -> scores and features."""

    def scores(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rgb = _resized(_scaled(pixels, input_range), model)
        if head is None:
            return row_of_scores(model(rgb, training=False)), tf.zeros((tf.shape(pixels)[0], 0, 0, 0))
        output, features = run(model, rgb, head.pooling)
        return row_of_scores(output), tf.cast(features, tf.float32)

    return scores


def traced_features(model: keras.Model, input_range: InputRange, head: KerasHead) -> Any:
    """The network up to its pooling, for images of any size: ``uint8[n, height, width, 3]`` -> features."""

    def features(pixels: tf.Tensor) -> tf.Tensor:
        _output, features = run(model, _resized(_scaled(pixels, input_range), model), head.pooling)
        return tf.cast(features, tf.float32)

    return tf.function(features, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])


def _resized(images: tf.Tensor, model: keras.Model) -> tf.Tensor:
    """Images of the usual size in the size that the network takes; others stay as they are."""
    size = model.input_shape[1:3]
    if None in size or size == (IMAGE_SIZE, IMAGE_SIZE):
        return images
    if None not in images.shape[1:3]:
        return tf.image.resize(images, size)
    present = tf.shape(images)[1:3]
    return tf.image.resize(images, tf.where(tf.reduce_all(present == IMAGE_SIZE), size, present))


def _scaled(pixels: tf.Tensor, input_range: InputRange) -> tf.Tensor:
    """Pixel values in a range."""
    black, white = input_range.limits
    return tf.cast(pixels, tf.float32) / (255 / (white - black)) + black
