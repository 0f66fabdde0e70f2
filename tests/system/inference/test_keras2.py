"""inference/keras_files/keras_config.py and its parts: networks of other releases give the same scores here."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from inference.errors import PairError
from inference.keras_files.network import load_network

NETWORKS = Path(__file__).parents[2] / "support" / "keras2" / "networks"
ANSWERS = np.load(NETWORKS / "answers.npz")
IMAGE = ANSWERS["image"][np.newaxis]
HALF_PRECISION = 5e-3  # how far apart scores in float16 and float32 are


def scores(network: keras.Model) -> np.ndarray:
    return np.asarray(network(IMAGE, training=False))[0]


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "image"])
def test_a_network_that_keras_2_saved_gives_the_scores_that_it_gave_there(name):
    found = scores(load_network(NETWORKS / f"{name}.h5"))
    np.testing.assert_allclose(found, ANSWERS[name], atol=HALF_PRECISION if name == "mixed_precision" else 1e-5)


def test_a_network_in_mixed_precision_computes_in_float32():
    network = load_network(NETWORKS / "mixed_precision.h5")
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}


def test_the_ways_to_make_bgr_of_rgb_become_one_layer(tmp_path):
    image, features = prepared("caffe")
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(features)).save(tmp_path / "model.h5")
    for path in (tmp_path / "model.h5", NETWORKS / "preprocess_caffe.h5", NETWORKS / "graph_mode.h5"):
        kinds = [type(layer).__name__ for layer in load_network(path).layers]
        assert kinds[:4] == ["InputLayer", "Rescaling", "ReverseChannels", "Rescaling"]


def prepared(mode: str) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An image, and the same after ``preprocess_input``."""
    image = keras.Input(IMAGE.shape[1:])
    return image, keras.applications.imagenet_utils.preprocess_input(image * 255.0, mode=mode)


def calculated() -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An image, and what operations of Keras make of it."""
    image = keras.Input(IMAGE.shape[1:])
    features = keras.ops.flip(1.0 - image[..., ::-1], -1)[:, 1:, :, :2]
    features = keras.ops.relu6(features * features + 3.0) / 6.0
    features = keras.layers.LayerNormalization()(features)
    features = features - keras.ops.mean(features, [1, 3], keepdims=True)
    return image, keras.ops.maximum(-features, -0.1)


@pytest.mark.parametrize(
    "build",
    [partial(prepared, "caffe"), partial(prepared, "tf"), partial(prepared, "torch"), calculated],
    ids=["caffe", "tf", "torch", "calculated"],
)
def test_operations_that_keras_3_saves_in_an_h5_and_cannot_read_from_it_are_loaded(tmp_path, build):
    image, features = build()
    network = keras.Model(image, keras.layers.GlobalAveragePooling2D()(features))
    network.save(tmp_path / "model.h5")
    np.testing.assert_allclose(scores(load_network(tmp_path / "model.h5")), scores(network), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("Lambda", {}, "its layer 'head' is a Lambda, which runs code, .* Build the network again"),
        ("TFSMLayer", {}, "its layer 'head' is a TFSMLayer, which runs code"),
        ("KerasLayer", {}, "its layer 'head' is a network of TensorFlow Hub, .* from keras.applications"),
        ("Addons>GELU", {}, "its layer 'head' is of the class 'Addons>GELU', which is not a part of Keras"),
        ("deserialize", {}, "its layer 'head' is of the class 'deserialize'"),
        ("TFOpLambda", {"function": "math.erf"}, "its layer 'head' calls 'math.erf' of TensorFlow"),
        ("Dense", {"activation": "swash"}, "its layer 'head' has the activation 'swash', which is not a part of Keras"),
        (
            "Dense",
            {"groups": 2},
            "its layer 'head', a Dense, has a setting that is unknown here, 'groups': 2",
        ),
    ],
)
def test_a_layer_that_cannot_be_loaded_is_named_and_the_sentence_is_whole(tmp_path, kind, settings, sentence):
    path = shutil.copy(NETWORKS / "preprocess_tf.h5", tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        description = json.loads(file.attrs["model_config"])
        head = description["config"]["layers"][-1]
        head["name"] = head["config"]["name"] = "head"
        description["config"]["output_layers"] = [["head", 0, 0]]
        head["class_name"] = kind
        head["config"] |= settings
        file.attrs["model_config"] = json.dumps(description)
    with pytest.raises(PairError, match=rf"cannot be loaded by Keras \S+ {sentence}.*\.$"):
        load_network(path)


def test_a_network_with_more_layers_than_python_lets_functions_call_one_another_is_loaded(tmp_path):
    path = shutil.copy(NETWORKS / "preprocess_tf.h5", tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        description = json.loads(file.attrs["model_config"])
        head = description["config"]["layers"].pop()
        before = head["inbound_nodes"][0][0][0]
        for name in (f"pass {number}" for number in range(sys.getrecursionlimit())):
            config = {"name": name, "trainable": True, "dtype": "float32", "activation": "linear"}
            calls = [[[before, 0, 0, {}]]]
            description["config"]["layers"].append(
                {"class_name": "Activation", "name": name, "config": config, "inbound_nodes": calls}
            )
            before = name
        head["inbound_nodes"] = [[[before, 0, 0, {}]]]
        description["config"]["layers"].append(head)
        file.attrs["model_config"] = json.dumps(description)
    limit = sys.getrecursionlimit()
    np.testing.assert_allclose(scores(load_network(path)), ANSWERS["preprocess_tf"], atol=1e-5)
    assert sys.getrecursionlimit() == limit
