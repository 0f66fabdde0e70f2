"""The description of a network that another release of Keras saved, rewritten so that this one can load it.

Keras 3 reads many models that Keras 2, TensorFlow 1 and earlier releases of Keras 3 saved. The others fail on
their description, which is rewritten here; the weights stay as they are.
"""

import copy
import json
from pathlib import Path
from typing import Any

import h5py

from .hdf5 import read_description
from .keras_graph import MODELS, Json, modern_graph
from .keras_layers import CUSTOM_OBJECTS, prepare_layer
from .keras_operations import replace_operations

_OF_A_CLASS = ("module", "registered_name", "build_config")  # which Keras 2.13 to 2.15 add to some layers
_MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}


def write_modern_copy(model_file: Path, modern_file: Path) -> bool:
    """Copy a whole model, without its optimizer, so that this Keras can load it.

    :param model_file: an ``.h5`` with a ``model_config``.
    :param modern_file: the file to write, if the description has to be changed.
    :return: whether it was written.
    :raises UnsupportedLayerError: a layer cannot be loaded; the message is a sentence about it.
    :raises Exception: of any other kind; Keras did not write this description.
    """
    with h5py.File(model_file) as old:
        config = read_description(old)
        modern = modern_config(config)
        if modern == config:
            return False
        with h5py.File(modern_file, "w") as new:
            new.attrs["model_config"] = json.dumps(modern)
            for name in ("keras_version", "backend"):
                if name in old.attrs:
                    new.attrs[name] = old.attrs[name]
            old.copy("model_weights", new)
    return True


def modern_config(config: object) -> object:
    """A copy of the description of a model, rewritten so that this Keras can load it.

    :param config: ``{"class_name": ..., "config": ...}``, as it is in an ``.h5`` or a ``.keras``.
    :raises UnsupportedLayerError: a layer cannot be loaded; the message is a sentence about it.
    :raises Exception: of any other kind; Keras did not write this description.
    """
    if not isinstance(config, dict) or "class_name" not in config:
        return config  # Keras says what is wrong with it
    model = copy.deepcopy(config)
    is_keras2 = "batch_input_shape" in json.dumps(config)
    has_module = "module" in model  # in a .keras, and it must
    _modernize(model, is_keras2)
    if is_keras2 and has_module:
        _say_where_class_is(model)
    return model


def _modernize(layer: Json, is_keras2: bool) -> None:
    """Rewrite a layer, or a model with everything in it."""
    config = layer["config"]
    if isinstance(config, dict) and "output_layers" in config and layer["class_name"] not in MODELS:
        layer["class_name"] = "Functional"  # a subclass of Model, which adds how it is trained
        if "module" in layer:
            _say_where_class_is(layer)
    if layer["class_name"] not in MODELS:
        _simplify_settings(config)
        for inner in (config.get("layer"), config.get("activation")):  # of a wrapper, and instead of a function
            if isinstance(inner, dict) and inner["class_name"] != "function":
                _modernize(inner, is_keras2)
                _say_where_class_is(inner)
        prepare_layer(layer, is_keras2)
    else:
        modern_graph(layer)
        graph = layer["config"]
        if "output_layers" in graph:
            layer["class_name"] = "Functional" if layer["class_name"] == "Model" else layer["class_name"]
            replace_operations(graph)
        for inner in graph["layers"]:
            _modernize(inner, is_keras2)
    if is_keras2:
        for key in _OF_A_CLASS:
            layer.pop(key, None)
    axis = layer["config"].get("axis", 0)
    if "module" not in layer and (axis is None or (isinstance(axis, list) and len(axis) > 1)):
        _say_where_class_is(layer)  # without that, Keras 3 takes the layer's default axis


def _say_where_class_is(layer: Json) -> None:
    """Name the module of a layer's class, which Keras 3 wants to know outside of a list of layers."""
    kind = layer["class_name"]
    layer |= {"module": _MODULES.get(kind, "keras.layers"), "registered_name": kind if kind in CUSTOM_OBJECTS else None}


def _simplify_settings(config: Json) -> None:
    """Leave out of a layer's settings what matters in training only, and compute in float32.

    The weights start with what is in the file, so it does not matter which initializer a layer has.
    """
    for key, value in list(config.items()):
        is_initializer = key.endswith("_initializer")
        is_readable = isinstance(value, dict) and value.get("module") == "keras.initializers"
        is_of_training = key.endswith(("_regularizer", "_constraint")) or (is_initializer and not is_readable)
        if value is not None and is_of_training:
            del config[key]
    dtype: Any = config.get("dtype")
    if isinstance(dtype, dict) and dtype.get("class_name") == "Policy":  # of Keras 2
        dtype = dtype["config"]["name"]
    if dtype is not None:
        # In mixed precision, the weights are stored in float32.
        config["dtype"] = "float32" if "mixed" in str(dtype) else dtype
