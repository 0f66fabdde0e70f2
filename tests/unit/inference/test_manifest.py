"""inference/manifest.py: labels that were not saved with the model are refused, if a manifest tells."""

import json
import os
from pathlib import Path

import pytest

from inference import LABELS_FILE, MODEL_FILE
from inference.digest import sha256
from inference.errors import PairError
from inference.manifest import (
    MANIFEST_FILE,
    MAX_MANIFEST_SIZE,
    check_manifest,
    describe_pair,
    write_manifest,
)
from tests.support.servers import ROOT


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    """A model file, its labels file, and the manifest of the two."""
    model, labels = tmp_path / MODEL_FILE, tmp_path / LABELS_FILE
    model.write_bytes(b"a model")
    labels.write_bytes(b"its labels")
    write_manifest(tmp_path, describe_pair(model, labels))
    return model, labels


def check(model: Path, labels: Path) -> None:
    check_manifest(model, sha256(model), labels)


def test_a_pair_that_was_saved_together_is_accepted(pair, caplog):
    check(*pair)
    assert caplog.messages == []


def test_a_manifest_names_the_two_files_by_their_contents_and_nothing_else_is_left_beside_it(pair):
    model, labels = pair
    assert json.loads((model.parent / MANIFEST_FILE).read_bytes()) == {
        "model_sha256": sha256(model),
        "labels_sha256": sha256(labels),
    }
    assert sorted(path.name for path in model.parent.iterdir()) == sorted([MODEL_FILE, LABELS_FILE, MANIFEST_FILE])


def test_the_pair_that_ships_is_the_one_that_its_manifest_names(caplog):
    models = ROOT / "models"
    assert (models / MANIFEST_FILE).is_file()
    check(models / MODEL_FILE, models / LABELS_FILE)
    assert caplog.messages == []


def test_other_labels_than_those_saved_with_the_model_are_refused_in_one_line(pair):
    model, labels = pair
    labels.write_bytes(b"other labels")
    with pytest.raises(PairError) as refusal:
        check(model, labels)
    message = str(refusal.value)
    assert "\n" not in message
    assert message.startswith(f"{labels} does not hold the labels that were saved with {MODEL_FILE}")
    assert "start again" in message
    assert f"delete {model.parent / MANIFEST_FILE}" in message


def test_own_labels_for_the_same_model_load_once_the_manifest_is_deleted(pair, caplog):
    model, labels = pair
    labels.write_bytes(b"the same labels in another language")
    (model.parent / MANIFEST_FILE).unlink()
    check(model, labels)
    assert caplog.messages == []


def test_an_own_pair_put_in_beside_an_old_manifest_loads_and_that_is_logged_in_one_line(pair, caplog):
    model, labels = pair
    model.write_bytes(b"an own model")
    labels.write_bytes(b"own labels")
    check(model, labels)
    path = model.parent / MANIFEST_FILE
    assert caplog.messages == [f"{path} is ignored: it belongs to another model than {MODEL_FILE}."]


def test_a_model_and_labels_in_two_folders_are_checked_too(pair, tmp_path):
    model, labels = pair
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    check(model, labels.rename(elsewhere / "labels.npy"))
    (elsewhere / "labels.npy").write_bytes(b"other labels")
    with pytest.raises(PairError, match="does not hold the labels"):
        check(model, elsewhere / "labels.npy")


def test_labels_that_cannot_be_read_are_named(pair):
    model, labels = pair
    labels.unlink()
    with pytest.raises(PairError, match=f"{LABELS_FILE} cannot be read: No such file or directory"):
        check(model, labels)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b"[" * 100_000),
        *(b'{"model_sha256": 3, "labels_sha256": 4}', b'{"model_sha256": "' + b"0" * 64 + b'"}'),
        b'{"model_sha256": "' + b"0" * 63 + b'", "labels_sha256": "' + b"0" * 64 + b'"}',
        b'{"model_sha256": "'
        + b"0" * 64
        + b'", "labels_sha256": "'
        + b"0" * 64
        + b'"'
        + b" " * MAX_MANIFEST_SIZE
        + b"}",
    ],
)
def test_a_file_that_is_no_manifest_is_ignored_with_one_logged_line(pair, content, caplog):
    model, labels = pair
    path = model.parent / MANIFEST_FILE
    path.write_bytes(content)
    labels.write_bytes(b"other labels")
    check(model, labels)
    assert caplog.messages == [f"{path} is ignored: it is not a manifest that training wrote."]


def test_a_manifest_that_is_a_folder_or_a_broken_link_is_no_reason_to_fail(pair, caplog):
    model, labels = pair
    path = model.parent / MANIFEST_FILE
    path.unlink()
    os.symlink("nowhere", path)
    check(model, labels)
    path.unlink()
    path.mkdir()
    check(model, labels)
    assert caplog.messages == [f"{path} is ignored: it is not a manifest that training wrote."]
