"""Average pooling after a convolution instead of before it, where that is cheaper and gives the same.

Both are linear and a convolution with a kernel of one pixel mixes only channels, so their order makes no difference.
The branches of InceptionV3 that pool do it on all channels and then keep a quarter of them or fewer.
"""

from collections import defaultdict
from typing import Any

import onnx
from onnx import helper

DEFAULTS: dict[str, Any] = {"group": 1, "count_include_pad": 0, "ceil_mode": 0}


def pool_after_convolutions(graph: onnx.GraphProto) -> int:
    """Swap each average pooling with the convolution after it, where that is possible and there are fewer channels.

    :return: how many were swapped.
    """
    consumers = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            consumers[name].append(node)
    outputs = {output.name for output in graph.output}
    channels = {each.name: (each.dims[1], each.dims[0]) for each in graph.initializer if list(each.dims[2:]) == [1, 1]}
    swapped = 0
    for pooling in [node for node in graph.node if _averages_each_place(node)]:
        (between,) = pooling.output
        if between in outputs or len(consumers[between]) != 1:
            continue
        (convolution,) = consumers[between]
        if _mixes_only_channels(convolution, between) and convolution.input[1] in channels:
            before, after = channels[convolution.input[1]]
            if after < before:
                _swap(graph, pooling, convolution)
                swapped += 1
    return swapped


def _averages_each_place(node: onnx.NodeProto) -> bool:
    """Whether a node averages around each place, counting no padding: the mean of a constant is then the constant."""
    attributes = _attributes(node)
    return (
        node.op_type == "AveragePool"
        and set(attributes.get("strides", [1])) == {1}
        and not attributes["count_include_pad"]
        and not attributes["ceil_mode"]
    )


def _mixes_only_channels(node: onnx.NodeProto, pooled: str) -> bool:
    """Whether a node convolves what was pooled, pixel for pixel."""
    attributes = _attributes(node)
    return (
        node.op_type == "Conv"
        and node.input[0] == pooled
        and set(attributes.get("strides", [1])) == {1}
        and not any(attributes.get("pads", []))
        and attributes["group"] == 1
    )


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return DEFAULTS | {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _swap(graph: onnx.GraphProto, pooling: onnx.NodeProto, convolution: onnx.NodeProto) -> None:
    """Swap two nodes, of which one follows the other, and keep the nodes of the graph in the order of their use."""
    pooled, convolved = pooling.output[0], convolution.output[0]
    convolution.input[0] = pooling.input[0]
    convolution.output[0] = f"{convolved}/unpooled"
    moved = onnx.NodeProto()
    moved.CopyFrom(pooling)
    moved.input[0], moved.output[0] = convolution.output[0], convolved
    graph.node.remove(pooling)
    graph.node.insert(list(graph.node).index(convolution) + 1, moved)
    # Shapes of what lies between nodes are notes only; that of the one in between has changed.
    for note in [each for each in graph.value_info if each.name in (pooled, convolved)]:
        graph.value_info.remove(note)
