"""The description of a network that another release of Keras saved, rewritten so that this one can load it.

Keras 3 reads most models that Keras 2 and earlier releases of Keras 3 saved. The others fail on a
few things in their description, which are rewritten here; the weights stay as they are.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from .hdf5 import read_description

Json = dict[str, Any]

# Arithmetic of an image and a constant, as in ``inception_v3.preprocess_input``: the name that Keras 2
# (TensorFlow's function) or Keras 3 (its operation) gives it, and the scale and offset that do the same.
_ARITHMETIC: dict[str, Callable[[float], tuple[float, float]]] = {
    "math.multiply": lambda constant: (constant, 0.0),
    "math.truediv": lambda constant: (1.0 / constant, 0.0),
    "math.subtract": lambda constant: (1.0, -constant),
    "__operators__.add": lambda constant: (1.0, constant),
}
_ARITHMETIC["Multiply"] = _ARITHMETIC["math.multiply"]
_ARITHMETIC["TrueDivide"] = _ARITHMETIC["Divide"] = _ARITHMETIC["math.truediv"]
_ARITHMETIC["Subtract"] = _ARITHMETIC["math.subtract"]
_ARITHMETIC["Add"] = _ARITHMETIC["math.add"] = _ARITHMETIC["__operators__.add"]
_COMMUTATIVE = ("math.multiply", "Multiply", "__operators__.add", "math.add", "Add")
_CASTS = ("cast", "Cast")  # from one float to another, in mixed precision: nothing to do in float32

_MODELS = ("Functional", "Model", "Sequential")


def write_modern_copy(model_file: Path, copy: Path) -> bool:
    """Copy a whole model, without its optimizer, so that this Keras can load it.

    :param model_file: an ``.h5`` with a ``model_config``.
    :param copy: the file to write, if the description has to be changed.
    :return: whether it was written.
    :raises Exception: of any kind; Keras did not write this description.
    """
    with h5py.File(model_file) as old:
        config = read_description(old)
        modern = modern_config(config)
        if modern == config:
            return False
        with h5py.File(copy, "w") as new:
            new.attrs["model_config"] = json.dumps(modern)
            for name in ("keras_version", "backend"):
                if name in old.attrs:
                    new.attrs[name] = old.attrs[name]
            old.copy("model_weights", new)
    return True


def modern_config(node: object) -> object:
    """A copy of a part of ``model_config``, with every layer in it rewritten."""
    if isinstance(node, list):
        return [modern_config(item) for item in node]
    if not isinstance(node, dict):
        return node
    layer = {key: modern_config(value) for key, value in node.items()}
    config, kind = layer.get("config"), layer.get("class_name")
    if not isinstance(config, dict):
        return layer
    if "mixed" in str(config.get("dtype")):
        config["dtype"] = "float32"  # in which mixed precision stores its weights
    if kind == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
    if kind == "DepthwiseConv2D":
        config.pop("groups", None)
    if kind in _MODELS and "output_layers" in config:
        _renumber_calls(config)
    calls = layer.get("inbound_nodes")
    if isinstance(calls, list) and len(calls) == 1:
        _replace_arithmetic(layer)
    return layer


def _renumber_calls(graph: Json) -> None:
    """Count the calls of a model inside a model from 0: Keras 2 counted its creation as the first call.

    :param graph: the ``config`` of a functional model.
    """
    for ends in ("input_layers", "output_layers"):
        if len(graph[ends]) == 1:  # a single tensor, which would become a list of one
            (graph[ends],) = graph[ends]
    calls = [call for layer in graph["layers"] for call in layer["inbound_nodes"]]
    if any(isinstance(call, dict) for call in calls):  # Keras 3 counts from 0
        return
    references = [reference for call in calls for reference in _leaves(call)]
    _count_from_0(references, graph, _MODELS)
    # In this place Keras 3 does the same itself, except for a Sequential.
    _count_from_0(_leaves(graph["output_layers"]), graph, ("Sequential",))


def _leaves(references: list[Any]) -> list[list[Any]]:
    """The references ``[layer, call, tensor, ...]`` in one of them, or in a list of them."""
    return [references] if isinstance(references[0], str) else references


def _count_from_0(references: list[list[Any]], graph: Json, kinds: tuple[str, ...]) -> None:
    names = {layer["name"] for layer in graph["layers"] if layer["class_name"] in kinds}
    for reference in references:
        if reference[0] in names:
            reference[1] = max(0, reference[1] - 1)


def _replace_arithmetic(layer: Json) -> None:
    """Make an operation on one image and one constant a ``Rescaling`` layer; leave every other operation as it is."""
    (call,) = layer["inbound_nodes"]
    if isinstance(call, dict):  # Keras 3
        operation = layer["class_name"]
    elif layer["class_name"] == "TFOpLambda":
        operation = layer["config"].get("function")
    else:  # a layer of Keras 2: its Add adds two images
        return
    if operation not in _ARITHMETIC and operation not in _CASTS:
        return
    operands = call["args"] if isinstance(call, dict) else _keras2_operands(call)
    if not operands:  # passed by name
        return
    if operation in _COMMUTATIVE and isinstance(operands[0], int | float):
        operands = operands[::-1]
    image, *constants = operands
    if operation in _CASTS:
        scale, offset = 1.0, 0.0
    elif [type(constant) in (int, float) for constant in constants] == [True]:
        scale, offset = _ARITHMETIC[operation](constants[0])
    else:
        return
    name = layer["config"].get("name", layer["name"]).replace(".", "_")
    layer["class_name"] = "Rescaling"
    layer["config"] = {"name": name, "scale": scale, "offset": offset}
    layer["inbound_nodes"] = [{"args": [image], "kwargs": {}} if isinstance(call, dict) else [[*image, {}]]]


def _keras2_operands(call: list[Any]) -> list[Any]:
    """The one or two operands of ``[layer, call, tensor, {"y": operand}]``; Keras 2 marks a constant in first place."""
    layer, index, tensor, keywords = call
    first = tensor if layer == "_CONSTANT_VALUE" else [layer, index, tensor]
    return [first, keywords["y"]] if "y" in keywords else [first]
