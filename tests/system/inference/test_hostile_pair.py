"""Malicious model pairs: the app refuses to start, with one line, and runs nothing that is in them."""

import json
import pickle
import struct
from pathlib import Path

import h5py
import keras
import numpy as np
import psutil
import pytest

from inference import LABELS_FILE, MODEL_FILE
from inference.errors import PairError
from tests.support import servers
from tests.support.servers import ROOT
from tests.system.inference.test_classifier import load, small_network
from tests.unit.inference.test_labels import RunsCode, npy

MIB = 2**20


def saved(path: Path) -> Path:
    """A good model of three classes."""
    small_network(3).save(path)
    return path


def weights_of(file: h5py.File) -> tuple[h5py.Group, str]:
    """The group that holds the first weights, and their name there."""
    found = []
    file["model_weights"].visititems(
        lambda name, item: found.append(item.name) if isinstance(item, h5py.Dataset) else None
    )
    group, _slash, name = found[0].rpartition("/")
    return file[group], name


def one_line_refusal(uploads: Path, **settings: str) -> str:
    """Start the app where it must fail, without a traceback: the one line that it prints."""
    ended = servers.start_and_fail(uploads, port=servers.free_port(), **settings)
    assert ended.returncode not in (0, 1)
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("application: ")]
    return line


def lambda_inside(path: Path) -> None:
    trace = str(path.with_name("ran"))
    layer = keras.layers.Lambda(lambda x: (Path(trace).touch(), x)[1], output_shape=(224, 224, 3))
    keras.Sequential([keras.Input((224, 224, 3)), layer, keras.layers.Flatten()]).save(path)
    path.with_name("ran").unlink(missing_ok=True)


def function_of_os(path: Path) -> None:
    with h5py.File(saved(path), "r+") as file:
        config = json.loads(file.attrs["model_config"])
        dense = config["config"]["layers"][-1]
        dense["module"], dense["class_name"], dense["registered_name"] = "os", "system", None
        dense["config"] = {"command": f"touch {path.with_name('ran')}"}
        file.attrs["model_config"] = json.dumps(config)


def external_link(path: Path) -> None:
    other = saved(path.with_name("other.h5"))
    with h5py.File(saved(path), "r+") as file:
        group, name = weights_of(file)
        inside = f"{group.name}/{name}"
        del group[name]
        group[name] = h5py.ExternalLink(str(other), inside)


def external_storage(path: Path) -> None:
    with h5py.File(saved(path), "r+") as file:
        group, name = weights_of(file)
        shape = group[name].shape
        del group[name]
        secret = path.with_name("secret")
        secret.write_bytes(bytes(4 * int(np.prod(shape))))
        group.create_dataset(name, shape, "float32", external=[(str(secret), 0, secret.stat().st_size)])


def virtual(path: Path) -> None:
    with h5py.File(saved(path), "r+") as file:
        group, name = weights_of(file)
        layout = h5py.VirtualLayout(group[name].shape, "float32")
        layout[:] = h5py.VirtualSource(str(path.with_name("secret")), "weights", group[name].shape)
        del group[name]
        group.create_virtual_dataset(name, layout)


def huge_weights(path: Path) -> None:
    with h5py.File(saved(path), "r+") as file:
        group, name = weights_of(file)
        del group[name]
        group.create_dataset(name, (10**6, 10**6), "float32", chunks=(1000, 1000))


def circle(path: Path) -> None:
    with h5py.File(saved(path), "r+") as file:
        file["model_weights"]["circle"] = file["model_weights"]


def nested(path: Path) -> None:
    with h5py.File(saved(path), "r+") as file:
        del file.attrs["model_config"]
        file.attrs["model_config"] = "[" * 50_000


def huge_layer(path: Path) -> None:
    with h5py.File(saved(path), "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["units"] = 100_000_000
        file.attrs["model_config"] = json.dumps(config)


def huge_input(path: Path) -> None:
    keras.Sequential(
        [keras.Input((10**6, 10**6, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    ).save(path)


BEFORE_TENSORFLOW = {
    external_link: "is a link",
    external_storage: "takes its numbers from another file",
    virtual: "takes its numbers from another file",
    huge_weights: "is said to take 4000000000000 bytes, and 0 are there",
    circle: "is there under another name too",
    nested: "nested too deeply",
}
BY_KERAS = {
    lambda_inside: "cannot be loaded by Keras .*Lambda",
    function_of_os: "cannot be loaded by Keras",
    huge_layer: "cannot be loaded by Keras .*shape",
    huge_input: "more than 2048 a side",
}


@pytest.mark.parametrize("make", [*BEFORE_TENSORFLOW, lambda_inside, huge_layer], ids=lambda make: make.__name__)
def test_a_model_that_is_malicious_stops_the_start(uploads, tmp_path, make):
    path = tmp_path / MODEL_FILE
    make(path)
    line = one_line_refusal(uploads, BIRD_MODEL=str(path))
    assert line.startswith(f"application: {path} ")
    assert line.isprintable()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("make", BEFORE_TENSORFLOW | BY_KERAS, ids=lambda make: make.__name__)
def test_a_model_that_is_malicious_is_refused_for_its_reason_and_takes_no_memory(tmp_path, make):
    path = tmp_path / MODEL_FILE
    make(path)
    memory = psutil.Process().memory_info().rss
    with pytest.raises(PairError, match=(BEFORE_TENSORFLOW | BY_KERAS)[make]):
        load(path, ROOT / "models" / LABELS_FILE)
    assert psutil.Process().memory_info().rss - memory < 200 * MIB
    assert not (tmp_path / "ran").exists()


def test_what_keras_quotes_of_a_file_cannot_steer_the_terminal(tmp_path):
    path = tmp_path / MODEL_FILE
    with h5py.File(saved(path), "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["class_name"] = "\x1b]0;owned\x07\x1b[2J" + "x" * 5000
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(PairError) as refusal:
        load(path, ROOT / "models" / LABELS_FILE)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 600


def npy_with_a_header_of_4_gigabytes(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{'descr': '|O', ")


def npy_of_4_gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 13))
        file.truncate(2**32)  # sparse: it takes no disk


def npy_that_runs_code(path: Path) -> None:
    path.write_bytes(npy(pickle.dumps({"a": 0, "b": RunsCode(path.with_name("ran"))})))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (npy_with_a_header_of_4_gigabytes, "is not a file that NumPy saved"),
        (npy_of_4_gigabytes, "too large for a list of labels"),
        (npy_that_runs_code, "its pickle names"),
    ],
)
def test_labels_that_are_malicious_stop_the_start(uploads, tmp_path, make, reason):
    path = tmp_path / LABELS_FILE
    make(path)
    line = one_line_refusal(uploads, BIRD_LABELS=str(path))
    assert line.startswith(f"application: {path} ")
    assert reason in line
    assert not (tmp_path / "ran").exists()
