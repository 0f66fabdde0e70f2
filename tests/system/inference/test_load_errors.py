"""inference/keras_files/load_errors.py and network.py: what is said of a network that cannot be used."""

import errno
import json
import os

import h5py
import keras
import pytest

from inference.errors import PairError
from inference.keras_files.load_errors import explain
from inference.keras_files.network import load_network

HUGE = {"name": "x" * 5000}  # a description that Keras quotes


def message(error: Exception) -> str:
    """What is said of an error, which has to fit in a terminal."""
    said = explain(error)
    assert said.isprintable()
    assert len(said) < 400
    return said


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            f"Error when deserializing class 'A' using config={HUGE}.\n\nException encountered: It is too odd.",
            "It is too odd",
        ),
        (
            f"Error when deserializing class 'Dropout' using config={HUGE}.\n\nException encountered: "
            "Dropout.__init__() got an unexpected keyword argument 'noise'",
            "the class 'Dropout' has the setting 'noise', which is unknown here",
        ),
        (
            f"Could not deserialize class 'Mine' because its parent module a.b cannot be imported. "
            f"Full object config: {HUGE}",
            "it needs 'Mine', which is not a part of Keras",
        ),
        (
            "Unknown layer: 'Mine'. Please ensure you are using a `keras.utils.custom_object_scope` and that this "
            "object is included in the scope.",
            "it needs 'Mine', which is not a part of Keras",
        ),
        (
            "Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda. If you trust the "
            "source, call `keras.config.enable_unsafe_deserialization()`.",
            "no code from a file is run",
        ),
        (
            "Layer count mismatch when loading weights from file. Model expected 1 layers, found 2 saved layers.",
            "has 1 layers with weights, and there are weights of 2",
        ),
        (
            "A total of 1 objects could not be loaded. Example error message for object <Dense name=head, built=True>:"
            "\n\nLayer 'head' expected 2 variables, but received 0 variables during loading. Expected: ['kernel']",
            "its layer 'head' needs 2 arrays of weights, and there are 0",
        ),
        ("Can't synchronously read data (inflate() failed)", "its weights are damaged"),
        ("Odd\x1b[2J name", "Odd[2J name"),
        ("", "ValueError"),
    ],
)
def test_a_message_of_keras_becomes_its_reason_and_what_to_do(said, meant):
    found = message(ValueError(said))
    assert meant in found
    assert "custom_object_scope" not in found
    assert "unsafe" not in found


def test_a_full_disk_is_not_blamed_on_the_network():
    assert "no space left" in message(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def refusal(path) -> str:
    with pytest.raises(PairError) as error:
        load_network(path)
    return str(error.value)


def test_real_messages_of_keras_are_understood(tmp_path):
    path = tmp_path / "model.h5"
    layers = keras.layers
    keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(2, name="head")]).save(path)
    with h5py.File(path, "r+") as file:
        description = file.attrs["model_config"]
    for change, meant in [
        ({"units": 9}, "the weights of its layer 'head' need the shape (3072, 9) and have (3072, 2)"),
        ({"sizzle": 9}, "has the setting 'sizzle', which is unknown here"),
    ]:
        config = json.loads(description)
        config["config"]["layers"][-1]["config"].update(change)
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(config)
        said = refusal(path)
        assert meant in said
        assert "config={" not in said
    keras.Sequential([layers.Flatten(), layers.Dense(2)]).save(tmp_path / "unbuilt.h5")
    assert "Build it again with keras.Input((224, 224, 3))" in refusal(tmp_path / "unbuilt.h5")


def network(shape: tuple[int, ...], *layers: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


def of_two_inputs() -> keras.Model:
    image, place = keras.Input((8, 8, 3)), keras.Input((5,))
    features = [keras.layers.Flatten()(image), place]
    return keras.Model([image, place], keras.layers.Dense(3)(keras.layers.Concatenate()(features)))


def of_two_outputs() -> keras.Model:
    image = keras.Input((8, 8, 3))
    features = keras.layers.Flatten()(image)
    return keras.Model(image, [keras.layers.Dense(3)(features), keras.layers.Dense(2)(features)])


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: network((3, 8, 8), keras.layers.Flatten()), "data_format='channels_last'"),
        (lambda: network((8, 8, 1), keras.layers.Flatten()), "train it on colors"),
        (lambda: network((8, 8, 4), keras.layers.Flatten()), "its input is (None, 8, 8, 4), not (None, 224, 224, 3)"),
        (lambda: network((9,), keras.layers.Dense(3)), "save it together with its base"),
        (of_two_inputs, "takes 2 inputs, not one image"),
        (of_two_outputs, "gives 2 outputs, not one score for each class"),
        (lambda: network((8, 8, 3), keras.layers.Conv2D(2, 3)), "as without a head (include_top=False)"),
    ],
)
def test_a_network_with_other_inputs_or_outputs_is_told_what_to_change(tmp_path, build, sentence):
    build().save(tmp_path / "model.keras")
    assert sentence in refusal(tmp_path / "model.keras")
