"""What the first layers of a loaded network do before its first weights, and the last ones after its last activation.

Keras has no public way to ask what a layer is connected to; what is private is used only here, in ``folding.py`` and in
``feature_map.py``.
"""

import logging
from typing import Any

import numpy as np

from . import IMAGE_SIZE
from .backend import keras, tf
from .errors import first_line
from .input_range import AffineMap, InputRange, nearest_range

log = logging.getLogger(__name__)

#: Pixel values. An affine function takes them to values of which the second is halfway between the first and the last,
#: and the third halfway between the second and the last.
PROBES = (-255.0, 0.0, 127.5, 255.0)
TOLERANCE = 0.01  # of the difference between two values; float16 has three digits
MAX_NUMBERS = 2**26  # that a first layer makes of an image; a larger result is not looked at

#: Layers and operations that pass on numbers, or a mean, a sum, an extreme or a multiple of them.
_PASSED = (
    *("Dropout", "SpatialDropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    *("InputLayer", "Identity", "Cast", "Reshape", "Flatten", "Permute", "Transpose", "Squeeze", "ExpandDims"),
    *("GlobalAveragePooling", "GlobalMaxPooling", "AveragePooling", "MaxPooling", "Mean", "Max", "Cropping"),
    *("Average", "Maximum", "Add", "Rescaling"),
)


def find_input_range(model: keras.Model) -> InputRange | None:
    """The range of pixel values that a network wants; None if its first layers do not say.

    :param model: as it was loaded, before it is folded.
    """
    if not tf.as_dtype(model.inputs[0].dtype).is_floating:
        return InputRange.ZERO_TO_255
    try:
        return nearest_range(first_maps(model))
    except Exception as error:  # of any kind; if the network is at fault, its warm-up will say so
        log.info("The first layers cannot be measured: %s", first_line(error))
        return None


def first_maps(model: keras.Model) -> list[AffineMap]:
    """What a network makes of a pixel value before it uses its first weights, measured behind each layer.

    A layer that averages, crops or swaps channels is as good as none here; the scale and offset of a layer are
    those together with all before it, and the mean over the channels. What is not affine is left out.
    """
    height, width = (side or IMAGE_SIZE for side in model.inputs[0].shape[1:3])

    def measure(value: tf.Tensor) -> list[tf.Tensor]:
        measured: list[tf.Tensor] = []
        _follow(model, [tf.fill((1, height, width, 3), value)], measured)
        return measured

    traced = tf.function(measure, input_signature=[tf.TensorSpec((), model.inputs[0].dtype)], autograph=False)
    below, black, gray, white = np.array([traced(value) for value in PROBES], dtype="float64")
    spans = white - black
    errors = np.maximum(abs(black - below - spans), abs(gray - black - spans / 2))
    is_affine = (errors <= TOLERANCE * abs(spans)) & (spans != 0)
    return [*zip((spans / 255)[is_affine].tolist(), black[is_affine].tolist(), strict=True)]


def _follow(model: keras.Model, images: list[tf.Tensor | None], measured: list[tf.Tensor]) -> list[tf.Tensor | None]:
    """Give images to the layers of a model, but to none that has weights nor to those that need its results.

    :param images: one for each input of the model; None where there is no result.
    :param measured: gets the value in the middle of each result, the mean over the channels.
    :return: the model's outputs; None where there is no result.
    """
    graph = getattr(model, "_functional", model)  # a Sequential keeps one inside
    known = {id(tensor): image for tensor, image in zip(graph.inputs, images, strict=True) if image is not None}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for call in graph._nodes_by_depth[depth]:
            if call.is_input or any(id(tensor) not in known for tensor in call.input_tensors):
                continue
            if isinstance(call.operation, keras.Model):
                results = _follow(call.operation, [known[id(tensor)] for tensor in call.input_tensors], measured)
            else:
                results = _results(call, known)
                measured += [_middle(result) for result in results]
            known |= {
                id(tensor): result for tensor, result in zip(call.outputs, results, strict=False) if result is not None
            }
    return [known.get(id(tensor)) for tensor in graph.outputs]


def _results(call: Any, known: dict[int, tf.Tensor]) -> list[tf.Tensor]:
    """What a layer or an operation makes of images; nothing if it has weights, or makes too much of them.

    :param call: the call of it (Keras's ``Node``).
    :param known: the images, by the ids of the tensors of the call.
    """
    operation = call.operation
    if isinstance(operation, keras.layers.BatchNormalization):
        images = [known[id(tensor)] for tensor in call.input_tensors]
        return [_standardized(each, operation) for each in images if operation.axis in (-1, each.shape.rank - 1)]
    if getattr(operation, "weights", ()) and not isinstance(operation, keras.layers.Normalization):
        return []
    arguments, options = call.arguments.fill_in(known)
    if isinstance(operation, keras.Layer):
        options = {**options, "training": False}
    results = keras.tree.flatten(operation(*arguments, **options))
    return results if all(0 < (each.shape.num_elements() or 0) <= MAX_NUMBERS for each in results) else []


def _standardized(image: tf.Tensor, normalization: keras.layers.BatchNormalization) -> tf.Tensor:
    """An image less the mean of those that the network learned from, by their standard deviation.

    The layer's own scale and offset are left out. They were learned, so their result is in no usual range.
    """
    return tf.nn.batch_normalization(
        tf.cast(image, tf.float32),
        normalization.moving_mean,
        normalization.moving_variance,
        offset=None,
        scale=None,
        variance_epsilon=normalization.epsilon,
    )


def _middle(image: tf.Tensor) -> tf.Tensor:
    """The value in the middle of an image, where no border reaches; the mean over the channels."""
    while image.shape.rank > 2:
        image = image[:, image.shape[1] // 2]
    return tf.reduce_mean(tf.cast(image, tf.float32))


def scores_shape(model: keras.Model) -> Any:
    """The shape of a network's output, without places of which there is one: ``(None, 1, 1, n)`` is ``(None, n)``.

    The output may be in a list or dict of one.
    """
    if len(model.outputs) != 1 or len(model.outputs[0].shape) < 2:
        return model.output_shape
    count, *places, last = model.outputs[0].shape
    return (count, *(side for side in places if side not in (1, None)), last)


def row_of_scores(output: Any) -> tf.Tensor:
    """A network's output as ``float32[count, n]``, whatever it is wrapped in.

    :raises ValueError: there are several rows of scores for an image.
    """
    (scores,) = keras.tree.flatten(output)
    _count, *places, classes = scores.shape
    if any(side != 1 for side in places):
        raise ValueError(f"it gives scores for each of {'×'.join(map(str, places))} places of it.")
    return tf.reshape(tf.cast(scores, tf.float32), (-1, classes))


def last_activation(model: keras.Model) -> str:
    """The name of a network's last activation, in lower case, without ``_``: ``softmax``, ``sigmoid``, ``linear``...

    It may be in an inner model, and followed by layers that only pass on its numbers. If another layer without an
    activation comes last, its class; empty if there is no such layer.
    """
    for operation in reversed(getattr(model, "_functional", model).operations):
        if isinstance(operation, keras.Model):
            if name := last_activation(operation):
                return name
            continue
        function = getattr(operation, "activation", None)
        is_linear_activation = isinstance(operation, keras.layers.Activation) and function is keras.activations.linear
        kind = type(operation).__name__.rstrip("123D")
        if not is_linear_activation and kind not in _PASSED:
            return (getattr(function, "__name__", None) or kind).replace("_", "").lower()
    return ""
