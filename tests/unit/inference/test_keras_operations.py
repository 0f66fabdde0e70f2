"""inference/keras_files/keras_operations.py: operations of TensorFlow and Keras become layers."""

import pytest

from inference.keras_files.keras_graph import tensor
from inference.keras_files.keras_operations import replace_operations

IMAGE, OTHER = tensor("image"), tensor("other")
ELLIPSIS = {"class_name": "__ellipsis__"}
REVERSED = {"start": None, "stop": None, "step": -1}
EVERYTHING = {"start": None, "stop": None, "step": None}


def replaced(layer: dict) -> dict:
    """What becomes of a layer in a graph."""
    graph = {"layers": [{"name": "layer", **layer}], "output_layers": ["layer", 0, 0]}
    replace_operations(graph)
    return graph["layers"][0]


def lambda_(function: str, *args: object, **kwargs: object) -> dict:
    """A call of a function of TensorFlow."""
    config = {"name": "layer", "trainable": True, "dtype": "float32", "function": function}
    return {"class_name": "TFOpLambda", "config": config, "inbound_nodes": [{"args": list(args), "kwargs": kwargs}]}


def keras3(kind: str, *args: object, **config: object) -> dict:
    """A call of an operation of Keras 3."""
    call = {"args": list(args), "kwargs": {}}
    return {"class_name": kind, "config": {"name": "layer", **config}, "inbound_nodes": [call]}


def tensorflow(op: str, constants: dict, **attributes: object) -> dict:
    """A call of one of TensorFlow's own operations, as TensorFlow 2.2 and 2.3 describe it."""
    config = {"name": "layer", "trainable": True, "node_def": {"op": op, "attr": attributes}, "constants": constants}
    return {"class_name": "TensorFlowOpLayer", "config": config, "inbound_nodes": [{"args": [IMAGE], "kwargs": {}}]}


def rescaling(scale: float | list[float], offset: float | list[float]) -> tuple[str, dict]:
    return "Rescaling", {"scale": scale, "offset": offset}


def function(name: str, **settings: object) -> tuple[str, dict]:
    return "FunctionOfTensor", {"function": name, "settings": settings}


@pytest.mark.parametrize(
    ("operation", "layer"),
    [
        (lambda_("math.truediv", IMAGE, y=4.0, name=None), rescaling(0.25, 0.0)),
        (lambda_("math.subtract", IMAGE, y=[1, 2, 3]), rescaling(1.0, [-1.0, -2.0, -3.0])),
        (lambda_("math.subtract", 1, y=IMAGE), rescaling(-1.0, 1.0)),
        (lambda_("math.multiply", 2.0, y=IMAGE), rescaling(2.0, 0.0)),
        (lambda_("nn.bias_add", IMAGE, bias=[1.0, 1.0, 1.0], data_format="NHWC"), rescaling(1.0, 1.0)),
        (lambda_("math.negative", IMAGE), rescaling(-1.0, 0.0)),
        (lambda_("cast", IMAGE, dtype="float32"), rescaling(1.0, 0.0)),
        (lambda_("math.multiply", IMAGE, y=OTHER), ("Multiply", {})),
        (lambda_("__operators__.getitem", IMAGE, slice_spec=[ELLIPSIS, REVERSED]), ("ReverseChannels", {})),
        (lambda_("__operators__.getitem", IMAGE, slice_spec=[EVERYTHING] * 3 + [REVERSED]), ("ReverseChannels", {})),
        (lambda_("reverse", IMAGE, axis=[-1]), ("ReverseChannels", {})),
        (lambda_("math.reduce_mean", IMAGE, axis=[1, 2]), ("GlobalAveragePooling2D", {"keepdims": False})),
        (lambda_("math.reduce_max", IMAGE, axis=[1, 2], keepdims=True), ("GlobalMaxPooling2D", {"keepdims": True})),
        (lambda_("math.reduce_max", IMAGE, axis=-1, keepdims=True), function("max", axis=-1, keepdims=True)),
        (lambda_("math.reduce_sum", IMAGE, axis=[3]), function("sum", axis=[3], keepdims=False)),
        (lambda_("math.square", IMAGE, name=None), function("square")),
        (lambda_("clip_by_value", IMAGE, clip_value_min=0.0, clip_value_max=1), function("clip", x_min=0.0, x_max=1)),
        (
            lambda_("__operators__.getitem", IMAGE, slice_spec=[ELLIPSIS, {**EVERYTHING, "stop": 3}]),
            ("PartOfTensor", {"key": ["...", [None, 3, None]]}),
        ),
        (
            lambda_("__operators__.getitem", IMAGE, slice_spec=[EVERYTHING, 0]),
            ("PartOfTensor", {"key": [[None] * 3, 0]}),
        ),
        (
            lambda_("compat.v1.pad", IMAGE, paddings=[[0, 0], [1, 2], [3, 4], [0, 0]], mode="CONSTANT"),
            ("ZeroPadding2D", {"padding": [[1, 2], [3, 4]]}),
        ),
        (
            lambda_("image.per_image_standardization", IMAGE),
            ("LayerNormalization", {"axis": [1, 2, 3], "epsilon": 1e-6, "center": False, "scale": False}),
        ),
        (lambda_("math.l2_normalize", IMAGE, axis=1), ("UnitNormalization", {"axis": 1})),
        (lambda_("concat", [IMAGE, OTHER], axis=-1), ("Concatenate", {"axis": -1})),
        (lambda_("nn.relu6", IMAGE), ("ReLU", {"max_value": 6.0})),
        (lambda_("nn.softmax", IMAGE), ("Softmax", {"axis": -1})),
        (
            lambda_("image.resize", IMAGE, size=[8, 9]),
            ("Resizing", {"height": 8, "width": 9, "interpolation": "bilinear"}),
        ),
        (lambda_("reshape", IMAGE, shape=[-1, 7]), ("Reshape", {"target_shape": [7]})),
        (keras3("TrueDivide", IMAGE, 2.0), rescaling(0.5, 0.0)),
        (
            keras3("Add", IMAGE, {"class_name": "__tensor__", "config": {"value": [[[[1.0, 2.0, 3.0]]]]}}),
            rescaling(1.0, [1.0, 2.0, 3.0]),
        ),
        (keras3("Flip", IMAGE, axis=-1), ("ReverseChannels", {})),
        (tensorflow("RealDiv", {"1": 127.5}), rescaling(1 / 127.5, 0.0)),
        (tensorflow("Sub", {"0": 1.0}), rescaling(-1.0, 1.0)),
        (
            tensorflow("StridedSlice", {"1": [0, 0], "2": [0, 0], "3": [1, -1]}, ellipsis_mask={"i": "1"}),
            ("ReverseChannels", {}),
        ),
        (tensorflow("Mean", {"1": [1, 2]}, keep_dims={"b": False}), ("GlobalAveragePooling2D", {"keepdims": False})),
        (tensorflow("Cast", {}, DstT={"type": "DT_FLOAT"}), rescaling(1.0, 0.0)),
    ],
    ids=str,
)
def test_an_operation_becomes_the_layer_that_does_the_same(operation, layer):
    kind, config = layer
    found = replaced(operation)
    assert found["class_name"] == kind
    assert found["config"] == {"name": "layer", "trainable": True, **config}


@pytest.mark.parametrize(
    "operation",
    [
        lambda_("math.truediv", 1.0, y=IMAGE),
        lambda_("math.truediv", IMAGE, y=0.0),
        lambda_("math.subtract", IMAGE, y=[[1.0, 2.0], [3.0, 4.0]]),
        lambda_("nn.bias_add", IMAGE, bias=[1.0, 2.0, 3.0], data_format="NCHW"),
        lambda_("cast", IMAGE, dtype="uint8"),
        lambda_("reverse", IMAGE, axis=[1]),
        lambda_("math.reduce_mean", IMAGE),
        lambda_("__operators__.getitem", IMAGE, slice_spec=[ELLIPSIS, OTHER]),
        lambda_("__operators__.getitem", IMAGE, slice_spec=[{**EVERYTHING, "stop": OTHER}]),
        lambda_("clip_by_value", IMAGE, clip_value_min=0.0, clip_value_max=OTHER),
        lambda_("pad", IMAGE, paddings=[[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT"),
        lambda_("pad", IMAGE, paddings=[[0, 0], [1, 1], [1, 1], [0, 1]]),
        lambda_("image.resize", IMAGE, size=[8, 8], antialias=True),
        lambda_("raw_ops.ReadFile", IMAGE),
        tensorflow("ReadFile", {}),
        keras3("Maximum", IMAGE, 0.5),
    ],
    ids=str,
)
def test_an_operation_that_no_layer_does_stays_as_it_is(operation):
    assert replaced(operation) == {"name": "layer", **operation}


def test_a_layer_of_keras_with_the_name_of_an_operation_stays_as_it_is():
    add = keras3("Add", [IMAGE, OTHER], trainable=True)
    assert replaced(add) == {"name": "layer", **add}
