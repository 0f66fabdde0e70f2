"""The graph of a model that Keras 2 or TensorFlow 1 saved, described as Keras 3 describes it."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

MODELS = ("Functional", "Model", "Sequential")


def modern_graph(model: Json) -> None:
    """Rewrite how the layers of a model are named, connected and told the size of its images; its layers stay.

    :param model: ``{"class_name": ..., "config": ...}`` of a kind in ``MODELS``. A graph of Keras 3 stays as it is.
    """
    if isinstance(model["config"], list):  # a Sequential before Keras 2.2.3
        model["config"] = {"name": "sequential", "layers": model["config"]}
    graph = model["config"]
    graph["name"] = graph.get("name", "model").replace("/", "_")
    if model["class_name"] == "Sequential" and "output_layers" not in graph:
        _begin_with_input(graph)
        named = [layer["config"] for layer in graph["layers"] if "name" in layer["config"]]
        renamed = _without_slash({config["name"] for config in named})
        for config in named:
            config["name"] = renamed.get(config["name"], config["name"])
    else:
        _name_without_slash(graph)
        for ends in ("input_layers", "output_layers"):
            if len(graph[ends]) == 1:  # a single tensor, which would become a list or a dictionary of one
                (graph[ends],) = graph[ends].values() if isinstance(graph[ends], dict) else graph[ends]
        if not any(isinstance(call, dict) for layer in graph["layers"] for call in layer["inbound_nodes"]):
            _count_calls_from_0(graph)
            names = {layer["name"] for layer in graph["layers"]}
            for layer in graph["layers"]:
                layer["inbound_nodes"] = [_modern_call(call, names) for call in layer["inbound_nodes"]]
    for layer in graph["layers"]:
        shape = layer["config"].pop("batch_input_shape", None) if isinstance(layer["config"], dict) else None
        if layer["class_name"] == "InputLayer" and shape:
            layer["config"]["batch_shape"] = shape


def tensor(layer: str, call: int = 0, index: int = 0) -> Json:
    """The output of a layer, as an argument of another one.

    :param call: which of the layer's calls.
    :param index: which of the tensors that this call returns.
    """
    # Keras takes shape and dtype from the layer, not from here.
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None], "dtype": "float32", "keras_history": [layer, call, index]},
    }


def _begin_with_input(graph: Json) -> None:
    """Give a Sequential an ``InputLayer`` if only its first layer says how large the images are."""
    first = graph["layers"][0] if graph["layers"] else {}
    config = first.get("config")
    if first.get("class_name") != "InputLayer" and isinstance(config, dict) and "batch_input_shape" in config:
        shape = {"batch_input_shape": config["batch_input_shape"], "name": f"{config.get('name')}_input"}
        graph["layers"].insert(0, {"class_name": "InputLayer", "config": shape})


def _without_slash(names: set[str]) -> dict[str, str]:
    """Other names for those that contain a slash, which Keras 3 does not allow; all names stay different."""
    renamed: dict[str, str] = {}
    for old in sorted(name for name in names if "/" in name):
        new = old.replace("/", "_")
        while new in names or new in renamed.values():
            new += "_"
        renamed[old] = new
    return renamed


def _name_without_slash(graph: Json) -> None:
    """Rename the layers of a functional model whose names contain a slash."""
    renamed = _without_slash({layer["name"] for layer in graph["layers"]})
    for reference in list(_references(graph, set(renamed))):
        reference[0] = renamed[reference[0]]
    for layer in graph["layers"]:
        layer["name"] = renamed.get(layer["name"], layer["name"])
        if isinstance(layer["config"], dict) and "name" in layer["config"]:
            layer["config"]["name"] = layer["name"]


def _references(node: object, names: set[str]) -> Iterator[list[Any]]:
    """The references to layers, ``[name, call, tensor, ...]``, anywhere in a part of a graph."""
    if isinstance(node, dict):
        # What is inside a layer, an inner model for example, has names of its own.
        parts = [value for key, value in node.items() if key != "config" or "keras_history" in value]
    elif isinstance(node, list):
        parts = node
    else:
        return
    if isinstance(node, list) and len(node) >= 3 and isinstance(node[0], str) and type(node[1]) is int:
        if node[0] in names:
            yield node
        parts = node[3:] if node[0] != "_CONSTANT_VALUE" else node[2:]
    for part in parts:
        yield from _references(part, names)


def _count_calls_from_0(graph: Json) -> None:
    """Count the calls of a model inside a model from 0: Keras 2 counted its creation as the first call."""
    models = {layer["name"] for layer in graph["layers"] if layer["class_name"] in MODELS}
    sequential = {layer["name"] for layer in graph["layers"] if layer["class_name"] == "Sequential"}
    # At the outputs Keras 3 does the same itself, except for a Sequential.
    for node, names in ((graph["layers"], models), (graph["output_layers"], sequential)):
        for reference in list(_references(node, names)):
            reference[1] = max(0, reference[1] - 1)


def _modern_call(call: list[Any], names: set[str]) -> Json:
    """The arguments of a call, which Keras 2 writes as ``[[layer, call, tensor, keywords], ...]``.

    :param call: one such input alone, if an operation of TensorFlow is called.
    :param names: of the layers of this graph.
    """
    inputs = [call] if isinstance(call[0], str) else call
    tensors = [each[2] if each[0] == "_CONSTANT_VALUE" else tensor(*each[:3]) for each in inputs]
    keywords = inputs[-1][3] if len(inputs[-1]) > 3 else {}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": _with_tensors(keywords, names)}


def _with_tensors(node: Any, names: set[str]) -> Any:
    """Keyword arguments of Keras 2 with the references in them as ``tensor`` writes them."""
    if isinstance(node, dict):
        return {key: _with_tensors(value, names) for key, value in node.items()}
    if not isinstance(node, list):
        return node
    if len(node) >= 3 and isinstance(node[0], str) and node[0] in names:
        return tensor(*node[:3])
    return [_with_tensors(item, names) for item in node]
