"""inference/verdicts_file.py: what is accepted of ``verdicts.npz``."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference import MODEL_FILE
from inference.judge import LEVELS, VerdictRules, directions
from inference.verdicts_file import (
    MAX_VERDICTS_SIZE,
    VERDICTS_FILE,
    AnsweredGroup,
    VerdictCurve,
    Verdicts,
    load_verdicts,
    write_verdicts,
)

SHA256 = "5eed" * 16
RULES = VerdictRules(
    directions(np.random.default_rng(0).random((6, 8), "float32")).astype("float16").astype("float32"),
    np.array([1.0, 2.0]),
    np.array([0.5, 0.25]),
    LEVELS * 3,
    LEVELS / 2,
    0.95,
    0.05,
)
CURVE = VerdictCurve(
    (0.0, 0.05),
    (
        AnsweredGroup("validation", 20, (1.0, 0.95), (0.0, 0.0)),
        AnsweredGroup("others", 10, (0.9, 0.1), (0.0, 0.7)),
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_verdicts(tmp_path, SHA256, Verdicts(RULES, CURVE))
    return tmp_path


def load(folder: Path, sha256: str | None = SHA256) -> Verdicts | None:
    return load_verdicts(folder / MODEL_FILE, sha256)


def rewritten(folder: Path, **changes: np.ndarray) -> None:
    """Replace arrays in the file."""
    with np.load(folder / VERDICTS_FILE) as file:
        arrays = dict(file) | changes
    np.savez(folder / VERDICTS_FILE, **arrays)


def assert_ignored(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load(folder) is None
    [line] = caplog.messages
    assert line == f"{folder / VERDICTS_FILE} is ignored: it is not a file that training.calibrate wrote."


def test_what_was_written_is_read(folder):
    assert [path.name for path in folder.iterdir()] == [VERDICTS_FILE]
    read = load(folder)
    assert read.curve == CURVE
    for name in ("prototypes", "means", "deviations", "species", "bird"):
        np.testing.assert_array_equal(getattr(read.rules, name), getattr(RULES, name))
    assert (read.rules.set_threshold, read.rules.set_penalty) == (0.95, 0.05)


def test_a_file_of_another_model_is_complained_about_once_and_a_new_one_is_read(folder, caplog):
    assert load(folder, "f" * 64) is load(folder, "f" * 64) is None
    assert len(caplog.messages) == 1
    write_verdicts(folder, "f" * 64, Verdicts(RULES, CURVE))
    assert load(folder, "f" * 64).curve == CURVE


def test_a_curve_without_groups_is_read(tmp_path):
    write_verdicts(tmp_path, SHA256, Verdicts(RULES, replace(CURVE, groups=())))
    assert load(tmp_path).curve.groups == ()


def test_where_there_is_no_file_nothing_is_logged(tmp_path, caplog):
    assert load(tmp_path) is None
    assert caplog.messages == []


def test_a_file_of_another_model_is_ignored_with_one_logged_line(folder, caplog):
    assert load(folder, "0" * 64) is None
    [line] = caplog.messages
    assert line.startswith(f"{folder / VERDICTS_FILE} is ignored: it belongs to another model than {MODEL_FILE}; ")


def test_where_the_model_is_on_another_machine_its_verdicts_are_read(folder):
    assert load(folder, None).curve == CURVE


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_ignored(folder, caplog, share):
    path = folder / VERDICTS_FILE
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert_ignored(folder, caplog)


def test_a_file_with_a_flipped_bit_is_ignored(folder, caplog):
    path = folder / VERDICTS_FILE
    content = bytearray(path.read_bytes())
    content[content.index(b"prototypes.npy") + 200] ^= 1
    path.write_bytes(content)
    assert_ignored(folder, caplog)


@pytest.mark.parametrize(
    "changes",
    [
        {"prototypes": np.full((6, 8), np.nan, "float16")},
        {"prototypes": np.zeros((0, 8), "float16")},
        {"prototypes": np.zeros(8, "float16")},
        {"quantiles": np.stack([LEVELS[::-1]] * 2)},
        {"quantiles": np.stack([LEVELS] * 3)},
        {"scores": np.zeros((2, 2))},  # deviations of 0
        {"sets": np.array([np.inf, 0.05])},
        {"answered": np.full((2, 2), 1.5)},
        {"answered": np.zeros((3, 2))},
        {"strictness": np.array([0.05, 0.0])},
        {"pictures": np.array([-1, 3])},
        {"groups": np.array(["validation", {}], dtype=object)},
        {"prototypes": np.array([print], dtype=object)},
        {"model_sha256": np.array([SHA256, SHA256])},
    ],
)
def test_values_that_no_calibration_writes_are_ignored_with_one_logged_line(folder, caplog, changes):
    rewritten(folder, **changes)
    assert_ignored(folder, caplog)


def test_a_file_that_is_too_large_is_ignored(folder, caplog):
    rewritten(folder, prototypes=np.zeros((MAX_VERDICTS_SIZE, 1), "float16"))
    assert_ignored(folder, caplog)


def test_an_array_that_claims_more_memory_than_there_is_is_ignored(folder, caplog):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f2", "fortran_order": False, "shape": (10**9, 10**6)})
    with zipfile.ZipFile(folder / VERDICTS_FILE) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["prototypes.npy"] = header.getvalue()
    with zipfile.ZipFile(folder / VERDICTS_FILE, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert_ignored(folder, caplog)


def test_a_compressed_file_is_ignored_because_it_may_be_far_larger_inside(folder, caplog):
    with np.load(folder / VERDICTS_FILE) as file:
        arrays = dict(file)
    np.savez_compressed(folder / VERDICTS_FILE, **arrays)
    assert_ignored(folder, caplog)


def test_a_folder_of_that_name_is_no_file(tmp_path, caplog):
    (tmp_path / VERDICTS_FILE).mkdir()
    assert load(tmp_path) is None
    assert caplog.messages == []
