"""inference/graph.py with real Keras files: each network gets the pixel values that it learned with.

The networks begin like those of tutorials and of ``keras.applications``, but are small.
"""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from inference.classifier import Classifier
from inference.errors import PairError
from inference.graph import find_input_range
from inference.input_range import InputRange
from inference.loader import load_classifier
from inference.options import NetworkOptions
from inference.pair import check_pair
from tests.system.inference.test_classifier import PIXELS

CLASSES = 4
PHOTO = PIXELS[:1].astype("float32")
SCALED = {"0-1": PHOTO / 255, "0-255": PHOTO, "-1-1": PHOTO / 127.5 - 1}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "variance": [0.052, 0.050, 0.051]}

Layers = Callable[[keras.KerasTensor], keras.KerasTensor]


def network(
    first: Layers, head: Layers | None = None, *, size: int | None = 224, dtype: str = "float32"
) -> keras.Model:
    """A network whose scores differ from image to image and from class to class.

    :param first: what it does to an image before its first convolution.
    :param head: what it makes of its features; by default a softmax.
    """
    keras.utils.set_random_seed(1)
    images = keras.Input((size, size, 3), dtype=dtype)
    scaled = first(images)
    base_images = keras.Input((None, None, scaled.shape[-1]))
    base = keras.Model(base_images, layers.Conv2D(6, 5, strides=4, activation="relu")(base_images))
    features = layers.GlobalAveragePooling2D()(base(scaled))
    return keras.Model(images, (head or dense("softmax"))(features))


def dense(activation: str | None = None, classes: int = CLASSES) -> Layers:
    """A head."""
    return layers.Dense(classes, activation, kernel_initializer=keras.initializers.RandomNormal(stddev=3))


def adapted(scale: float) -> keras.Layer:
    """A Normalization that has seen photos, their pixel values multiplied by ``scale``."""
    normalization = layers.Normalization()
    normalization.adapt(PIXELS * np.float32(scale))
    return normalization


def trained_normalization(scale: float, offset: float = 0) -> Layers:
    """A BatchNormalization that has seen such photos; its own scale and offset were learned."""
    normalization = layers.BatchNormalization(momentum=0)
    normalization(PIXELS * np.float32(scale) + np.float32(offset), training=True)
    normalization.gamma.assign([9.0, 7.0, 8.0])
    normalization.beta.assign([200.0, -100.0, 50.0])
    return normalization


def sequence(*inside: keras.Layer) -> Layers:
    """Some layers in a model of their own."""
    return keras.Sequential(inside)


AUGMENTATION = (layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.1))

FIRST_LAYERS: dict[str, tuple[str, Callable[[], Layers]]] = {
    "none": ("0-1", lambda: layers.Identity()),
    "Rescaling": ("0-255", lambda: layers.Rescaling(1 / 255)),
    "Rescaling within an augmentation": ("0-255", lambda: sequence(*AUGMENTATION, layers.Rescaling(1 / 127.5, -1))),
    "another size": ("0-255", lambda: sequence(layers.Resizing(180, 180), layers.Rescaling(1 / 255))),
    "a model called by name": ("0-255", lambda: lambda image: sequence(layers.Rescaling(1 / 255))(inputs=image)),
    "preprocess_input": ("0-255", lambda: keras.applications.mobilenet_v2.preprocess_input),
    "preprocess_input after a division by 255": (
        "0-1",
        lambda: lambda image: keras.applications.inception_v3.preprocess_input(image * 255.0),
    ),
    "arithmetic": ("0-1", lambda: lambda image: (image - 0.5) * 2.0),
    "Normalization of 0 to 255": ("0-255", lambda: adapted(1)),
    "Normalization of 0 to 1": ("0-1", lambda: adapted(1 / 255)),
    "EfficientNet": ("0-255", lambda: sequence(layers.Rescaling(1 / 255), layers.Normalization(**IMAGENET))),
    "EfficientNet from 0 to 1": (
        "0-1",
        lambda: sequence(
            layers.Rescaling(255.0), sequence(layers.Rescaling(1 / 255), layers.Normalization(**IMAGENET))
        ),
    ),
    "MobileNetV3 from -1 to 1": (
        "-1-1",
        lambda: sequence(layers.Rescaling(127.5, 127.5), sequence(layers.Rescaling(1 / 127.5, -1))),
    ),
    "BatchNormalization of 0 to 255": ("0-255", lambda: trained_normalization(1)),
    "BatchNormalization of 0 to 1": ("0-1", lambda: trained_normalization(1 / 255)),
    "BatchNormalization of -1 to 1": ("-1-1", lambda: trained_normalization(1 / 127.5, -1)),
}


@pytest.fixture
def loaded(tmp_path):
    """A function that saves a network and loads it like the app does."""

    def load(model: keras.Model, input_range: InputRange | None = None) -> Classifier:
        model.save(tmp_path / "model.h5")
        np.save(tmp_path / "labels.npy", {f"bird {index}": index for index in range(CLASSES)})
        return load_classifier(
            check_pair(tmp_path / "model.h5", tmp_path / "labels.npy"), NetworkOptions(input_range=input_range)
        )

    return load


def confidences(loaded: Classifier) -> list[float]:
    """Those for ``PHOTO``, in the order of the network's outputs."""
    found = {candidate.label: candidate.confidence for candidate in loaded.classify(PIXELS[0]).candidates}
    return [found[label] for label in loaded.labels]


@pytest.mark.parametrize(("wanted", "first"), FIRST_LAYERS.values(), ids=FIRST_LAYERS)
def test_a_network_gets_the_pixel_values_that_its_first_layers_ask_for(loaded, wanted, first):
    model = network(first())
    app = loaded(model)
    assert app.engine.info.input_range == wanted
    (expected,) = model.predict(SCALED[wanted], verbose=0)
    np.testing.assert_allclose(confidences(app), expected, atol=1e-4)


@pytest.mark.parametrize(
    "build",
    [
        lambda: network(layers.Rescaling(1 / 255), size=None),
        lambda: network(layers.Rescaling(1 / 255), dtype="uint8"),
        lambda: keras.Sequential(
            [keras.Input((224, 224, 3)), layers.Rescaling(1 / 255), layers.Flatten(), dense("softmax")]
        ),
    ],
    ids=["any size", "whole numbers", "Sequential"],
)
def test_the_kind_of_network_makes_no_difference(loaded, build):
    model = build()
    app = loaded(model)
    assert app.engine.info.input_range == "0-255"
    np.testing.assert_allclose(confidences(app), np.array(model(PIXELS[:1]))[0], atol=1e-4)


def ensemble(*first: Layers) -> keras.Model:
    """The mean of several networks."""
    images = keras.Input((224, 224, 3))
    return keras.Model(images, layers.Average()([network(each)(images) for each in first]))


def test_the_networks_of_an_ensemble_agree_on_a_range():
    both = ensemble(layers.Rescaling(1 / 255), keras.applications.inception_v3.preprocess_input)
    assert find_input_range(both) == "0-255"
    assert (
        find_input_range(ensemble(layers.Identity(), sequence(layers.Rescaling(255), layers.Rescaling(1 / 255))))
        == "0-1"
    )


def test_an_efficientnet_that_was_saved_whole_says_what_it_says_in_keras(loaded):
    base = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(224, 224, 3))
    assert find_input_range(network(sequence(layers.Rescaling(255.0), base))) == "0-1"
    model = network(base)
    app = loaded(model)
    assert app.engine.info.input_range == "0-255"
    np.testing.assert_allclose(confidences(app), model.predict(PHOTO, verbose=0)[0], atol=1e-4)


def test_the_operators_choice_wins(loaded):
    model = network(layers.Rescaling(1 / 255))
    for input_range in InputRange:
        app = loaded(model, input_range)
        np.testing.assert_allclose(confidences(app), model.predict(SCALED[input_range], verbose=0)[0], atol=1e-4)


def test_photos_are_not_augmented_while_the_first_layers_are_measured():
    brightened = sequence(layers.RandomBrightness(0.9), layers.Rescaling(1 / 255))
    assert find_input_range(network(brightened)) == "0-255"


def test_first_layers_that_would_take_gigabytes_are_not_run():
    assert find_input_range(network(layers.UpSampling2D(200))) is None


# Heads


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.exp(scores) / np.exp(scores).sum()


@pytest.mark.parametrize(
    ("head", "meant"),
    [
        (lambda features: layers.Rescaling(0.5)(dense()(features)), softmax),
        (lambda features: layers.Rescaling(100.0)(dense("softmax")(features)), lambda scores: scores / 100),
        (
            lambda features: layers.Average()([dense("softmax")(features), dense("softmax")(features)]),
            lambda scores: scores,
        ),
        (lambda features: [dense()(layers.Reshape((1, 1, 6))(features))], lambda scores: softmax(scores[0, 0])),
        (dense("log_softmax"), np.exp),
    ],
    ids=["scaled logits", "percent", "mean of two", "fully convolutional, in a list", "log_softmax"],
)
def test_a_head_that_ends_in_no_softmax_answers_in_probabilities(loaded, head, meant):
    model = network(layers.Identity(), head)
    scores = keras.tree.flatten(model.predict(SCALED["0-1"], verbose=0))[0][0]
    found = confidences(loaded(model))
    np.testing.assert_allclose(found, meant(scores), atol=1e-4)
    assert sum(found) == pytest.approx(1)


def test_a_pooled_convolution_answers_in_probabilities(loaded):
    images = keras.Input((224, 224, 3))
    model = keras.Model(images, layers.GlobalAveragePooling2D()(layers.Conv2D(CLASSES, 9, strides=9)(100 * images)))
    (logits,) = model.predict(SCALED["0-1"], verbose=0)
    assert max(abs(logits)) > 2
    np.testing.assert_allclose(confidences(loaded(model, InputRange.ZERO_TO_ONE)), softmax(logits), atol=1e-4)


@pytest.mark.parametrize("loss", [None, "binary_crossentropy", "categorical_crossentropy"])
def test_a_head_for_several_birds_at_once_is_refused_unless_it_was_trained_to_name_one(loaded, loss):
    model = network(layers.Identity(), keras.Sequential([dense(), layers.Activation("sigmoid")]))
    if loss:
        model.compile("sgd", loss)
    if loss == "categorical_crossentropy":
        (scores,) = model.predict(SCALED["0-1"], verbose=0)
        np.testing.assert_allclose(confidences(loaded(model)), scores / scores.sum(), atol=1e-4)
    else:
        with pytest.raises(PairError, match=r"model\.h5 scores each class by itself \(sigmoid\)"):
            loaded(model)


def test_a_network_that_gives_no_numbers_is_refused(loaded):
    with pytest.raises(PairError, match=r"model\.h5 gives NaN or infinity instead of scores"):
        loaded(network(layers.Identity(), lambda features: layers.Rescaling(np.nan)(dense()(features))))


def test_a_photo_for_which_a_network_gives_no_numbers_gets_the_same_confidence_for_all_species(loaded, caplog):
    app = loaded(network(layers.Identity()))
    app.engine.model.layers[-1].bias.assign([np.nan] * CLASSES)  # no photo is known for which a real network does this
    assert confidences(app) == [1 / CLASSES] * CLASSES
    assert "The network gave NaN or infinity" in caplog.text
