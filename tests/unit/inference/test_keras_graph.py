"""inference/keras_files/keras_graph.py: names, connections and inputs, as Keras 3 describes them."""

import copy

import pytest

from inference.keras_files.keras_graph import modern_graph, tensor


def layer(name: str, *calls: object, kind: str = "Dense", **config: object) -> dict:
    """A layer of a functional model; ``calls`` are what it is called with."""
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": list(calls)}


def functional(*layers: dict) -> dict:
    """A model of Keras 2, from its first layer to its last."""
    ends = {"input_layers": [[layers[0]["name"], 0, 0]], "output_layers": [[layers[-1]["name"], 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "model", "layers": list(layers), **ends}}


def arguments(model: dict) -> list[list]:
    """What each layer is called with."""
    return [call["args"] for each in model["config"]["layers"] for call in each["inbound_nodes"]]


def test_a_slash_in_a_name_is_replaced_wherever_the_name_stands_and_names_stay_apart():
    model = functional(
        layer("a/b", kind="InputLayer"),
        layer("a_b", [["a/b", 0, 0, {}]]),
        layer("c/d", [["a_b", 0, 0, {"value": ["a/b", 0, 0]}]]),
    )
    modern_graph(model)
    layers = model["config"]["layers"]
    assert [each["name"] for each in layers] == [each["config"]["name"] for each in layers] == ["a_b_", "a_b", "c_d"]
    assert (model["config"]["input_layers"], model["config"]["output_layers"]) == (["a_b_", 0, 0], ["c_d", 0, 0])
    assert arguments(model) == [[tensor("a_b_")], [tensor("a_b")]]
    assert layers[2]["inbound_nodes"][0]["kwargs"] == {"value": tensor("a_b_")}


def test_the_calls_of_a_model_inside_a_model_are_counted_from_0():
    model = functional(
        layer("image", kind="InputLayer"),
        layer("inner", [["image", 0, 0, {}]], [["image", 0, 0, {}]], kind="Functional"),
        layer("sum", [["inner", 1, 0, {}], ["inner", 2, 0, {}]], kind="Add"),
        layer("difference", ["inner", 1, 0, {"y": ["inner", 2, 0]}], kind="TFOpLambda"),
    )
    modern_graph(model)
    assert arguments(model)[2:] == [[[tensor("inner", 0), tensor("inner", 1)]], [tensor("inner", 0)]]
    assert model["config"]["layers"][3]["inbound_nodes"][0]["kwargs"] == {"y": tensor("inner", 1)}


@pytest.mark.parametrize("old", [list, lambda layers: {"name": "sequential", "layers": layers}], ids=["2.2.2", "2.2.4"])
def test_a_sequential_whose_first_layer_knows_the_size_of_the_images_gets_an_input_layer(old):
    first = {"class_name": "Dense", "config": {"name": "dense", "batch_input_shape": [None, 8, 8, 3]}}
    model = {"class_name": "Sequential", "config": old([first])}
    modern_graph(model)
    images, dense = model["config"]["layers"]
    assert images == {"class_name": "InputLayer", "config": {"name": "dense_input", "batch_shape": [None, 8, 8, 3]}}
    assert dense["config"] == {"name": "dense"}


def test_a_graph_of_keras_3_stays_as_it_is():
    call = {"args": [tensor("image")], "kwargs": {}}
    model = functional(layer("image", kind="InputLayer", batch_shape=[None, 8, 8, 3]), layer("dense", call))
    model["config"]["input_layers"], model["config"]["output_layers"] = ["image", 0, 0], ["dense", 0, 0]
    before = copy.deepcopy(model)
    modern_graph(model)
    assert model == before


def test_one_image_or_one_output_in_a_dictionary_is_that_image_or_output():
    model = functional(layer("image", kind="InputLayer"), layer("scores", [["image", 0, 0, {}]]))
    model["config"] |= {"input_layers": {"photo": ["image", 0, 0]}, "output_layers": {"species": ["scores", 0, 0]}}
    modern_graph(model)
    assert (model["config"]["input_layers"], model["config"]["output_layers"]) == (["image", 0, 0], ["scores", 0, 0])


def test_names_in_a_sequential_stay_apart_without_their_slash():
    layers = [{"class_name": "Dense", "config": {"name": name}} for name in ("a_b", "a/b")]
    model = {"class_name": "Sequential", "config": {"name": "my/model", "layers": layers}}
    modern_graph(model)
    assert [each["config"]["name"] for each in model["config"]["layers"]] == ["a_b", "a_b_"]
    assert model["config"]["name"] == "my_model"
