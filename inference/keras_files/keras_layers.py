"""The layers that a network may be made of: those of Keras, and those here, for which Keras has no public class.

Keras is not asked to load any other layer. A layer of Keras is not given settings that it does not know: those that
do not change an answer are left out, and with any other the network is refused.
"""

import importlib
import inspect
import re
from typing import Any

from ..backend import keras
from .keras_graph import Json
from .keras_operations import operation_name


class UnsupportedLayerError(ValueError):
    """A layer cannot be loaded; the message is a sentence that names it and says what to do."""


class LayerScale(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Multiplies each channel by a weight, as in ``keras.applications.ConvNeXt*``."""

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim

    def build(self, _shape: object) -> None:
        """Create the weights."""
        start = keras.initializers.Constant(self.init_values)
        self.gamma = self.add_weight(shape=(self.projection_dim,), initializer=start, name="gamma")

    def call(self, inputs: Any) -> Any:
        """Scale a tensor."""
        return inputs * self.gamma


class CustomScaleLayer(keras.layers.Layer):  # type: ignore[misc]
    """Adds a second tensor, scaled, to the first, as in ``keras.applications.InceptionResNetV2``."""

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        """Add two tensors."""
        return inputs[0] + inputs[1] * self.scale


class ReverseChannels(keras.layers.Layer):  # type: ignore[misc]
    """Makes BGR of RGB, which the ``preprocess_input`` of ResNet and VGG begins with."""

    def call(self, inputs: Any) -> Any:
        """Reverse the last axis."""
        return inputs[..., ::-1]


class FunctionOfTensor(keras.layers.Layer):  # type: ignore[misc]
    """Calls one of the functions of ``keras.ops`` that Keras has no layer for.

    :param function: its name, one of ``NAMES``.
    :param settings: its other arguments.
    """

    NAMES = ("abs", "clip", "exp", "max", "mean", "sqrt", "square", "sum")

    def __init__(self, function: str, settings: Json, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if function not in self.NAMES:
            raise ValueError(f"{function} is not one of {', '.join(self.NAMES)}")
        self.function, self.settings = getattr(keras.ops, function), settings

    def call(self, inputs: Any) -> Any:
        """Call the function."""
        return self.function(inputs, **self.settings)


class PartOfTensor(keras.layers.Layer):  # type: ignore[misc]
    """Takes a part of a tensor, ``tensor[..., :3]`` for example.

    :param key: for each axis a number, ``[start, stop, step]`` or ``"..."``.
    """

    def __init__(self, key: list[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        parts = {"...": Ellipsis}
        self.key = tuple(slice(*each) if isinstance(each, list) else parts.get(each, each) for each in key)

    def call(self, inputs: Any) -> Any:
        """Take the part."""
        return inputs[self.key]


def hard_sigmoid_of_keras2(inputs: Any) -> Any:
    """The activation ``hard_sigmoid`` of Keras 2. The one of Keras 3 rises from -3 to 3, not from -2.5 to 2.5."""
    return keras.ops.clip(0.2 * inputs + 0.5, 0.0, 1.0)


_OWN = (LayerScale, CustomScaleLayer, ReverseChannels, FunctionOfTensor, PartOfTensor)
_OWN_LAYERS = {layer.__name__: layer for layer in _OWN}

# What loading a description that was rewritten needs, by its name there.
CUSTOM_OBJECTS = {**_OWN_LAYERS, hard_sigmoid_of_keras2.__name__: hard_sigmoid_of_keras2}

# Layers of others that are a layer of Keras by another name, or do nothing while a network is not trained.
_ALIASES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "FixedDropout": "Dropout",
    "StochasticDepth": "Identity",
    "RandomHeight": "Identity",
    "RandomWidth": "Identity",
    "ThresholdedReLU": "ReLU",
}
_ACTIVATIONS = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}  # as TensorFlow 1 and 2.0 call some
_RENAMED_SETTINGS = {"LeakyReLU": ("alpha", "negative_slope"), "ThresholdedReLU": ("theta", "threshold")}

# Settings, unknown to Keras 3, that do not change an answer: what starts and restrains the weights, how they are
# used, and sizes that follow from the input. Others may be left out if they have the value that changes nothing.
_HARMLESS = re.compile(
    r".*_initializer|.*_regularizer|.*_constraint|trainable|implementation|fused|virtual_batch_size|noise_shape|"
    r"batch_input_shape|input_dim|input_dtype|input_length|(query|key|value)_shape"
)
_NEUTRAL = {"groups": 1, "time_major": False, "renorm": False}

# Where Keras 3 keeps its operations, which an .h5 does not say. Those that run a function of the file are elsewhere.
_OPERATIONS = ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.math", "keras.src.ops.image")

_RUN_CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")

MAX_QUOTED = 40  # characters of what is quoted from the file


def prepare_layer(layer: Json, is_keras2: bool) -> None:
    """Rewrite the class and the settings of a layer so that this Keras accepts them.

    :param layer: ``{"class_name": ..., "config": ...}``, not a model.
    :param is_keras2: whether Keras 2 or an earlier one wrote it.
    :raises UnsupportedLayerError: it cannot be loaded without code that is not here, or not without changing answers.
    """
    operation = operation_name(layer)
    module = _operation_module(operation)
    if module and layer["class_name"] == operation:
        layer["module"], layer["registered_name"] = module, operation
        return
    kind, cls = _layer_class(layer)
    if cls is None:
        raise UnsupportedLayerError(_reason(layer, operation))
    if "module" in layer:
        layer["module"], layer["registered_name"] = (None, kind) if kind in _OWN_LAYERS else ("keras.layers", None)
    old, new = _RENAMED_SETTINGS.get(layer["class_name"], ("", ""))
    if old in layer["config"]:
        layer["config"][new] = layer["config"].pop(old)
    layer["class_name"] = kind
    _prepare_activations(layer, is_keras2)
    if is_keras2 or kind == "Identity":
        _leave_out_settings(layer, _accepted(cls))


def _leave_out_settings(layer: Json, accepted: set[str]) -> None:
    """Remove the settings that a class of this Keras does not accept.

    :raises UnsupportedLayerError: an answer may depend on one of them.
    """
    for key, value in list(layer["config"].items()):
        if key in accepted:
            continue
        if not _is_harmless(key, value) and layer["class_name"] != "Identity":
            raise UnsupportedLayerError(
                f"its layer {_short(_name(layer))}, a {layer['class_name']}, has a setting that is unknown here, "
                f"{_short(key)}: {_short(value)}. Build the network again without it, copy the weights and save that."
            )
        del layer["config"][key]


def _operation_module(operation: str) -> str | None:
    """Where Keras 3 keeps an operation; None if it is not one of those."""
    for module in _OPERATIONS:
        cls = vars(importlib.import_module(module)).get(operation)
        if isinstance(cls, type) and issubclass(cls, keras.Operation):
            return module
    return None


def _prepare_activations(layer: Json, is_keras2: bool) -> None:
    """Name the activation functions of a layer as this Keras does.

    :raises UnsupportedLayerError: one of them is not a function of Keras.
    """
    config = layer["config"]
    for key in [key for key in config if key.endswith("activation")]:
        function = config[key]
        if isinstance(function, dict) and function.get("class_name") == "function":  # as Keras writes those of others
            function = function["config"]
        if not isinstance(function, str):
            continue
        name = _ACTIVATIONS.get(function, function)
        if not callable(getattr(keras.activations, name, None)):
            raise UnsupportedLayerError(
                f"its layer {_short(_name(layer))} has the activation {_short(name)}, which is not a part of Keras. "
                "Build the network again with one of Keras, copy the weights and save that."
            )
        config[key] = hard_sigmoid_of_keras2.__name__ if is_keras2 and name == "hard_sigmoid" else name


def _is_harmless(setting: str, value: object) -> bool:
    """Whether a network gives the same answers without a setting."""
    return value is None or _HARMLESS.fullmatch(setting) is not None or _NEUTRAL.get(setting, ...) == value


def _layer_class(layer: Json) -> tuple[str, type | None]:
    """The class of a layer and its name here; None if it is neither one of Keras nor of this module."""
    name = str(layer.get("registered_name") or layer["class_name"])
    kind = name.rpartition(">")[2]
    if kind in _OWN_LAYERS:
        return kind, _OWN_LAYERS[kind]
    is_of_keras = ">" not in name and str(layer.get("module") or "keras.layers").startswith("keras.")
    if kind in _ALIASES or is_of_keras:
        kind = _ALIASES.get(kind, kind)
        cls = getattr(keras.layers, kind, None)
        if isinstance(cls, type) and issubclass(cls, keras.layers.Layer) and kind not in _RUN_CODE:
            return kind, cls
    return kind, None


def _accepted(layer: type) -> set[str]:
    """The settings that a class of layers accepts."""
    accepted: set[str] = set()
    for cls in layer.__mro__:
        if "__init__" in vars(cls):
            parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
            accepted |= {each.name for each in parameters}
            if not any(each.kind is each.VAR_KEYWORD for each in parameters):
                break
    return accepted


def _reason(layer: Json, operation: str) -> str:
    """Why a layer is not loaded, and what to do."""
    name, kind = _short(_name(layer)), layer["class_name"]
    if kind in _RUN_CODE:
        return (
            f"its layer {name} is a {kind}, which runs code, and no code from a file is run. Build the network again "
            "with a layer of Keras in its place (Rescaling for arithmetic with pixels), copy the weights and save that."
        )
    if kind in ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"):
        return (
            f"its layer {name} calls {_short(operation)} of TensorFlow, for which this release has no layer. Build the "
            "network again without it, copy the weights and save that."
        )
    if kind == "KerasLayer":
        return (
            f"its layer {name} is a network of TensorFlow Hub, which is not in the file. Take the same network from "
            "keras.applications, train it again, and save that."
        )
    return (
        f"its layer {name} is of the class {_short(kind)}, which is not a part of Keras, and its code is not in the "
        "file. Build the network again with a layer of Keras in its place, copy the weights and save that."
    )


def _name(layer: Json) -> object:
    return layer.get("name", layer["config"].get("name", layer["class_name"]))


def _short(value: object) -> str:
    """A value of the file, as part of a sentence."""
    return f"{value!r:.{MAX_QUOTED}}"
