"""training/pair.py: a pair that is being replaced is never loaded with the wrong labels."""

from collections.abc import Callable
from pathlib import Path

import pytest

from inference import LABELS_FILE, MODEL_FILE
from inference.digest import sha256
from inference.errors import PairError
from inference.manifest import MANIFEST_FILE, check_manifest
from training.pair import replace_pair

OLD, NEW = (b"the old model", b"the old labels"), (b"the new model", b"the new labels")
RENAMES = 3  # of the manifest, of the model, of the labels


class KilledError(Exception):
    """In the place of a kill."""


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    return tmp_path / MODEL_FILE, tmp_path / LABELS_FILE


def replace_with(contents: tuple[bytes, bytes], pair: tuple[Path, Path]) -> None:
    """What training does with a pair that it has just saved beside the old one."""
    model, labels = pair
    new_model, new_labels = model.with_suffix(".half.h5"), labels.with_suffix(".new.npy")
    new_model.write_bytes(contents[0])
    new_labels.write_bytes(contents[1])
    replace_pair(new_model, new_labels, model, labels)


def on_rename(monkeypatch: pytest.MonkeyPatch, number: int, happen: Callable[[], None]) -> None:
    """Have something happen just before the rename of that number."""
    rename, calls = Path.replace, 0

    def watched(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == number:
            happen()
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", watched)


def killed() -> None:
    raise KilledError


def started(pair: tuple[Path, Path]) -> tuple[bytes, bytes] | None:
    """The model and the labels that a start would load now; None if it is refused."""
    model, labels = pair
    try:
        check_manifest(model, sha256(model), labels)
    except PairError:
        return None
    return model.read_bytes(), labels.read_bytes()


def test_a_new_pair_takes_the_place_of_the_old_one_and_leaves_nothing_else(pair):
    replace_with(OLD, pair)
    replace_with(NEW, pair)
    assert started(pair) == NEW
    assert sorted(path.name for path in pair[0].parent.iterdir()) == sorted([MODEL_FILE, LABELS_FILE, MANIFEST_FILE])


@pytest.mark.parametrize("has_old_manifest", [True, False])
@pytest.mark.parametrize(("rename", "outcome"), [(1, OLD), (2, OLD), (3, None)])
def test_a_start_after_an_interrupted_save_gets_the_old_pair_or_a_refusal(
    pair, monkeypatch, rename, outcome, has_old_manifest
):
    replace_with(OLD, pair)
    if not has_old_manifest:
        (pair[0].parent / MANIFEST_FILE).unlink()
    with monkeypatch.context() as context:
        on_rename(context, rename, killed)
        with pytest.raises(KilledError):
            replace_with(NEW, pair)
    assert started(pair) == outcome
    replace_with(NEW, pair)
    assert started(pair) == NEW


@pytest.mark.parametrize(("rename", "outcome"), [(1, OLD), (2, OLD), (3, None)])
def test_a_start_during_a_save_gets_the_old_pair_or_a_refusal(pair, monkeypatch, rename, outcome):
    replace_with(OLD, pair)
    outcomes = []
    on_rename(monkeypatch, rename, lambda: outcomes.append(started(pair)))
    replace_with(NEW, pair)
    assert outcomes == [outcome]


def test_a_new_network_for_the_same_labels_is_never_refused(pair, monkeypatch):
    replace_with(OLD, pair)
    same_labels = (NEW[0], OLD[1])
    with monkeypatch.context() as context:
        on_rename(context, RENAMES, killed)
        with pytest.raises(KilledError):
            replace_with(same_labels, pair)
    assert started(pair) == same_labels
