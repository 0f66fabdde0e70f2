"""inference/compiled.py: what is accepted of ``compiled_network.zip``."""

import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inference import MODEL_FILE
from inference.compiled import (
    ABOUT_FILE,
    COMPILED_FILE,
    About,
    Agreement,
    Compiled,
    CompiledError,
    CompiledFile,
    find_compiled,
    write_compiled,
)
from inference.input_range import InputRange
from inference.options import Precision
from inference.pooled_head import PooledHead

SHA256 = "5eed" * 16
ABOUT = About(
    model_sha256=SHA256,
    date="2026-11-29",
    versions={"onnxruntime": "1.32.0"},
    calibrated_on=300,
    input_range=InputRange.ZERO_TO_ONE,
    input_range_reason="The network is given pixel values from 0 to 1.",
    meaning="LOGITS",
    outputs=3,
    takes_batches=True,
    takes_any_size=True,
    agreement={Precision.FLOAT32: Agreement(503, 0, 1e-6), Precision.INT8: Agreement(503, 4, 0.1)},
)
HEAD = PooledHead(np.eye(4, 3, dtype="float32"), np.zeros(3, "float32"))
SCORES = np.arange(9, dtype="float32").reshape(3, 3)
COMPILED = Compiled(
    ABOUT,
    HEAD,
    {Precision.FLOAT32: b"float32 network", Precision.INT8: b"int8 network"},
    {Precision.FLOAT32: SCORES, Precision.INT8: -SCORES},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_compiled(tmp_path / COMPILED_FILE, COMPILED)
    return tmp_path


def find(folder: Path) -> CompiledFile | None:
    return find_compiled(folder / MODEL_FILE, SHA256)


def rewritten(folder: Path, name: str, content: bytes | None, compression: int = zipfile.ZIP_STORED) -> None:
    """Replace a file in the archive, or leave it out."""
    path = folder / COMPILED_FILE
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members.pop(name)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for each, old in members.items():
            archive.writestr(each, old)
        if content is not None:
            archive.writestr(name, content)


def test_what_was_written_is_read_again_one_precision_at_a_time_the_faster_first(folder):
    file = find(folder)
    assert file is not None
    assert file.about == ABOUT
    assert file.precisions == [Precision.INT8, Precision.FLOAT32]
    for precision in file.precisions:
        read = file.read(precision)
        assert read.networks == {precision: COMPILED.networks[precision]}
        np.testing.assert_array_equal(read.expected[precision], COMPILED.expected[precision])
        np.testing.assert_array_equal(read.head.kernel, HEAD.kernel)
        np.testing.assert_array_equal(read.head.bias, HEAD.bias)
    assert [path.name for path in folder.iterdir()] == [COMPILED_FILE]


def test_a_network_without_such_a_head_has_none(tmp_path):
    write_compiled(tmp_path / COMPILED_FILE, Compiled(ABOUT, None, COMPILED.networks, COMPILED.expected))
    assert find(tmp_path).read(Precision.INT8).head is None


def test_without_a_file_nothing_is_said(tmp_path, caplog):
    assert find(tmp_path) is None
    assert not caplog.records


def test_one_of_another_model_is_ignored_in_one_line(folder, caplog):
    assert find_compiled(folder / MODEL_FILE, "c0de" * 16) is None
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{folder / COMPILED_FILE} is ignored: it belongs to another model than {MODEL_FILE}; flask --app application "
        "compile makes a new one."
    )


def described(**changes: object) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(ABOUT) | changes)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"[" * 100_000,
        described(meaning="SQUARES"),
        described(input_range="0-65535"),
        described(model_sha256="c0de"),
        described(agreement={"int4": {"photos": 1, "labels_changed": 0, "largest_difference": 0}}),
        described(versions=" " * 2**20),
    ],
    ids=["missing", "empty", "deep", "meaning", "range", "hash", "precision", "large"],
)
def test_a_description_that_is_none_is_ignored_in_one_line(folder, caplog, content):
    rewritten(folder, ABOUT_FILE, content)
    assert find(folder) is None
    (record,) = caplog.records
    assert record.getMessage() == f"{folder / COMPILED_FILE} is ignored: it is not a file that compile wrote."


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_what_is_no_archive_is_ignored_in_one_line(tmp_path, caplog, content):
    (tmp_path / COMPILED_FILE).write_bytes(content)
    assert find(tmp_path) is None
    assert len(caplog.records) == 1


def array(values: np.ndarray) -> bytes:
    from io import BytesIO

    content = BytesIO()
    np.save(content, values)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("int8.onnx", None),
        ("int8.npy", None),
        ("int8.npy", b"no array"),
        ("int8.npy", array(SCORES)[:-1]),
        ("int8.npy", array(SCORES.astype("float64"))),
        ("kernel.npy", array(np.zeros((4, 2), "float32"))),
        ("bias.npy", None),
    ],
)
def test_a_file_with_damaged_parts_is_refused_when_they_are_read(folder, name, content):
    rewritten(folder, name, content)
    with pytest.raises(CompiledError, match=r"^it is damaged; compile the network again\.$"):
        find(folder).read(Precision.INT8)


def test_a_network_that_is_damaged_on_the_disk_is_refused(folder):
    path = folder / COMPILED_FILE
    path.write_bytes(path.read_bytes().replace(b"int8 network", b"int8 netw0rk"))
    with pytest.raises(CompiledError, match="damaged"):
        find(folder).read(Precision.INT8)


def test_what_is_compressed_is_not_unpacked(folder, caplog):
    rewritten(folder, "int8.onnx", b"0" * 10**6, zipfile.ZIP_DEFLATED)
    assert find(folder) is None
    assert "not a file that compile wrote" in caplog.text
