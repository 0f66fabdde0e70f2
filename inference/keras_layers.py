"""The layers that a network may be made of: those of Keras, and those here, for which Keras has no public class.

Keras is not asked to load any other layer. A layer of Keras is not given settings that it does not know: those that
do not change an answer are left out, and with any other the network is refused.
"""

import importlib
import inspect
import re
from typing import Any

from .backend import keras
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


OWN_LAYERS = {layer.__name__: layer for layer in (LayerScale, CustomScaleLayer, ReverseChannels)}

# Layers of others that are a layer of Keras by another name, or do nothing while a network is not trained.
_ALIASES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "FixedDropout": "Dropout",
    "StochasticDepth": "Identity",
    "RandomHeight": "Identity",
    "RandomWidth": "Identity",
}

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


def prepare_layer(layer: Json) -> None:
    """Rewrite the class and the settings of a layer so that this Keras accepts them.

    :param layer: ``{"class_name": ..., "config": ...}``, not a model.
    :raises UnsupportedLayerError: it cannot be loaded without code that is not here, or not without changing answers.
    """
    if operation := operation_name(layer):
        module = next((each for each in _OPERATIONS if hasattr(importlib.import_module(each), operation)), None)
        if layer["class_name"] == operation and module:
            layer["module"], layer["registered_name"] = module, operation
            return
    kind, cls = _layer_class(layer)
    if cls is None:
        raise UnsupportedLayerError(_reason(layer, operation))
    layer["class_name"] = kind
    if "module" in layer:
        layer["module"], layer["registered_name"] = (None, kind) if kind in OWN_LAYERS else ("keras.layers", None)
    accepted = _accepted(cls)
    for key, value in list(layer["config"].items()):
        if key not in accepted:
            if not _is_harmless(key, value):
                raise UnsupportedLayerError(
                    f"its layer {_short(_name(layer))} has the setting {_short(key)}: {_short(value)}, which {kind} does "
                    "not have here. Build the network again without it, copy the weights and save that."
                )
            del layer["config"][key]


def _is_harmless(setting: str, value: object) -> bool:
    """Whether a network gives the same answers without a setting."""
    return value is None or _HARMLESS.fullmatch(setting) is not None or _NEUTRAL.get(setting, ...) == value


def _layer_class(layer: Json) -> tuple[str, type | None]:
    """The class of a layer and its name here; None if it is neither one of Keras nor of this module."""
    name = str(layer.get("registered_name") or layer["class_name"])
    kind = name.rpartition(">")[2]
    if kind in OWN_LAYERS:
        return kind, OWN_LAYERS[kind]
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
