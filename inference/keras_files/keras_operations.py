"""Operations of TensorFlow and Keras inside a network, as layers that do the same.

``preprocess_input`` and scripts that calculate with tensors leave such operations in a description. Keras 3 cannot
load those of TensorFlow, nor its own from an ``.h5``.
"""

from collections.abc import Callable
from typing import Any

from .keras_functions import layer_for_function, plain_slice
from .keras_graph import MODELS, Json

Layer = tuple[str, Json]  # its class and configuration

# The names of one operation: TensorFlow's function, TensorFlow's own name for it, and Keras 3's.
_NAMES = {
    "add": ("__operators__.add", "math.add", "nn.bias_add", "AddV2", "BiasAdd", "Add"),
    "subtract": ("math.subtract", "__operators__.sub", "Sub", "Subtract"),
    "multiply": ("math.multiply", "__operators__.mul", "Mul", "Multiply"),
    "divide": ("math.truediv", "math.divide", "__operators__.truediv", "RealDiv", "TrueDivide", "Divide"),
    "negative": ("math.negative", "Neg", "Negative"),
    "cast": ("cast", "Cast"),
    "mean": ("math.reduce_mean", "Mean"),
    "max": ("math.reduce_max", "Max"),
    "reverse": ("reverse", "ReverseV2", "Flip"),
    "slice": ("__operators__.getitem", "StridedSlice", "GetItem"),
    "concatenate": ("concat", "ConcatV2"),
    "resize": ("image.resize",),
    "reshape": ("reshape", "Reshape"),
    "relu": ("nn.relu", "Relu"),
    "relu6": ("nn.relu6", "Relu6"),
    "leaky_relu": ("nn.leaky_relu",),
    "softmax": ("nn.softmax", "Softmax"),
    "sigmoid": ("math.sigmoid", "nn.sigmoid", "Sigmoid"),
    "tanh": ("math.tanh", "nn.tanh", "Tanh"),
    "silu": ("nn.silu", "nn.swish"),
    "elu": ("nn.elu",),
    "selu": ("nn.selu",),
    "softplus": ("math.softplus", "nn.softplus"),
    "identity": ("identity", "stop_gradient", "Identity", "StopGradient"),
}
_OPERATIONS = {name: operation for operation, names in _NAMES.items() for name in names}

# Of an image and a constant: the scale and the offset that do the same.
_WITH_CONSTANT: dict[str, Callable[[float], tuple[float, float]]] = {
    "add": lambda constant: (1.0, constant),
    "subtract": lambda constant: (1.0, -constant),
    "multiply": lambda constant: (constant, 0.0),
    "divide": lambda constant: (1.0 / constant, 0.0),
}
# Of a constant and an image; for a division there are none.
_AFTER_CONSTANT = {
    "add": _WITH_CONSTANT["add"],
    "multiply": _WITH_CONSTANT["multiply"],
    "subtract": lambda constant: (-1.0, constant),
}
_OF_TWO_TENSORS = {"add": "Add", "subtract": "Subtract", "multiply": "Multiply"}
_REVERSED = {"start": None, "stop": None, "step": -1}


def replace_operations(graph: Json) -> None:
    """Put layers in place of the operations that have one; leave the others as they are.

    :param graph: the ``config`` of a functional model, as ``modern_graph`` leaves it.
    """
    _merge_channels(graph)
    for layer in graph["layers"]:
        if layer["class_name"] in MODELS or len(layer["inbound_nodes"]) != 1:
            continue
        (call,) = layer["inbound_nodes"]
        if layer["class_name"] == "GetItem":
            _write_out_ellipsis(call)
        name, arguments, keywords = _operation(layer, call)
        replacement = _layer_for(_OPERATIONS.get(name, ""), arguments, keywords)
        if (
            replacement is None
            and layer["class_name"] in ("TFOpLambda", "SlicingOpLambda")
            and _is_one_tensor(arguments)
        ):
            function = layer_for_function(name, keywords)
            replacement = (function, arguments) if function else None
        if replacement is None:
            continue
        (layer["class_name"], config), tensors = replacement
        layer["config"] = {"name": layer["name"].replace(".", "_"), "trainable": True, **config}
        layer["inbound_nodes"] = [{"args": tensors, "kwargs": {}}]
        for key in ("module", "registered_name", "build_config"):
            layer.pop(key, None)


def operation_name(layer: Json) -> str:
    """The operation that a layer stands for, in TensorFlow's or Keras's words; empty if it is a real layer."""
    kind, config = layer["class_name"], layer["config"]
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        return str(config.get("function"))
    if kind == "TensorFlowOpLayer":
        node = config.get("node_def")
        return str(node.get("op")) if isinstance(node, dict) else kind
    return kind if "trainable" not in config else ""  # operations of Keras 3 have nothing to train


def is_tensor(value: object) -> bool:
    """Whether an argument is the output of a layer."""
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _is_one_tensor(arguments: list[Any]) -> bool:
    return len(arguments) == 1 and is_tensor(arguments[0])


def _operation(layer: Json, call: Json) -> tuple[str, list[Any], Json]:
    """The operation of a layer, with its arguments in one list and its settings apart."""
    name, config = operation_name(layer), layer["config"]
    if layer["class_name"] == "TensorFlowOpLayer" and isinstance(config.get("node_def"), dict):
        (inputs,) = call["args"]
        arguments = list(inputs) if isinstance(inputs, list) else [inputs]
        for index, constant in sorted(config.get("constants", {}).items(), key=lambda item: int(item[0])):
            arguments.insert(int(index), _plain(constant))
        return name, arguments, _settings(config["node_def"].get("attr", {}))
    settings = {key: config[key] for key in config if key != "name"} if name == layer["class_name"] else {}
    keywords = settings | call["kwargs"]
    operands = [keywords.pop(key) for key in ("y", "x2", "bias") if key in keywords]
    return name, [*call["args"], *operands], keywords


def _settings(attributes: Json) -> Json:
    """The attributes of TensorFlow's own operations, ``{"keep_dims": {"b": true}}``, under Keras's names."""
    values = {name: next(iter(attribute.values()), None) for name, attribute in attributes.items()}
    return {
        "keepdims": values.get("keep_dims", False),
        "dtype": str(values.get("DstT")).lower(),
        "begins_with_ellipsis": values.get("ellipsis_mask") == "1",
        "data_format": "NCHW" if values.get("data_format") == "TkNIVw==" else "NHWC",  # base64 of NCHW
    }


def _layer_for(operation: str, arguments: list[Any], keywords: Json) -> tuple[Layer, list[Any]] | None:
    """The layer that does the same, and its arguments; None if there is none."""
    if keywords.get("data_format") in ("NCHW", "channels_first"):
        return None
    if operation in _WITH_CONSTANT and len(arguments) == 2:
        return _arithmetic(operation, *arguments)
    if not arguments:
        return None
    image, *rest = arguments
    layer = _of_one_tensor(operation, keywords, rest)
    are_tensors = all(map(is_tensor, image)) if isinstance(image, list) else is_tensor(image)
    return (layer, [image]) if layer and are_tensors else None


def _arithmetic(operation: str, first: Any, second: Any) -> tuple[Layer, list[Any]] | None:
    """Arithmetic of two tensors, or of one and a constant, which becomes a ``Rescaling`` layer."""
    if is_tensor(first) and is_tensor(second):
        kind = _OF_TWO_TENSORS.get(operation)
        return ((kind, {}), [[first, second]]) if kind else None
    image, other, rescale = (
        (first, second, _WITH_CONSTANT.get(operation))
        if is_tensor(first)
        else (second, first, _AFTER_CONSTANT.get(operation))
    )
    constants = _numbers(other)
    if not is_tensor(image) or rescale is None or not constants:
        return None
    if operation == "divide" and 0 in constants:
        return None
    scales, offsets = zip(*map(rescale, constants), strict=True)
    return ("Rescaling", {"scale": _same_or_list(scales), "offset": _same_or_list(offsets)}), [image]


def _plain(constant: Any) -> Any:
    """A constant without what a ``.keras`` says of its type."""
    is_array = isinstance(constant, dict) and constant.get("class_name") in ("__tensor__", "__numpy__")
    return constant["config"]["value"] if is_array else constant


def _numbers(constant: Any) -> list[float]:
    """One number, or one for each channel; empty if the constant is anything else."""
    constant = _plain(constant)
    while isinstance(constant, list) and len(constant) == 1:
        (constant,) = constant
    constants = constant if isinstance(constant, list) else [constant]
    return [float(number) for number in constants] if all(type(each) in (int, float) for each in constants) else []


def _same_or_list(numbers: tuple[float, ...]) -> float | list[float]:
    """One number where all channels have the same."""
    return numbers[0] if len({*numbers}) == 1 else list(numbers)


def _of_one_tensor(operation: str, keywords: Json, rest: list[Any]) -> Layer | None:
    """The layer for an operation on one tensor, or on a list of them.

    :param keywords: the settings of the operation.
    :param rest: its further arguments.
    """
    axis = keywords.get("axis", rest[0] if rest else None)
    match operation:
        case "negative":
            return "Rescaling", {"scale": -1.0, "offset": 0.0}
        case "cast" if "float" in str(keywords.get("dtype", rest)):
            return "Rescaling", {"scale": 1.0, "offset": 0.0}
        case "mean" | "max" if axis in ([1, 2], [-3, -2]):
            kind = {"mean": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D"}[operation]
            return kind, {"keepdims": bool(keywords.get("keepdims"))}
        case "reverse" if axis in (-1, 3, [-1], [3]):
            return "ReverseChannels", {}
        case "slice" if _reverses_channels(keywords, rest):
            return "ReverseChannels", {}
        case "concatenate" if type(axis) is int:
            return "Concatenate", {"axis": axis}
        case "resize" if keywords.keys() <= {"size", "method", "name"} and isinstance(keywords.get("size"), list):
            height, width = keywords["size"]
            return "Resizing", {"height": height, "width": width, "interpolation": keywords.get("method", "bilinear")}
        case "reshape" if isinstance(keywords.get("shape"), list) and keywords["shape"][0] in (-1, None):
            return "Reshape", {"target_shape": keywords["shape"][1:]}
        case "relu6":
            return "ReLU", {"max_value": 6.0}
        case "leaky_relu":
            return "LeakyReLU", {"negative_slope": keywords.get("alpha", 0.2)}
        case "softmax":
            return "Softmax", {"axis": -1 if axis is None else axis}
        case "relu" | "sigmoid" | "tanh" | "silu" | "elu" | "selu" | "softplus":
            return "Activation", {"activation": operation}
        case "identity":
            return "Activation", {"activation": "linear"}
    return None


def _reverses_channels(keywords: Json, rest: list[Any]) -> bool:
    """Whether a slice is ``[..., ::-1]``, which makes BGR of RGB."""
    if keywords.get("begins_with_ellipsis"):  # followed by TensorFlow's begin, end and strides
        return len(rest) == 3 and rest[2] == [1, -1]
    key = keywords.get("slice_spec", rest[0] if rest else None)
    if not isinstance(key, list) or len(key) not in (2, 4):
        return False
    *others, channels = [plain_slice(each) for each in key]
    everything = {"start": None, "stop": None, "step": None}
    return channels == _REVERSED and others in (["..."], [everything] * 3)


def _write_out_ellipsis(call: Json) -> None:
    """Put whole axes in place of the ``...`` in a slice, which Keras cannot read from an ``.h5``."""
    image, key = call["args"]
    parts = [plain_slice(each) for each in key] if isinstance(key, list) else []
    if "..." in parts:
        everything = {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": None}}
        # A None adds an axis.
        axes = len(image["config"]["shape"]) - sum(each is not None for each in parts) + 1
        place = parts.index("...")
        call["args"] = [image, [*key[:place], *[everything] * axes, *key[place + 1 :]]]


def _merge_channels(graph: Json) -> None:
    """Put one operation in place of those that take an image apart and stack its channels the other way round.

    That is how the ``preprocess_input`` of Keras 3 makes BGR of RGB.
    """
    slices = {layer["name"]: layer for layer in graph["layers"] if layer["class_name"] == "GetItem"}
    for layer in graph["layers"]:
        if layer["class_name"] != "Stack" or layer["config"].get("axis") not in (-1, 3):
            continue
        (stacked,) = layer["inbound_nodes"][0]["args"]
        calls = [
            slices[each["config"]["keras_history"][0]]["inbound_nodes"][0]["args"]
            for each in stacked
            if is_tensor(each) and each["config"]["keras_history"][0] in slices
        ]
        if len(calls) != 3 or any(call[0] != calls[0][0] for call in calls):
            continue
        if [[plain_slice(each) for each in call[1]] for call in calls] == [["...", channel] for channel in (2, 1, 0)]:
            layer["class_name"], layer["config"] = "Flip", {"name": layer["name"], "axis": -1}
            layer["inbound_nodes"] = [{"args": [calls[0][0]], "kwargs": {}}]
