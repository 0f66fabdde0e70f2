"""inference/pooling_order.py: which average poolings are swapped with the convolution after them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from inference.pooling_order import pool_after_convolutions

IMAGE = np.random.default_rng(0).normal(size=(1, 8, 7, 7)).astype("float32")


def network(
    *,
    channels: int = 4,
    kernel: int = 1,
    pooling: dict | None = None,
    convolution: dict | None = None,
    seen: bool = False,
) -> onnx.ModelProto:
    """A pooling, a convolution and a ReLU.

    :param channels: that the convolution makes of eight.
    :param kernel: its width.
    :param pooling: attributes.
    :param convolution: attributes.
    :param seen: whether something else takes what was pooled, too.
    """
    rng = np.random.default_rng(1)
    groups = (convolution or {}).get("group", 1)
    weights = rng.normal(size=(channels, 8 // groups, kernel, kernel)).astype("float32")
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["pooled"], kernel_shape=[3, 3], **{"auto_pad": "SAME_UPPER"} | (pooling or {})
        ),
        helper.make_node("Conv", ["pooled", "weights", "bias"], ["convolved"], "conv", **convolution or {}),
        helper.make_node("Relu", ["convolved"], ["result"]),
    ]
    outputs = [helper.make_tensor_value_info("result", TensorProto.FLOAT, [None] * 4)]
    if seen:
        nodes.append(helper.make_node("Neg", ["pooled"], ["other"]))
        outputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [None] * 4))
    initializers = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(rng.normal(size=channels).astype("float32"), "bias"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, IMAGE.shape)],
        outputs,
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def result(model: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(model)
    return np.asarray(ReferenceEvaluator(model).run(["result"], {"image": IMAGE})[0])


@pytest.mark.parametrize("pooling", [{}, {"auto_pad": "NOTSET", "pads": [1, 1, 1, 1]}, {"auto_pad": "VALID"}])
def test_pooling_goes_behind_a_convolution_that_leaves_fewer_channels_and_nothing_else_changes(pooling):
    model = network(pooling=pooling)
    before = result(model)
    assert pool_after_convolutions(model.graph) == 1
    assert [node.op_type for node in model.graph.node] == ["Conv", "AveragePool", "Relu"]
    np.testing.assert_allclose(result(model), before, atol=1e-6)


@pytest.mark.parametrize(
    "parts",
    [
        {"channels": 8},  # pooling would be as much work as before
        {"kernel": 3, "convolution": {"auto_pad": "SAME_UPPER"}},
        {"convolution": {"strides": [2, 2]}},
        {"convolution": {"pads": [1, 1, 1, 1]}},  # the bias alone, at the border
        {"convolution": {"group": 2}},
        {"pooling": {"strides": [2, 2]}},  # it would convolve four times as many places
        {"pooling": {"count_include_pad": 1}},  # the bias would be smaller at the border
        {"seen": True},
    ],
    ids=str,
)
def test_others_stay_as_they_are(parts):
    model = network(**parts)
    before = model.SerializeToString()
    assert pool_after_convolutions(model.graph) == 0
    assert model.SerializeToString() == before
