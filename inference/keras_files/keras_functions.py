"""Functions of TensorFlow that a network of Keras 2 calls between its layers, and the layers here that do the same.

Those that do arithmetic, or that activate, are in ``keras_operations.py``.
"""

from typing import Any

from .keras_graph import Json

_OF_NUMBERS = {"math.square": "square", "math.sqrt": "sqrt", "math.exp": "exp", "math.abs": "abs"}
_ALONG_AXES = {"math.reduce_mean": "mean", "math.reduce_max": "max", "math.reduce_sum": "sum"}


def layer_for_function(function: str, keywords: Json) -> tuple[str, Json] | None:
    """The class and the configuration of a layer that does the same to a tensor; None if there is none.

    :param function: its name without ``tf.``.
    :param keywords: its arguments, besides the tensor.
    """
    axis = keywords.get("axis")
    if function in _OF_NUMBERS:
        return _function(_OF_NUMBERS[function])
    if function in _ALONG_AXES and axis is not None:
        return _function(_ALONG_AXES[function], axis=axis, keepdims=bool(keywords.get("keepdims")))
    match function:
        case "clip_by_value" if _are_numbers(
            low := keywords.get("clip_value_min"), high := keywords.get("clip_value_max")
        ):
            return _function("clip", x_min=low, x_max=high)
        case "__operators__.getitem" if key := _plain_key(keywords.get("slice_spec")):
            return "PartOfTensor", {"key": key}
        case "pad" | "compat.v1.pad" if _pads_images(keywords):
            return "ZeroPadding2D", {"padding": keywords["paddings"][1:3]}
        case "image.per_image_standardization":  # differs if the deviation is below 1/388, which no photo's is
            return "LayerNormalization", {"axis": [1, 2, 3], "epsilon": 1e-6, "center": False, "scale": False}
        case "math.l2_normalize" if axis is not None:
            return "UnitNormalization", {"axis": axis}
    return None


def plain_slice(part: Any) -> Any:
    """One part of the key of a slice; those of Keras 2 and 3 alike."""
    if isinstance(part, dict) and part.get("class_name") == "__ellipsis__":
        return "..."
    return part["config"] if isinstance(part, dict) and part.get("class_name") == "__slice__" else part


def _function(name: str, **settings: Any) -> tuple[str, Json]:
    return "FunctionOfTensor", {"function": name, "settings": settings}


def _are_numbers(*values: Any) -> bool:
    return all(type(each) in (int, float) for each in values)


def _pads_images(keywords: Json) -> bool:
    """Whether zeros are put around images: ``tf.pad(images, [[0, 0], [8, 8], [8, 8], [0, 0]])``."""
    paddings = keywords.get("paddings")
    is_with_zeros = keywords.get("mode", "CONSTANT") == "CONSTANT" and keywords.get("constant_values", 0) == 0
    return is_with_zeros and isinstance(paddings, list) and len(paddings) == 4 and paddings[::3] == [[0, 0], [0, 0]]


def _plain_key(key: Any) -> list[Any]:
    """The key of a slice as ``PartOfTensor`` takes it; empty if a part of it is anything else, a tensor for example."""
    parts = [plain_slice(each) for each in key] if isinstance(key, list) else []
    plain = [[part["start"], part["stop"], part["step"]] if _is_range(part) else part for part in parts]
    numbers = [number for part in plain for number in (part if isinstance(part, list) else [part])]
    return plain if all(number in (None, "...") or type(number) is int for number in numbers) else []


def _is_range(part: Any) -> bool:
    return isinstance(part, dict) and part.keys() == {"start", "stop", "step"}
