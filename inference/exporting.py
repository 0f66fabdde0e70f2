"""A network that TensorFlow runs -> the same network in the format of ONNX."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from . import IMAGE_SIZE
from .backend import keras, tf
from .folding import layers
from .keras_files.network import load_network
from .onnx_engine import FEATURES, PIXELS, SCORES
from .pooling_order import pool_after_convolutions
from .tensorflow_engine import TensorFlowEngine
from .tracing import network_function

OPSET = 18  # of ONNX's operators; ONNX Runtime 1.14 and newer know it
TO_ONNX = (3, 2, 0, 1)  # the axes of a kernel of Keras, in the order of ONNX's


def export(engine: TensorFlowEngine) -> onnx.ModelProto:
    """The network of an engine in float32.

    Its input is ``pixels``, ``uint8[n, height, width, 3]``, its outputs are ``scores`` and, if it has a head,
    ``features``. n, height and width are as free as the network is.

    :raises Exception: of any kind; there is something in it that ONNX or the converter does not know.
    """
    import tf2onnx  # it imports TensorFlow, which inference.backend prepares

    takes_any_size = engine.head is not None and engine.features_of_any_size() is not None
    side = None if takes_any_size else IMAGE_SIZE
    count = None if engine.takes_batches else 1
    function = network_function(engine.model, engine.info.input_range, engine.head)
    signature = [tf.TensorSpec((count, side, side, 3), tf.uint8, name=PIXELS)]
    model: onnx.ModelProto
    model, _tensors = tf2onnx.convert.from_function(
        tf.function(function, input_signature=signature), signature, opset=OPSET
    )
    names = [SCORES, FEATURES] if engine.head else [SCORES]
    for output, name in zip(model.graph.output, names, strict=False):
        _rename(model.graph, output.name, name)
    if engine.head is None:
        del model.graph.output[1:]
    pool_after_convolutions(model.graph)
    return model


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename an output of a network."""
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for output in graph.output:
        if output.name == old:
            output.name = new


def store_kernels_as_saved(model: onnx.ModelProto, engine: TensorFlowEngine, model_file: Path) -> None:
    """Store kernels in half the bytes, if they were saved in float16, without changing their values.

    A kernel of the network is one of the ``.h5`` times the scale of its BatchNormalization. The product is no float16,
    but both factors can be stored; ONNX Runtime multiplies them once, when it loads the network.
    """
    factors = dict(_factors(engine.model, load_network(model_file)))
    graph = model.graph
    for initializer in list(graph.initializer):
        found = factors.get(initializer.raw_data)
        if found is None:
            continue
        saved, scale = found
        name = initializer.name
        graph.initializer.remove(initializer)
        graph.initializer.append(numpy_helper.from_array(saved, f"{name}/saved"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}/scale"))
        cast = helper.make_node("Cast", [f"{name}/saved"], [f"{name}/float32"], to=onnx.TensorProto.FLOAT)
        scaled = helper.make_node("Mul", [f"{name}/float32", f"{name}/scale"], [name])
        graph.node.insert(0, scaled)
        graph.node.insert(0, cast)


Factors = tuple[NDArray[np.float16], NDArray[np.float32]]


def _factors(folded: keras.Model, saved: keras.Model) -> Iterator[tuple[bytes, Factors]]:
    """The two factors of each folded kernel, by its bytes in the order of ONNX, where the first one is a float16."""
    for layer, original in zip(layers(folded), layers(saved), strict=True):
        if type(layer) is not keras.layers.Conv2D:
            continue
        product, kernel = (np.array(each.kernel).transpose(TO_ONNX) for each in (layer, original))
        half = kernel.astype("float16")
        if not np.array_equal(half, kernel):
            continue
        channels = np.arange(len(kernel))
        rows = kernel.reshape(len(kernel), -1)
        largest = np.abs(rows).argmax(axis=1)
        divisors = rows[channels, largest]
        scale = np.divide(
            product.reshape(len(kernel), -1)[channels, largest],
            divisors,
            where=divisors != 0,
            out=np.ones_like(divisors),
        )
        scale = scale.reshape(-1, 1, 1, 1)
        if np.allclose(kernel * scale, product, rtol=1e-6, atol=0):
            yield np.ascontiguousarray(product).tobytes(), (half, scale)
