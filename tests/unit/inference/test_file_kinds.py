"""inference/file_kinds.py: whatever lies in the place of a model or its labels is called what it is."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from inference.errors import PairError
from inference.keras_files.model_file import check_model_file
from inference.labels import load_labels


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return file.getvalue()


def tarred(name: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


def npy(content: object) -> bytes:
    file = io.BytesIO()
    np.save(file, content)
    return file.getvalue()


def hdf5(fill: Callable[[h5py.File], object]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        fill(content)
    return file.getvalue()


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90123456\n"
SAVE = "Save the network with model.save('name.h5')."
UNPACK = "Unpack it, and use the file that is in it."

KINDS = {
    "empty": (b"", "is empty. Copy or download it again."),
    "zeros": (bytes(5000), "nothing but zeros, as a download does that was broken off. Download it again."),
    "git_lfs": (LFS_POINTER, "is a Git LFS pointer, which stands for the file. Run git lfs pull."),
    "web_page": (
        b"\xef\xbb\xbf\n<!DOCTYPE html><html>",
        "is a web page, not the file that it offers. Download the file",
    ),
    "text": (b"404: Not Found\n", "is a text file that begins with '404: Not Found'."),
    "gzip": (gzip.compress(b"model"), f"is compressed with gzip. {UNPACK}"),
    "tar": (tarred("model.h5"), f"is a tar archive. {UNPACK}"),
    "zip": (zipped("model.h5"), f"is a ZIP archive that begins with 'model.h5'. {UNPACK}"),
    "pytorch": (zipped("best/data.pkl"), "is a PyTorch model, and only Keras models can be used"),
    "old_pytorch": (pickle.dumps(0x1950A86A20F9469CFC6C, 2), "is a PyTorch model"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0", "is an ONNX model"),
    "tflite": (b"\x1c\0\0\0TFL3\x14\0", "is a TensorFlow Lite model"),
    "saved_model": (b"\x08\x01\x12\xd4\x0a\x0a", "is the saved_model.pb of a SavedModel"),
    "frozen": (b"\x0a\x2c\x0a\x05input\x12\x0bPlaceholder", "is a frozen TensorFlow graph"),
    "tensorflow_js": (b'{"format": "layers-model", "modelTopology": {}}', "is the model.json of TensorFlow.js"),
    "to_json": (json.dumps({"class_name": "Functional", "config": {}}).encode(), "is the JSON of model.to_json()"),
    "checkpoint": (b'model_checkpoint_path: "cp.ckpt"\n', "is the index of TensorFlow checkpoints"),
    "pickle": (pickle.dumps({"a": 0}), "is a pickle, which could run any code and is not loaded"),
    "safetensors": (b'\x40\0\0\0\0\0\0\0{"weight"', "is a safetensors file"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_another_kind_is_named_for_what_it_is_in_either_place(tmp_path, name):
    content, sentence = KINDS[name]
    path = tmp_path / "file"
    path.write_bytes(content)
    for check in (check_model_file, load_labels):
        with pytest.raises(PairError) as refusal:
            check(path)
        assert str(refusal.value).startswith(f"{path} ")
        assert sentence in str(refusal.value)
        assert str(refusal.value).endswith(".")


MODELS_ONLY = {
    "labels": (npy({"a": 0, "b": 1}), "is a NumPy file, as labels are. BIRD_MODEL names the model, BIRD_LABELS"),
    "old_weights": (hdf5(lambda file: file.attrs.update(layer_names=["a"])), "holds weights without the network"),
    "weights": (hdf5(lambda file: file.create_group("layers/dense/vars")), "holds weights without the network"),
    "other_hdf5": (hdf5(lambda file: file.create_group("data")), "is an HDF5 file, but Keras did not save it"),
    "cut_short": (
        hdf5(lambda file: file.create_dataset("a", data=np.zeros(5000)))[:9000],
        "is cut short: it has 9000 of",
    ),
    "zip_cut_short": (zipped("config.json")[:-5], "is a ZIP archive, as .keras files are, but is cut short"),
    "unknown": (b"\xff\xfe\0\1 binary", "is not a file that Keras saved"),
}


@pytest.mark.parametrize("name", MODELS_ONLY)
def test_a_file_that_is_not_a_model_is_refused(tmp_path, name):
    content, sentence = MODELS_ONLY[name]
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(PairError) as refusal:
        check_model_file(path)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("content", [hdf5(lambda file: None), zipped("metadata.json", "config.json")])
def test_a_model_in_the_place_of_the_labels_is_recognised(tmp_path, content):
    path = tmp_path / "class_indices.npy"
    path.write_bytes(content)
    with pytest.raises(PairError, match=r"as a model is\. BIRD_MODEL names the model, BIRD_LABELS its labels\."):
        load_labels(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("saved_model.pb", "is a SavedModel, a folder of TensorFlow's. Load it with the TensorFlow that saved it"),
        ("config.json", r"is an unpacked \.keras file. Pack the files in it again: zip -0"),
        ("model.json", r"is a folder of TensorFlow\.js"),
        ("other.h5", "is a folder, not a file"),
    ],
)
def test_a_folder_is_not_said_to_be_missing(tmp_path, name, sentence):
    (tmp_path / name).touch()
    with pytest.raises(PairError, match=sentence):
        check_model_file(tmp_path)


def test_a_file_that_is_missing_is_looked_for_under_similar_names(tmp_path):
    path = tmp_path / "model.h5"
    with pytest.raises(PairError, match=r"model\.h5 is missing\. Put your fine-tuned model there"):
        check_model_file(path)
    with pytest.raises(PairError, match=r"model\.h5 is missing\. Put your"):
        check_model_file(tmp_path / "no folder" / "model.h5")
    (tmp_path / "model.h5.h5").touch()
    with pytest.raises(PairError, match=r"model\.h5 is missing, but model\.h5\.h5 is there\. Put your"):
        check_model_file(path)
    path.symlink_to("nowhere.h5")
    with pytest.raises(PairError, match=r"model\.h5 is a link to nowhere\.h5, which is missing\. Put your"):
        check_model_file(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PairError, match="pipe is not a file"):
        check_model_file(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_that_may_not_be_read_is_said_to_be_so(tmp_path):
    path = tmp_path / "model.h5"
    path.touch(0o000)
    with pytest.raises(PairError, match=r"may not be read by this user\. Change its permissions"):
        check_model_file(path)
