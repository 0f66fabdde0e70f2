"""inference/keras_files/archive.py, modern_archive.py: ``.keras`` files of all releases, good and malicious."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import psutil
import pytest

from inference import LABELS_FILE, MODEL_FILE
from inference.digest import sha256
from inference.errors import PairError
from inference.keras_files.model_file import check_model_file
from inference.keras_files.network import load_network
from tests.support.servers import ROOT
from tests.system.inference.test_classifier import PIXELS, confidences, load, small_network
from tests.system.inference.test_hostile_pair import lambda_inside

KERAS2 = Path(__file__).parents[2] / "support" / "keras2"
ANSWERS = np.load(KERAS2 / "archive_answers.npy")
IMAGES = PIXELS / np.float32(255)
MIB = 2**20


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A good network of three classes, as this Keras saves it."""
    small_network(3).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def checked_and_loaded(path: Path) -> keras.Model:
    check_model_file(path)
    return load_network(path)


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None], compression: int = zipfile.ZIP_STORED) -> None:
    """Change the members of an archive."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, content in members.items():
            new.writestr(name, content)


def rewrite_description(path: Path, change: Callable[[dict], None]) -> None:
    def rewritten(members: dict[str, bytes]) -> None:
        config = json.loads(members["config.json"])
        change(config)
        members["config.json"] = json.dumps(config).encode()

    rewrite(path, rewritten)


def rewrite_weights(path: Path, change: Callable[[h5py.File], None]) -> None:
    def rewritten(members: dict[str, bytes]) -> None:
        weights = path.with_name("weights.h5")
        weights.write_bytes(members["model.weights.h5"])
        with h5py.File(weights, "r+") as file:
            change(file)
        members["model.weights.h5"] = weights.read_bytes()

    rewrite(path, rewritten)


def group_and_name(file: h5py.File) -> tuple[h5py.Group, str]:
    return file["layers/dense/vars"], "0"


def as_keras_2_13(file: h5py.File) -> None:
    """Name groups as Keras 2.13 did, which counted twice what has weights."""
    layers = file["layers"]
    for old, new in {
        "conv2d_2": "conv2d_4",
        "conv2d_1": "conv2d_2",
        "batch_normalization_1": "batch_normalization_2",
    }.items():
        layers.move(old, new)
    layers["sequential"].move("layers", "_layer_checkpoint_dependencies")
    file.move("layers", "_layer_checkpoint_dependencies")


def as_on_windows(file: h5py.File) -> None:
    """Join names with backslashes, as Keras 2 did there."""
    groups = []
    file["layers"].visit(lambda path: groups.append(path) if path.endswith("/vars") else None)
    for path in groups:
        file.move(f"layers/{path}", "\\".join(["layers", *path.split("/")[:-1]]) + "/vars")
    del file["layers"]


@pytest.mark.parametrize("layout", [None, as_keras_2_13, as_on_windows])
def test_an_archive_of_keras_2_gives_the_scores_that_it_gave_there(tmp_path, layout):
    path = tmp_path / "model.keras"
    shutil.copy(KERAS2 / "archive.keras", path)
    if layout:
        rewrite_weights(path, layout)
    np.testing.assert_allclose(checked_and_loaded(path)(IMAGES, training=False), ANSWERS, atol=1e-5)


def calculating_network() -> keras.Model:
    """A network with operations instead of layers before, between and after those that have weights."""
    image = keras.Input((224, 224, 3))
    x = keras.layers.Rescaling(2.0)(image) / 0.5 - 1.0
    x = keras.layers.Conv2D(4, 16, strides=16)(x)
    x = keras.layers.Conv2D(4, 3)(x * 2.0)
    inner = keras.Sequential([keras.layers.Conv2D(4, 1), keras.layers.GlobalAveragePooling2D()])
    inner.compile("adam", "mse")
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(inner(x)))


def test_an_archive_answers_as_its_network_did_whatever_else_is_inside_and_whatever_its_name_is(tmp_path):
    network = calculating_network()
    network.compile("adam", "categorical_crossentropy")
    network.fit(IMAGES, np.eye(3)[[0, 1, 2, 0]], verbose=0)
    network.save(tmp_path / "model.keras")
    os.rename(tmp_path / "model.keras", tmp_path / MODEL_FILE)
    labels = {f"bird {index}": index for index in range(3)}
    np.save(tmp_path / LABELS_FILE, labels)
    pair = tmp_path / MODEL_FILE, tmp_path / LABELS_FILE
    found = confidences(pair, PIXELS[0])
    (expected,) = network.predict(IMAGES[:1], verbose=0)
    np.testing.assert_allclose([found[label] for label in labels], expected, atol=1e-6)
    assert load(*pair).sha256 == sha256(pair[0])


class TrainedInItsOwnWay(keras.Model):
    """What a script defines to change how a network is trained; nothing of that is called here."""


def test_a_network_of_a_class_that_only_changes_its_training_is_loaded(tmp_path):
    path, network = tmp_path / "model.keras", small_network(3)
    TrainedInItsOwnWay(network.inputs, network.outputs).save(path)
    images = PIXELS[:1] / np.float32(255)
    np.testing.assert_allclose(checked_and_loaded(path)(images), network(images), atol=1e-6)


def test_an_h5_with_another_name_is_loaded(tmp_path):
    network = small_network(3)
    network.save(tmp_path / "model.h5")
    os.rename(tmp_path / "model.h5", tmp_path / "model.keras")
    found = checked_and_loaded(tmp_path / "model.keras")(IMAGES, training=False)
    np.testing.assert_allclose(found, network(IMAGES, training=False), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_read(tmp_path, dtype):
    network = keras.Sequential(
        [keras.Input((224, 224, 3)), keras.layers.Conv2D(2, 16, strides=16, dtype=dtype), keras.layers.Flatten()]
    )
    network.save(tmp_path / "model.keras")
    (kernel, _bias) = checked_and_loaded(tmp_path / "model.keras").get_weights()
    np.testing.assert_array_equal(np.float32(kernel), np.float32(network.get_weights()[0]))


def compressed(path: Path) -> None:
    rewrite(path, lambda members: members.update({"model.weights.h5": bytes(200 * MIB)}), zipfile.ZIP_DEFLATED)


def huge_description(path: Path) -> None:
    rewrite(path, lambda members: members.update({"config.json": b'"' + b" " * 20 * MIB + b'"'}))


def stateful(path: Path) -> None:
    rewrite_description(path, lambda config: config["config"]["layers"][-1]["config"].update(stateful=True))


def encrypted(path: Path) -> None:
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        content[archive.getinfo("config.json").header_offset + 6] |= 1
    content[content.rindex(b"config.json") - 46 + 8] |= 1
    path.write_bytes(content)


def two_of_one_name(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")


def many_members(path: Path) -> None:
    rewrite(path, lambda members: members.update({f"assets/{number}": b"" for number in range(2000)}))


def beyond_the_end(path: Path) -> None:
    """Say that the weights are four gigabytes."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"model.weights.h5") - 46
    content[entry + 20 : entry + 28] = b"\xfe\xff\xff\xff" * 2
    path.write_bytes(content)


def without_weights(path: Path) -> None:
    rewrite(path, lambda members: members.pop("model.weights.h5"))


def external_storage(path: Path) -> None:
    def store_elsewhere(file: h5py.File) -> None:
        group, name = group_and_name(file)
        shape = group[name].shape
        del group[name]
        path.with_name("secret").write_bytes(bytes(4 * int(np.prod(shape))))
        external = [(str(path.with_name("secret")), 0, 4 * int(np.prod(shape)))]
        group.create_dataset(name, shape, "float32", external=external)

    rewrite_weights(path, store_elsewhere)


def external_link(path: Path) -> None:
    def link(file: h5py.File) -> None:
        group, name = group_and_name(file)
        del group[name]
        group[name] = h5py.ExternalLink(str(path.with_name("other.h5")), "/weights")

    rewrite_weights(path, link)


def huge_weights(path: Path) -> None:
    def declare(file: h5py.File) -> None:
        group, name = group_and_name(file)
        del group[name]
        group.create_dataset(name, (10**6, 10**6), "float32", chunks=(1000, 1000))

    rewrite_weights(path, declare)


def compressed_weights(path: Path) -> None:
    def compress(file: h5py.File) -> None:
        group, name = group_and_name(file)
        del group[name]
        group.create_dataset(name, (10**4, 10**3), "float32", compression="gzip", data=np.zeros((10**4, 10**3), "f4"))

    rewrite_weights(path, compress)


def function_of_os(path: Path) -> None:
    def call(config: dict) -> None:
        layer = config["config"]["layers"][-1]
        layer.update(module="os", class_name="system", config={"command": f"touch {path.with_name('ran')}"})

    rewrite_description(path, call)


def huge_layer(path: Path) -> None:
    rewrite_description(path, lambda config: config["config"]["layers"][-1]["config"].update(units=100_000_000))


def missing_array(path: Path) -> None:
    rewrite_weights(path, lambda file: file["layers/dense/vars"].pop("1"))


MALICIOUS = {
    compressed: r"config\.json in it is compressed",
    huge_description: "its description is longer than 16 MB",
    stateful: "remembers the pictures before",
    encrypted: r"config\.json in it is encrypted",
    two_of_one_name: "two of one name",
    many_members: "more than 1000 files",
    beyond_the_end: "is refused|is damaged",
    without_weights: r"it holds no model\.weights\.h5",
    external_storage: "takes its numbers from another file",
    external_link: "is a link",
    huge_weights: "is said to take 4000000000000 bytes, and 0 are there",
    compressed_weights: "is compressed, which Keras does not do",
    lambda_inside: "runs code",
    function_of_os: "not a part of Keras",
    huge_layer: r"the weights of its layer 'dense\w*' need the shape",
    missing_array: r"its layer 'dense\w*' needs 2 arrays of weights, and there are 1",
}


@pytest.mark.parametrize("make", MALICIOUS, ids=lambda make: make.__name__)
def test_an_archive_that_is_malicious_is_refused_for_its_reason_and_takes_no_memory(archive, make):
    make(archive)
    memory = psutil.Process().memory_info().rss
    with pytest.raises(PairError, match=MALICIOUS[make]) as refusal:
        load(archive, ROOT / "models" / LABELS_FILE)
    assert psutil.Process().memory_info().rss - memory < 200 * MIB
    assert not archive.with_name("ran").exists()
    assert str(refusal.value).isprintable()


def test_what_else_is_in_an_archive_is_not_unpacked(archive):
    rewrite(archive, lambda members: members.update({"../escaped": b"", "/tmp/escaped": b"", "assets/words": b"a"}))
    checked_and_loaded(archive)
    assert not list(archive.parent.parent.glob("escaped"))
