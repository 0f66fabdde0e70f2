"""Finds the pooling that a network ends in, and runs the network on images of any size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .backend import keras, tf
from .pooled_head import PooledHead

#: Layers between the pooling and the dense layer that change nothing when the network is not being trained.
_PASSED = (keras.layers.Dropout, keras.layers.Flatten, keras.layers.Identity, keras.layers.ActivityRegularization)


@dataclass(frozen=True)
class KerasHead(PooledHead):
    """Such a head in a model of Keras.

    :param pooling: the call of the pooling layer (Keras's ``Node``), whose input is the feature map.
    """

    pooling: Any


def find_pooled_head(model: keras.Model) -> KerasHead | None:
    """The last layers of a network, if they are global average pooling, a dense layer and a softmax; otherwise None.

    :param model: as it was loaded, or folded.
    """
    calls = _calls_backwards(model)
    dense = _operation(next(calls, None))
    activations = ["linear", "softmax"]
    if isinstance(dense, keras.layers.Activation | keras.layers.Softmax) and _activation(dense) == "softmax":
        dense = _operation(next(calls, None))
        activations = ["linear"]
    if not isinstance(dense, keras.layers.Dense) or _activation(dense) not in activations:
        return None
    if dense.quantization_mode:  # its kernel has a scale beside it
        return None
    pooling = next((each for each in calls if not isinstance(each.operation, _PASSED)), None)
    if pooling is None or not isinstance(pooling.operation, keras.layers.GlobalAveragePooling2D):
        return None
    if pooling.operation.data_format != "channels_last" or dense.kernel.shape[-1] < 2:
        return None
    kernel = np.array(dense.kernel, dtype="float32")
    bias = np.array(dense.bias, dtype="float32") if dense.use_bias else np.zeros(kernel.shape[1], "float32")
    return KerasHead(kernel, bias, pooling)


def run(model: keras.Model, images: tf.Tensor, pooling: Any) -> tuple[Any, tf.Tensor]:
    """Run a network on images of any size.

    The layers are called one by one, because Keras takes no images of another size than the one of the model's input.

    :param images: ``float32[n, height, width, 3]``.
    :param pooling: the call whose input is wanted.
    :return: what the network gives, and the input of that call.
    """
    known: dict[int, Any] = {}
    (output,) = _run(model, [images], known)
    return output, known[id(pooling.input_tensors[0])]


def _run(model: keras.Model, images: list[Any], known: dict[int, Any]) -> list[Any]:
    """Run a model, and keep the result of each call by the id of its tensor."""
    graph = getattr(model, "_functional", None) or model  # a Sequential keeps one inside
    known.update({id(tensor): tf.cast(image, tensor.dtype) for tensor, image in zip(graph.inputs, images, strict=True)})
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for call in graph._nodes_by_depth[depth]:
            if call.is_input:
                continue
            if isinstance(call.operation, keras.Model):
                results = _run(call.operation, [known[id(tensor)] for tensor in call.input_tensors], known)
            else:
                arguments, options = call.arguments.fill_in(known)
                if isinstance(call.operation, keras.Layer):
                    options = {**options, "training": False}
                results = keras.tree.flatten(call.operation(*arguments, **options))
            known.update({id(tensor): result for tensor, result in zip(call.outputs, results, strict=True)})
    return [known[id(tensor)] for tensor in graph.outputs]


def _calls_backwards(model: keras.Model, output: int = 0) -> Iterator[Any]:
    """The calls of layers from an output of a model back to where a layer takes several inputs."""
    graph = getattr(model, "_functional", None) or model
    tensor = graph.outputs[output]
    while True:
        operation, number, index = tensor._keras_history
        call = operation._inbound_nodes[number]
        if call.is_input:
            return
        if isinstance(operation, keras.Model):
            yield from _calls_backwards(operation, index)
        else:
            yield call
        if len(call.input_tensors) != 1:
            return
        tensor = call.input_tensors[0]


def _operation(call: Any) -> Any:
    return call and call.operation


def _activation(operation: Any) -> str:
    """The name of a layer's activation; empty if it has none. A layer ``Softmax`` counts as one."""
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    return getattr(getattr(operation, "activation", None), "__name__", "")
