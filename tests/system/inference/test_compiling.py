"""inference/compiling.py and onnx_engine.py: a compiled network gives the answers that TensorFlow gives."""

import re
import shutil
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from inference import compiling
from inference.classifier import Classifier
from inference.compiled import COMPILED_FILE, CompiledError, CompiledFile
from inference.compiling import CALIBRATION_PHOTOS, FEWEST_PHOTOS, compile_pair, read_photos
from inference.engine import BATCH_SIZE
from inference.errors import PairError
from inference.input_range import InputRange
from inference.loader import load_classifier
from inference.onnx_engine import OnnxEngine
from inference.options import EngineName, NetworkOptions, Precision
from inference.pair import Pair, check_pair
from tests.support.drawings import draw_goldfinch, encoded
from tests.system.inference import test_feature_map as networks
from tests.system.inference.test_classifier import KERAS2, PIXELS, saved, small_network

__all__ = ["saved"]  # a fixture

NO_PHOTOS = PIXELS[:0]
PICTURE = np.random.default_rng(1).integers(0, 256, (900, 1200, 3), dtype="uint8")


def photos(count: int) -> np.ndarray:
    """Images of different colors, with noise."""
    rng = np.random.default_rng(2)
    colors = rng.integers(0, 200, (count, 1, 1, 3))
    return (colors + rng.integers(0, 56, (count, 224, 224, 3))).astype("uint8")


def with_both(pair: Pair, precision: Precision = Precision.FLOAT32) -> tuple[Classifier, Classifier]:
    """The classifier with TensorFlow, and with ONNX Runtime."""
    compiled = load_classifier(pair, NetworkOptions(EngineName.ONNX, precision))
    return load_classifier(pair, NetworkOptions(EngineName.TENSORFLOW)), compiled


def assert_same_answers(one: Classifier, other: Classifier, atol: float = 1e-5) -> None:
    """The same candidates, verdicts aside, one by one, in a batch and after a closer look."""
    for these, those in [
        (one.classify_batch(PIXELS), other.classify_batch(PIXELS)),
        ([one.classify(each) for each in PIXELS], [other.classify(each) for each in PIXELS]),
        ([one.classify(PIXELS[0], PICTURE)], [other.classify(PIXELS[0], PICTURE)]),
    ]:
        for this, that in zip(these, those, strict=True):
            confidences = [{each.label: each.confidence for each in answer.candidates} for answer in (this, that)]
            assert confidences[0] == pytest.approx(confidences[1], abs=atol)
            assert (this.region, this.wants_closer_look) == (that.region, that.wants_closer_look)
            np.testing.assert_allclose(this.activation, that.activation, atol=0.002)


def one_sigmoid() -> keras.Model:
    return small_network(1, "sigmoid")


def no_activation() -> keras.Model:
    return small_network(3, None)


def half_precision() -> keras.Model:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return networks.pooled_and_dense()
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("build", "labels"),
    [
        (one_sigmoid, 2),
        (no_activation, 3),
        (half_precision, 3),
        (networks.pooled_and_dense, 3),
        (networks.any_size, 3),
        (networks.kept_places, 3),
        (networks.softmax_layer, 3),
        (networks.logits, 3),
        (networks.pooling_in_base, 3),
        (networks.sequential_in_sequential, 3),
        (networks.branches, 3),
        (networks.one_of_two_outputs, 3),
        (networks.half_precision_input, 3),
        (networks.one_size_only, 3),
        pytest.param(lambda: networks.pooled_and_dense(299), 3, id="299 pixels"),
        pytest.param(lambda: networks.pooled_and_dense(160), 3, id="160 pixels"),
    ],
)
def test_a_compiled_network_answers_as_the_one_it_was_compiled_from(saved, build: Callable[[], keras.Model], labels):
    keras.utils.set_random_seed(3)
    pair = check_pair(*saved(build(), labels))
    about = compile_pair(pair, None, NO_PHOTOS)
    assert list(about.agreement) == [Precision.FLOAT32]
    assert about.agreement[Precision.FLOAT32].labels_changed == 0
    as_saved, compiled = with_both(pair)
    assert compiled.engine.info.engine is EngineName.ONNX
    assert compiled.engine.input_range_reason == as_saved.engine.input_range_reason
    assert_same_answers(as_saved, compiled)


@pytest.mark.parametrize(("name", "labels"), [("model.h5", 10), ("archive.keras", 5)])
def test_a_network_that_keras_2_saved_is_compiled_too(tmp_path, name, labels):
    shutil.copy(KERAS2 / name, tmp_path)
    np.save(tmp_path / "labels.npy", {f"bird {index}": index for index in range(labels)})
    pair = check_pair(tmp_path / name, tmp_path / "labels.npy")
    compile_pair(pair, None, NO_PHOTOS)
    assert_same_answers(*with_both(pair))


@pytest.fixture
def in_both(saved) -> Pair:
    """A pair whose network is compiled in float32 and in int8."""
    keras.utils.set_random_seed(3)
    network = networks.pooling_in_base()
    network.layers[-1].bias.assign([0.3, -0.2, 0.1])
    pair = check_pair(*saved(network, 3))
    about = compile_pair(pair, None, photos(FEWEST_PHOTOS))
    assert about.calibrated_on == min(FEWEST_PHOTOS, CALIBRATION_PHOTOS)
    assert set(about.agreement) == {Precision.FLOAT32, Precision.INT8}
    return pair


def test_with_photos_there_is_also_int8_which_changes_little_and_is_taken_by_itself(in_both):
    as_saved, compiled = with_both(in_both, Precision.INT8)
    assert load_classifier(in_both).engine.info == compiled.engine.info
    assert compiled.engine.info.precision is Precision.INT8
    for image in photos(20):
        ours, theirs = compiled.classify(image), as_saved.classify(image)
        assert ours.confidence == pytest.approx(theirs.confidence, abs=0.02)
    assert compiled.classify(PIXELS[0], PICTURE).candidates


def test_the_last_layer_computes_in_float32(in_both):
    _as_saved, compiled = with_both(in_both, Precision.INT8)
    for image in photos(20):
        scores, features = compiled.engine.run(image[np.newaxis])
        weights = np.exp(compiled.engine.head.scores(features.mean(axis=(1, 2))))
        np.testing.assert_allclose(scores, weights / weights.sum(), atol=1e-6)


def test_an_answer_does_not_depend_on_what_else_is_in_its_batch(in_both):
    for precision in (Precision.INT8, Precision.FLOAT32):
        _as_saved, compiled = with_both(in_both, precision)
        images = photos(BATCH_SIZE)
        answers = compiled.classify_batch(images)
        assert answers[:3] == compiled.classify_batch(images[:3])
        for answer, image in zip(answers, images, strict=True):
            assert answer.confidence == pytest.approx(compiled.classify(image).confidence, abs=1e-5)


def test_int8_that_changes_too_many_labels_is_not_written_and_that_is_said(saved, monkeypatch, caplog):
    monkeypatch.setattr(compiling, "LABELS_CHANGED", -1.0)  # nothing is good enough
    pair = check_pair(*saved(networks.pooled_and_dense(), 3))
    assert list(compile_pair(pair, None, photos(FEWEST_PHOTOS)).agreement) == [Precision.FLOAT32]
    said = rf"There is no network in int8: it would change the labels of \d+ of {FEWEST_PHOTOS + 3} photos"
    assert re.search(said, caplog.text)
    with pytest.raises(PairError, match=r"holds no network in int8, only in float32"):
        load_classifier(pair, NetworkOptions(precision=Precision.INT8))


def test_a_network_that_would_answer_otherwise_in_float32_is_not_written(saved, monkeypatch):
    monkeypatch.setattr(compiling, "LARGEST_DIFFERENCE", -1.0)
    model_file, labels_file = saved(networks.pooled_and_dense(), 3)
    with pytest.raises(PairError, match=r"cannot be compiled: ONNX Runtime gives probabilities that differ by 0\.000"):
        compile_pair(check_pair(model_file, labels_file), None, NO_PHOTOS)
    assert not (model_file.parent / COMPILED_FILE).exists()


def test_a_processor_that_computes_something_else_gets_the_next_precision_and_then_tensorflow(
    in_both, monkeypatch, caplog
):
    # No such processor is here: the scores that are expected are changed instead.
    path = in_both.model_file.parent / COMPILED_FILE
    for precision, instead in [("int8", "in float32"), ("float32", "TensorFlow on the CPU, in float32")]:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members[f"{precision}.npy"] = members[f"{precision}.npy"][:-4] + np.float32(99).tobytes()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        assert instead in str(load_classifier(in_both).engine.info)
        assert f"cannot be used in {precision}: this processor computes other scores" in caplog.text
    with pytest.raises(PairError, match="cannot be used in float32"):
        load_classifier(in_both, NetworkOptions(EngineName.ONNX))


def test_a_damaged_network_is_one_that_cannot_be_run(in_both):
    file = CompiledFile(in_both.model_file.parent / COMPILED_FILE)
    whole = file.read(Precision.INT8)
    whole.networks[Precision.INT8] = whole.networks[Precision.INT8][:1000]
    file.read = lambda _precision: whole
    with pytest.raises(CompiledError, match=r"^ONNX Runtime cannot run it: "):
        OnnxEngine(file, Precision.INT8)


def test_the_engine_can_be_chosen(in_both, saved):
    assert load_classifier(in_both, NetworkOptions(EngineName.TENSORFLOW)).engine.info.engine is EngineName.TENSORFLOW
    with pytest.raises(PairError, match="TensorFlow runs no network in int8"):
        load_classifier(in_both, NetworkOptions(EngineName.TENSORFLOW, Precision.INT8))
    (in_both.model_file.parent / COMPILED_FILE).unlink()
    assert load_classifier(in_both).engine.info.engine is EngineName.TENSORFLOW
    for options in (NetworkOptions(EngineName.ONNX), NetworkOptions(precision=Precision.INT8)):
        with pytest.raises(PairError, match=r"is not compiled\. Compile it: flask --app application compile"):
            load_classifier(in_both, options)


def test_a_range_of_pixel_values_other_than_the_compiled_one_needs_tensorflow(in_both):
    options = NetworkOptions(input_range=InputRange.ZERO_TO_255)
    assert load_classifier(in_both, options).engine.info.engine is EngineName.TENSORFLOW
    with pytest.raises(PairError, match="was compiled for pixel values from 0 to 1, and BIRD_INPUT_RANGE asks for"):
        load_classifier(in_both, NetworkOptions(EngineName.ONNX, input_range=InputRange.ZERO_TO_255))
    as_chosen = NetworkOptions(EngineName.ONNX, input_range=InputRange.ZERO_TO_ONE)
    assert load_classifier(in_both, as_chosen).engine.info.input_range is InputRange.ZERO_TO_ONE


def test_photos_are_read_in_an_order_that_is_always_the_same_and_others_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "PHOTOS", 3)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded(draw_goldfinch(100 + 20 * number), "PNG"))
    (tmp_path / "none.png").write_bytes(b"none")
    first = read_photos([*paths, tmp_path / "none.png", tmp_path / "missing.png"])
    assert first.shape == (3, 224, 224, 3)
    np.testing.assert_array_equal(first, read_photos([tmp_path / "missing.png", tmp_path / "none.png", *paths[::-1]]))
    assert read_photos([]).shape == (0, 224, 224, 3)


def test_a_search_gives_back_the_memory_that_it_took(in_both):
    _as_saved, compiled = with_both(in_both, Precision.FLOAT32)
    features = compiled.engine.features_of_any_size()
    image = np.zeros((1, 2240, 2240, 3), "uint8")

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    features(image)
    before = resident()
    for _ in range(3):
        features(image)
    assert resident() - before < image.nbytes


def test_threads_take_no_processor_time_between_two_answers(in_both):
    _as_saved, compiled = with_both(in_both, Precision.INT8)
    compiled.classify(PIXELS[0])
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1  # two threads that turned round would take up to 1


def test_images_that_are_classified_at_the_same_time_get_the_answers_that_each_gets_alone(in_both):
    for precision in (Precision.INT8, Precision.FLOAT32):
        _as_saved, compiled = with_both(in_both, precision)
        images = photos(20)
        alone = [compiled.classify(image) for image in images]
        with ThreadPoolExecutor(max(2, compiled.engine.concurrency)) as threads:
            for ours, theirs in zip(threads.map(compiled.classify, images), alone, strict=True):
                assert ours == replace(theirs, seconds=ours.seconds)


def test_in_int8_the_features_are_right_on_average(in_both):
    """Of the photos that the ranges were taken from, as training gives them."""
    as_saved, compiled = with_both(in_both, Precision.INT8)
    images = photos(FEWEST_PHOTOS)
    ours, theirs = (
        np.concatenate([engine.run(image[np.newaxis])[1] for image in images]).mean(axis=(0, 1, 2))
        for engine in (compiled.engine, as_saved.engine)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
