"""inference/labels.py: class_indices.npy, read without running what is inside it."""

import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from inference.errors import PairError
from inference.labels import load_labels

KERAS2 = Path(__file__).parents[2] / "support" / "keras2"


def npy(pickled: bytes) -> bytes:
    """A ``.npy`` file of one object, which is given as a pickle."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + pickled


@pytest.fixture
def labels_file(tmp_path):
    return tmp_path / "class_indices.npy"


def test_labels_come_in_the_order_of_their_indices(labels_file):
    np.save(labels_file, {"Mallard": 2, "Barn Owl": 0, "Anna's Hummingbird": 1})
    assert load_labels(labels_file) == ("Barn Owl", "Anna's Hummingbird", "Mallard")


def test_indices_may_be_numpy_integers_and_labels_numpy_strings(labels_file):
    np.save(labels_file, {np.str_("Barn Owl"): np.int64(1), "Zaunkönig": np.int32(0)})
    assert load_labels(labels_file) == ("Zaunkönig", "Barn Owl")


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_of_python_3_is_read(labels_file, protocol):
    array = np.array({"a": 0, "b": 1})
    labels_file.write_bytes(npy(pickle.dumps(array, protocol)))
    assert load_labels(labels_file) == ("a", "b")


def test_a_file_that_numpy_1_saved_is_read():
    assert load_labels(KERAS2 / "class_indices.npy") == tuple(f"bird {index}" for index in range(10))


class RunsCode:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(labels_file, tmp_path):
    trace = tmp_path / "ran"
    np.save(labels_file, {"a": 0, "b": RunsCode(trace)})
    with pytest.raises(PairError, match=r"refused: its pickle names 'pathlib\S*\.Path"):
        load_labels(labels_file)
    assert not trace.exists()
    np.load(labels_file, allow_pickle=True)  # as most programs do: the file would run its code
    assert trace.exists()


@pytest.mark.parametrize("name", ["os system", "builtins eval", "numpy load", "numpy._core.multiarray fromfile"])
def test_no_name_but_those_that_numpy_writes_is_looked_up(labels_file, name):
    labels_file.write_bytes(npy(f"c{name.replace(' ', chr(10))}\n(tR.".encode()))
    with pytest.raises(PairError, match="refused: its pickle names"):
        load_labels(labels_file)


def test_a_pickle_that_would_overflow_the_stack_or_the_memory_is_refused(labels_file):
    nested = b"\x80\x02N" + b"\x85" * 2_000_000  # (((...None...)))
    labels_file.write_bytes(npy(b"\x80\x02}" + nested[2:] + b"K\x01s."))
    with pytest.raises(PairError, match="holds tuples"):
        load_labels(labels_file)
    np.save(labels_file, {np.str_("x" * 10_000): 0, "b": 1})
    with pytest.raises(PairError, match="too long"):
        load_labels(labels_file)


def test_a_pickle_that_asks_for_gigabytes_is_refused(labels_file):
    for opcode in (b"r", b"B", b"X"):  # LONG_BINPUT, BINBYTES, BINUNICODE
        labels_file.write_bytes(npy(b"\x80\x02N" + opcode + struct.pack("<I", 2**32 - 2) + b"."))
        with pytest.raises(PairError):
            load_labels(labels_file)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"a": 0, "b": 2}, "without gaps"),
        ({"a": 0, "b": 0}, "without gaps"),
        ({"a": 1, "b": 2}, "without gaps"),
        ({"a": 0}, "without gaps"),
        ({"a": 0.0, "b": 1.0}, "without gaps"),
        ({"a": True, "b": False}, "without gaps"),
        ({0: 1, "b": "a"}, "names to numbers"),
        ({0: "a", 1: "a"}, "without gaps"),
        (["a", "b"], "is not a file that NumPy saved|not a dict"),
        (np.arange(3), "numbers or text, not a dict"),
    ],
)
def test_a_file_that_does_not_number_labels_is_refused(labels_file, content, sentence):
    np.save(labels_file, content)
    with pytest.raises(PairError, match=sentence):
        load_labels(labels_file)


def test_labels_by_index_are_turned_round(labels_file):
    np.save(labels_file, {1: "b", np.int64(0): "a"})
    assert load_labels(labels_file) == ("a", "b")


def test_labels_may_hold_markup_line_breaks_and_joiners(labels_file):
    labels = ("<b>Mallard</b> & Co", "Barn Owl\n", "مرغ\u200cعشق", "x" * 255)
    np.save(labels_file, {label: index for index, label in enumerate(labels)})
    assert load_labels(labels_file) == labels


@pytest.mark.parametrize("label", ["\x1b[2J", "\u202e%99", "\0", "half a pair \ud800", "x" * 256])
def test_a_label_that_is_not_text_is_refused_and_quoted_without_control_characters(labels_file, label):
    np.save(labels_file, {"a": 0, label: 1})
    with pytest.raises(PairError, match="longer than 255 characters or holds some that are not text") as refusal:
        load_labels(labels_file)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("content", [b"\x93NUMPY", b"\xff\0", npy(b""), npy(b"."), npy(b"\x80\x04]\x94.")])
def test_a_file_that_is_not_an_npy_file_is_refused(labels_file, content):
    labels_file.write_bytes(content)
    with pytest.raises(PairError, match="not a file that NumPy saved"):
        load_labels(labels_file)


def test_a_missing_file_and_a_huge_one_are_refused(labels_file):
    with pytest.raises(PairError, match="is missing"):
        load_labels(labels_file)
    with labels_file.open("wb") as file:
        file.write(b"\x93NUMPY")
        file.truncate(2**32)
    with pytest.raises(PairError, match="too large"):
        load_labels(labels_file)


def test_a_folder_in_its_place_is_refused(labels_file):
    labels_file.mkdir()
    with pytest.raises(PairError, match="is a folder, not a file"):
        load_labels(labels_file)
