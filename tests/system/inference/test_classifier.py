"""inference/pair.py and classifier.py: real model files, checked, loaded and asked."""

import io
import struct
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from inference import LABELS_FILE, MODEL_FILE, tensorflow_engine, tracing
from inference.classifier import Classifier
from inference.errors import PairError
from inference.keras_files.model_file import check_model_file
from inference.options import Precision
from inference.pair import check_pair
from inference.photo import open_photo
from inference.processor import has_bfloat16
from inference.tensorflow_engine import TensorFlowEngine
from tests.support.servers import ROOT

KERAS2 = Path(__file__).parents[2] / "support" / "keras2"
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), dtype="uint8")


def small_network(classes: int, activation: str | None = "softmax", size: int | None = 224) -> keras.Model:
    """A network that tells images apart by their colors."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(4, 16, strides=16, activation="relu"),
            keras.layers.Flatten() if size else keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation=activation),
        ]
    )


@pytest.fixture
def saved(tmp_path):
    """A function that saves a network and a number of labels, and returns the paths of both."""

    def save(network: keras.Model, labels: int) -> tuple[Path, Path]:
        network.save(tmp_path / "model.h5")
        np.save(tmp_path / "labels.npy", {f"bird {index}": index for index in range(labels)})
        return tmp_path / "model.h5", tmp_path / "labels.npy"

    return save


def load(model_file: Path, labels_file: Path, precision: str = "float32") -> Classifier:
    """The classifier as the app has it with TensorFlow, but for ``bfloat16`` without a measurement."""
    pair = check_pair(model_file, labels_file)
    return Classifier(pair, TensorFlowEngine(pair, Precision(precision), None))


def confidences(pair: tuple[Path, Path], pixels: np.ndarray) -> dict[str, float]:
    candidates = load(*pair).classify(pixels).candidates
    return {candidate.label: candidate.confidence for candidate in candidates}


def test_an_answer_is_what_keras_predicts_for_the_pixels_divided_by_255(saved):
    network = small_network(8)
    pair = saved(network, 8)
    answer = load(*pair).classify(PIXELS[0])
    (expected,) = network.predict(PIXELS[:1] / np.float32(255), verbose=0)
    best = np.argsort(expected)[::-1][:5]
    assert [candidate.label for candidate in answer.candidates] == [f"bird {index}" for index in best]
    np.testing.assert_allclose([candidate.confidence for candidate in answer.candidates], expected[best], atol=1e-6)
    assert (answer.label, answer.confidence) == (answer.candidates[0].label, answer.candidates[0].confidence)


def head_inside() -> keras.Model:
    """A network whose head, without activation, is a model of its own."""
    head = keras.Sequential([keras.Input((14, 14, 4)), keras.layers.Flatten(), keras.layers.Dense(3)])
    return keras.Sequential([keras.Input((224, 224, 3)), keras.layers.Conv2D(4, 16, strides=16), head])


@pytest.mark.parametrize("build", [lambda: small_network(3, activation=None), head_inside])
def test_a_head_without_activation_answers_in_probabilities(saved, build):
    network = build()
    found = confidences(saved(network, 3), PIXELS[0])
    (logits,) = network.predict(PIXELS[:1] / np.float32(255), verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose([found[f"bird {index}"] for index in range(3)], expected, atol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_head_with_one_sigmoid_tells_two_classes_apart(saved, activation):
    network = small_network(1, activation)
    found = confidences(saved(network, 2), PIXELS[0])
    ((score,),) = network.predict(PIXELS[:1] / np.float32(255), verbose=0)
    second = score if activation else 1 / (1 + np.exp(-score))
    assert found == pytest.approx({"bird 0": 1 - second, "bird 1": second}, abs=1e-6)


@pytest.mark.parametrize("size", [None, 224, 299])
def test_a_network_for_images_of_another_size_answers_too(saved, size):
    found = confidences(saved(small_network(3, size=size), 3), PIXELS[0])
    assert sum(found.values()) == pytest.approx(1)


def test_a_network_too_large_for_a_batch_takes_images_one_by_one(saved, monkeypatch):
    monkeypatch.setattr(tracing, "MAX_TENSOR", 2 * PIXELS[0].size)
    loaded = load(*saved(small_network(3), 3))
    assert loaded.classify_batch(PIXELS) == [loaded.classify(pixels) for pixels in PIXELS]


def test_a_model_with_its_optimizers_state_is_loaded(saved):
    network = small_network(3)
    network.compile("adam", "categorical_crossentropy")
    network.fit(PIXELS / np.float32(255), np.eye(3)[[0, 1, 2, 0]], verbose=0)
    pair = saved(network, 3)
    with h5py.File(pair[0]) as file:
        assert "optimizer_weights" in file
    assert len(confidences(pair, PIXELS[0])) == 3


def test_a_pair_that_keras_2_saved_answers_as_it_did_there():
    keras2 = load(KERAS2 / "model.h5", KERAS2 / "class_indices.npy")
    for pixels, expected in zip(PIXELS, np.load(KERAS2 / "answers.npy"), strict=True):
        best = np.argsort(expected)[::-1][:5]
        answer = keras2.classify(pixels)
        assert [candidate.label for candidate in answer.candidates] == [f"bird {index}" for index in best]
        np.testing.assert_allclose([candidate.confidence for candidate in answer.candidates], expected[best], atol=1e-4)


def preprocessing_inside() -> keras.Model:
    """``preprocess_input`` and a network inside the network: Keras saves the first but cannot load it."""
    inner = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 16, strides=16)])
    images = keras.Input((224, 224, 3))
    features = inner(keras.applications.inception_v3.preprocess_input(255.0 * images), training=False)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(pooled))


def called_by_name() -> keras.Model:
    """A network whose layers were given their input as ``inputs=``."""
    images = keras.Input((224, 224, 3))
    features = keras.layers.Conv2D(4, 16, strides=16)(inputs=images)
    pooled = keras.layers.GlobalAveragePooling2D()(inputs=features)
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(inputs=pooled))


def mixed_precision() -> keras.Model:
    """A network that computes in float16 and answers in float32."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        images = keras.Input((224, 224, 3))
        features = keras.layers.Flatten()(keras.layers.Conv2D(4, 16, strides=16)(images))
        return keras.Model(images, keras.layers.Dense(3, activation="softmax", dtype="float32")(features))
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("build", [preprocessing_inside, called_by_name, mixed_precision])
def test_what_keras_3_scripts_build_answers_as_it_did_there(saved, build):
    network = build()
    found = confidences(saved(network, 3), PIXELS[0])
    (expected,) = network.predict(PIXELS[:1] / np.float32(255), verbose=0)
    np.testing.assert_allclose([found[f"bird {index}"] for index in range(3)], expected, atol=2e-3)


def test_a_model_and_labels_of_different_trainings_are_refused(saved):
    with pytest.raises(PairError, match=r"model\.h5 tells 8 classes apart, but \S*labels\.npy holds 7 labels"):
        load(*saved(small_network(8), 7))


def test_files_that_are_not_a_whole_model_are_refused(saved, tmp_path):
    model, labels = saved(small_network(3), 3)
    content = model.read_bytes()
    model.write_bytes(content[: len(content) // 2])
    with pytest.raises(PairError, match=rf"is cut short: it has {len(content) // 2} of its {len(content)} bytes"):
        load(model, labels)
    model.write_bytes(b"not a model")
    with pytest.raises(PairError, match="is a text file that begins with 'not a model'"):
        load(model, labels)
    model.unlink()
    with pytest.raises(PairError, match="is missing"):
        load(model, labels)
    with h5py.File(model, "w") as file:
        file.create_group("model_weights")
    with pytest.raises(PairError, match="weights without the network"):
        load(model, labels)
    with h5py.File(model, "w") as file:
        file.attrs["model_config"] = "{}"
    with pytest.raises(PairError, match="cannot be loaded by Keras"):
        load(model, labels)


def test_networks_that_do_not_score_images_are_refused(saved):
    for network, sentence in [
        (keras.Sequential([keras.Input((7,)), keras.layers.Dense(3)]), "does not take RGB pictures"),
        (keras.Sequential([keras.Input((224, 224, 3)), keras.layers.Dense(3)]), "one score for each class"),
    ]:
        with pytest.raises(PairError, match=sentence):
            load(*saved(network, 3))


def test_a_network_that_makes_gigabytes_of_an_image_is_refused(saved):
    network = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            keras.layers.UpSampling2D(100),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    with pytest.raises(PairError, match=r"fails on a picture: .* makes 1505280000 numbers of it"):
        load(*saved(network, 3))


def test_a_network_that_remembers_images_is_refused(saved):
    network = keras.Sequential(
        [
            keras.Input(batch_shape=(1, 224, 224, 3)),
            keras.layers.Conv2D(4, 16, strides=16),
            keras.layers.Reshape((14, 56)),
            keras.layers.GRU(3, stateful=True),
        ]
    )
    with pytest.raises(PairError, match="a layer in it remembers the pictures before"):
        load(*saved(network, 3))


@pytest.mark.parametrize(("said", "really"), [(0x7FFFFFFF, 5003), (0, 5003)])
def test_a_file_with_wrong_lengths_is_refused_before_it_takes_gigabytes_or_for_ever(tmp_path, said, really):
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "x" * really
    content = path.read_bytes()
    # The length is there twice: in four bytes of the attribute, and in eight where the text is stored.
    assert content.count(struct.pack("<I", really)) == 2
    path.write_bytes(content.replace(struct.pack("<I", really), struct.pack("<I", said)))
    with pytest.raises(PairError, match=r"is damaged|not JSON"):
        check_model_file(path)


def test_code_inside_a_model_is_refused(saved):
    network = keras.Sequential([keras.Input((224, 224, 3)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten()])
    pair = saved(network, 3)
    with pytest.raises(PairError, match=r"cannot be loaded by Keras .*Lambda"):
        load(*pair)


def test_every_gpu_gets_memory_growth(monkeypatch):
    # A stand-in for TensorFlow's list of GPUs: there is none where these tests run.
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grow: grown.append((gpu, grow)))
    tensorflow_engine.let_gpu_memory_grow()
    assert grown == [("GPU:0", True), ("GPU:1", True)]


def low_rank_adapted() -> keras.Model:
    """A network whose first BatchNormalization can be folded, and whose second one cannot: LoRA has no one kernel."""
    keras.utils.set_random_seed(1)
    images = features = keras.Input((224, 224, 3))
    for convolution in (keras.layers.Conv2D(4, 16, strides=16), keras.layers.Conv2D(4, 3, lora_rank=2)):
        features = keras.layers.ReLU()(keras.layers.BatchNormalization()(convolution(features)))
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    network = keras.Model(images, keras.layers.Dense(3, activation="softmax")(pooled))
    rng = np.random.default_rng(1)
    for variable in network.variables:
        if variable.path.endswith(("gamma", "beta", "bias", "mean", "variance")) or "lora" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return network


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_that_cannot_be_optimized_runs_as_it_was_saved_and_that_is_logged(saved, caplog, precision):
    network = low_rank_adapted()
    loaded = load(*saved(network, 3), precision)
    expected = network.predict(PIXELS / np.float32(255), verbose=0)
    for answers in ([loaded.classify(pixels) for pixels in PIXELS], loaded.classify_batch(PIXELS)):
        for answer, scores in zip(answers, expected, strict=True):
            found = {candidate.label: candidate.confidence for candidate in answer.candidates}
            np.testing.assert_allclose([found[f"bird {index}"] for index in range(3)], scores, atol=1e-6)
    (record,) = [record for record in caplog.records if "optimizing it failed" in record.getMessage()]
    assert record.levelname == "WARNING"
    assert record.exc_info[0] is AttributeError


def test_a_network_that_fails_as_it_was_saved_is_refused_and_nothing_is_said_of_optimizing(saved, caplog):
    # It loads, but on 224×224 pixels the kernel is larger than what is left of the image.
    layers = [keras.layers.MaxPooling2D(16), keras.layers.Conv2D(4, 32), keras.layers.GlobalAveragePooling2D()]
    network = keras.Sequential([keras.Input((None, None, 3)), *layers, keras.layers.Dense(3)])
    with pytest.raises(PairError, match="fails on a picture: "):
        load(*saved(network, 3))
    assert "optimizing" not in caplog.text


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    """The pair in ``models/``."""
    return load(ROOT / "models" / MODEL_FILE, ROOT / "models" / LABELS_FILE)


def test_the_model_that_ships_knows_121_species_and_keeps_its_kernels_in_half_precision(shipped):
    assert len(shipped.labels) == 121
    with h5py.File(ROOT / "models" / MODEL_FILE) as file:
        kernels = []
        file.visititems(lambda name, item: kernels.append(item.dtype) if name.endswith("kernel") else None)
    assert len(kernels) == 95  # 94 convolutions and the head
    assert set(kernels) == {np.dtype("float16")}


def test_the_model_that_ships_answers_what_keras_predicts_though_it_is_folded(shipped, goldfinch):
    pixels = open_photo(io.BytesIO(goldfinch)).pixels()
    network = keras.models.load_model(ROOT / "models" / MODEL_FILE, compile=False)
    (expected,) = network.predict(pixels[np.newaxis] / np.float32(255), verbose=0)
    answer = shipped.classify(pixels)
    best = np.argsort(expected)[::-1][:5]
    assert [candidate.label for candidate in answer.candidates] == [shipped.labels[index] for index in best]
    np.testing.assert_allclose([candidate.confidence for candidate in answer.candidates], expected[best], atol=1e-5)


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16")
def test_the_model_that_ships_says_the_same_of_an_image_among_others(shipped, goldfinch):
    pixels = np.stack([open_photo(io.BytesIO(goldfinch)).pixels(), *PIXELS])
    alone, among_others = [shipped.classify(each) for each in pixels], shipped.classify_batch(pixels)
    for one, other in zip(alone, among_others, strict=True):
        assert [candidate.label for candidate in one.candidates] == [candidate.label for candidate in other.candidates]
        for candidate, same in zip(one.candidates, other.candidates, strict=True):
            assert candidate.confidence == pytest.approx(same.confidence, abs=1e-5)
    assert shipped.classify_batch(pixels[2:]) == among_others[2:]


def test_the_model_that_ships_answers_nearly_the_same_in_bfloat16(shipped, goldfinch):
    pixels = open_photo(io.BytesIO(goldfinch)).pixels()
    answer = load(ROOT / "models" / MODEL_FILE, ROOT / "models" / LABELS_FILE, "bfloat16").classify(pixels)
    expected = shipped.classify(pixels)
    assert answer.label == expected.label
    assert answer.confidence == pytest.approx(expected.confidence, abs=0.05)
    assert answer.confidence != expected.confidence


def test_the_model_that_ships_names_real_photos_correctly(shipped, birds):
    paths = [sorted(species.iterdir())[0] for species in sorted((birds / "test").iterdir())]
    correct = [shipped.classify(open_photo(path).pixels()).label == path.parent.name for path in paths]
    assert len(correct) == 121
    assert np.mean(correct) >= 0.85
