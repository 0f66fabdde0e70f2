"""The ``.h5`` itself: checked, and put into words that Keras 3 understands, without TensorFlow.

Keras 3 reads most models that Keras 2 saved. The rest fail on a few things in the description of the
network, which are rewritten here; the weights stay as they are.
"""

import json
from pathlib import Path

import h5py

from . import PairError

# Arithmetic with a constant, as in ``inception_v3.preprocess_input``: TensorFlow's name of it, and the
# scale and offset that do the same.
_ARITHMETIC = {
    "math.multiply": lambda constant: (constant, 0.0),
    "math.truediv": lambda constant: (1.0 / constant, 0.0),
    "math.subtract": lambda constant: (1.0, -constant),
    "__operators__.add": lambda constant: (1.0, constant),
}

_MODELS = ("Functional", "Model", "Sequential")


def check_model_file(path: Path) -> None:
    """Say what is wrong with a file that is plainly not a whole model.

    :raises PairError: it is missing, is not HDF5, or holds weights without a network.
    """
    if not path.is_file():
        raise PairError(f"{path} is missing. Put your fine-tuned model there, or run python -m training DATA.")
    try:
        with h5py.File(path) as file:
            whole = "model_config" in file.attrs
    except OSError as error:
        raise PairError(
            f"{path} is not an HDF5 file, or is cut short. Save the network with model.save('name.h5')."
        ) from error
    if not whole:
        raise PairError(f"{path} holds weights without the network. Save it with model.save, not save_weights.")


def write_modern_copy(model_file: Path, copy: Path) -> bool:
    """Copy a whole model, without its optimizer, so that Keras 3 can load it.

    :param model_file: an ``.h5`` with a ``model_config``.
    :param copy: is written only if the description had to be changed.
    :return: whether it was.
    """
    with h5py.File(model_file) as old:
        if not str(old.attrs.get("keras_version", "")).startswith("2."):
            return False
        config = json.loads(old.attrs["model_config"])
        modern = _modern(config)
        if modern == config:
            return False
        with h5py.File(copy, "w") as new:
            new.attrs["model_config"] = json.dumps(modern)
            new.attrs["keras_version"] = old.attrs["keras_version"]
            new.attrs["backend"] = "tensorflow"
            old.copy("model_weights", new)
    return True


def _modern(node: object) -> object:
    """A part of ``model_config`` with every layer in it rewritten; the argument stays as it is."""
    if isinstance(node, list):
        return [_modern(item) for item in node]
    if not isinstance(node, dict):
        return node
    layer = {key: _modern(value) for key, value in node.items()}
    config = layer.get("config")
    if not isinstance(config, dict):
        return layer
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = "float32"  # of mixed precision, what the weights are stored as
    if layer.get("class_name") == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
    if layer.get("class_name") == "DepthwiseConv2D":
        config.pop("groups", None)
    if layer.get("class_name") in _MODELS and "output_layers" in config:
        _renumber_calls(config)
    if layer.get("class_name") == "TFOpLambda" and config.get("function") in _ARITHMETIC:
        _replace_arithmetic(layer)
    return layer


def _renumber_calls(graph: dict) -> None:
    """Count the calls of a model inside a model from 0: Keras 2 took its making for the first call.

    :param graph: the ``config`` of a functional model.
    """
    for ends in ("input_layers", "output_layers"):
        if len(graph[ends]) == 1:  # a lone tensor, which Keras 3 would make a list of one
            (graph[ends],) = graph[ends]
    inner_models = {layer["name"] for layer in graph["layers"] if layer["class_name"] in _MODELS}
    for layer in graph["layers"]:
        for call in layer["inbound_nodes"]:
            for reference in call:
                if reference[0] in inner_models:
                    reference[1] = max(0, reference[1] - 1)


def _replace_arithmetic(layer: dict) -> None:
    """Make a ``TFOpLambda`` that computes with one picture and one constant a ``Rescaling`` layer."""
    calls = layer.get("inbound_nodes", [])
    if len(calls) != 1 or not isinstance(calls[0][-1].get("y"), (int, float)):
        return
    scale, offset = _ARITHMETIC[layer["config"]["function"]](calls[0][-1]["y"])
    layer["class_name"] = "Rescaling"
    layer["config"] = {"name": layer["config"]["name"].replace(".", "_"), "scale": scale, "offset": offset}
    layer["inbound_nodes"] = [[[*calls[0][:3], {}]]]
