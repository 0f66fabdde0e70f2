"""A network in float32 -> the same network in 8-bit integers."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from .engine import Numbers, Pixels
from .onnx_engine import FEATURES, PIXELS, new_session
from .processor import usable_cores

#: What is computed with integers: the convolutions, and what lies between them.
OPERATORS = ("Conv", "Relu", "MaxPool", "AveragePool", "Concat", "Add")


def quantize(model: onnx.ModelProto, pixels: Pixels) -> onnx.ModelProto:
    """A network in int8: its kernels with a scale for each channel, the maps between layers with a fixed range each.

    :param pixels: ``uint8[n, 224, 224, 3]``, photos from which the ranges are taken.
    """
    add_pre_process_metadata(model)  # tf2onnx has done what ONNX Runtime's own preparation would do
    with tempfile.TemporaryDirectory() as folder:
        original, quantized = (Path(folder) / name for name in ("float32.onnx", "int8.onnx"))
        onnx.save(model, original)
        quantize_static(
            original,
            quantized,
            _Photos(pixels),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            nodes_to_exclude=_additions_to_scores(model),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        network = onnx.load(quantized)
    _correct_features(network, model, pixels)
    return network


def _correct_features(network: onnx.ModelProto, original: onnx.ModelProto, pixels: Pixels) -> None:
    """Add to each channel of the features what it lacks on average (bias correction: Nagel et al. 2019,
    arXiv:1906.04721, section 4.2), so that verdicts do not shift.
    """
    if FEATURES not in [output.name for output in network.graph.output]:
        return
    difference = _mean_features(original, pixels) - _mean_features(network, pixels)
    (last,) = [node for node in network.graph.node if FEATURES in node.output]
    quantized, correction = f"{FEATURES}/quantized", f"{FEATURES}/correction"
    last.output[list(last.output).index(FEATURES)] = quantized
    network.graph.initializer.append(numpy_helper.from_array(difference, correction))
    addition = helper.make_node("Add", [quantized, correction], [FEATURES])
    network.graph.node.insert(list(network.graph.node).index(last) + 1, addition)


def _mean_features(network: onnx.ModelProto, pixels: Pixels) -> Numbers:
    """The mean of each channel of the features, ``float32[channels]``."""
    session = new_session(network.SerializeToString(), usable_cores())
    images = (session.run([FEATURES], {PIXELS: image[np.newaxis]})[0].mean(axis=(0, 1, 2)) for image in pixels)
    mean: Numbers = np.mean(list(images), axis=0)
    return mean


def _additions_to_scores(model: onnx.ModelProto) -> list[str]:
    """The names of the additions in dense layers: in 8 bits, two species would often have the very same score."""
    products = {name for node in model.graph.node if node.op_type in ("MatMul", "Gemm") for name in node.output}
    return [node.name for node in model.graph.node if node.op_type == "Add" and products.intersection(node.input)]


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no type annotations
    """Photos for the calibration, one at a time."""

    def __init__(self, pixels: Pixels) -> None:
        self._images: Iterator[Pixels] = iter(pixels)

    def get_next(self) -> dict[str, Pixels] | None:
        """The next one as the input of a network; None after the last one."""
        image = next(self._images, None)
        return None if image is None else {PIXELS: image[np.newaxis]}
