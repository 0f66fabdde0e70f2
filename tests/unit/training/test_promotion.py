"""training/promotion.py: a candidate takes the place of the pair in use, and the one before can come back."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deploy.bundle import ROOT
from inference import CARD_FILE, LABELS_FILE, MODEL_FILE, REPORT_FILE
from inference.compiled import COMPILED_FILE
from inference.digest import sha256
from inference.errors import PairError
from inference.examples import EXAMPLES_FILE, EXAMPLES_FOLDER, ExampleList, example_file, write_example_list
from inference.labels import load_labels
from inference.manifest import MANIFEST_FILE, check_manifest, describe_pair, write_manifest
from inference.pair import check_pair
from inference.verdicts_file import VERDICTS_FILE
from tests.support.servers import KERAS2
from training.promotion import BESIDE, go_back, promote, undo_exchange

LABELS = np.load(KERAS2 / LABELS_FILE, allow_pickle=True).item()


class KilledError(Exception):
    """In the place of a kill."""


def write_pair(folder: Path, name: str, *, beside: bool = True) -> None:
    """A pair that passes the checks, with files beside it that hold its name; each name makes other files."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(KERAS2 / "model.h5", folder / MODEL_FILE)
    with (folder / MODEL_FILE).open("ab") as file:
        file.write(name.encode())  # HDF5 files may have something behind them
    np.save(folder / LABELS_FILE, {f"{label} of {name}": index for label, index in LABELS.items()})
    write_manifest(folder, describe_pair(folder / MODEL_FILE, folder / LABELS_FILE))
    if not beside:
        return
    for file in (CARD_FILE, VERDICTS_FILE, COMPILED_FILE, REPORT_FILE):
        (folder / file).write_text(name)
    model = sha256(folder / MODEL_FILE)
    (folder / EXAMPLES_FOLDER).mkdir()
    (folder / EXAMPLES_FOLDER / example_file(model, 0, 1)).write_text(name)
    write_example_list(folder / EXAMPLES_FOLDER, ExampleList(model, [1, *[0] * (len(LABELS) - 1)]))


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a pair by their names."""
    inside = (EXAMPLES_FOLDER,)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and (path.parent == folder or path.relative_to(folder).parts[:1] == inside)
    }


@pytest.fixture
def models(tmp_path) -> Path:
    """A pair in use, a candidate and a previous pair, and a file that belongs to none of them."""
    folder = tmp_path / "models"
    for name, inside in {"current": ".", "candidate": "candidate", "previous": "previous"}.items():
        write_pair(folder / inside, name)
    return folder


@pytest.fixture
def pairs(models) -> dict[str, dict[str, bytes]]:
    """The files of each pair, as they are before anything happens."""
    return {name: contents(models / name) for name in ("candidate", "previous")} | {"current": contents(models)}


def test_the_candidate_takes_the_place_of_the_pair_in_use_which_becomes_the_previous_one(models, pairs):
    (models / "README.md").write_text("not of a pair")
    (models / "candidate" / "checkpoint.h5").touch()
    promote(models)
    assert contents(models) == pairs["candidate"] | {"README.md": b"not of a pair"}
    assert contents(models / "previous") == pairs["current"]
    assert {path.name for path in models.iterdir() if path.is_dir()} == {EXAMPLES_FOLDER, "previous"}


def test_going_back_exchanges_the_two_pairs_and_again_exchanges_them_back(models, pairs):
    promote(models)
    go_back(models)
    assert (contents(models), contents(models / "previous")) == (pairs["current"], pairs["candidate"])
    go_back(models)
    assert (contents(models), contents(models / "previous")) == (pairs["candidate"], pairs["current"])


def test_nothing_of_the_other_pair_stays_beside_one_that_has_less(tmp_path):
    write_pair(tmp_path, "full")
    write_pair(tmp_path / "candidate", "bare", beside=False)
    bare = contents(tmp_path / "candidate")
    promote(tmp_path)
    assert contents(tmp_path) == bare
    assert len(contents(tmp_path / "previous")) == len(BESIDE) + 4  # the pair, its manifest, a photo


def test_a_pair_without_a_manifest_gets_one_when_it_is_kept(models):
    (models / MANIFEST_FILE).unlink()
    promote(models)
    assert (models / "previous" / MANIFEST_FILE).is_file()
    go_back(models)
    check_pair(models / MODEL_FILE, models / LABELS_FILE)


def test_what_cannot_be_loaded_is_not_taken_into_use(models, pairs):
    (models / "candidate" / LABELS_FILE).write_bytes(b"no labels")
    with pytest.raises(PairError, match=f"{models}/candidate/{LABELS_FILE}"):
        promote(models)
    shutil.rmtree(models / "candidate")
    with pytest.raises(PairError, match=r"candidate holds no pair\. python -m training DATA --more EXPORT trains one"):
        promote(models)
    shutil.rmtree(models / "previous")
    with pytest.raises(PairError, match="previous holds no pair to go back to"):
        go_back(models)
    assert contents(models) == pairs["current"]


def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> pytest.MonkeyPatch:
    """Have the process killed at the change of that number in the file system: a copy, a rename or a deletion."""
    left = [number]

    def deadly(act: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise KilledError
            return act(*arguments, **options)

        return counted

    for owner, name in ((Path, "replace"), (Path, "unlink"), (shutil, "copy2"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    return monkeypatch


def loaded(models: Path) -> str | None:
    """The name of the pair that a start would load now; None if it is refused."""
    try:
        check_manifest(models / MODEL_FILE, sha256(models / MODEL_FILE), models / LABELS_FILE)
    except PairError:
        return None
    label = load_labels(models / LABELS_FILE)[0]
    in_model = (models / MODEL_FILE).read_bytes()[len((KERAS2 / "model.h5").read_bytes()) :].decode()
    assert label.endswith(f" of {in_model}")
    return in_model


def all_beside(models: Path, name: str) -> bool:
    """Whether all the files beside a pair are its own."""
    return all((models / file).read_text() == name for file in BESIDE[:-1])


@pytest.mark.parametrize(("act", "new"), [(promote, "candidate"), (go_back, "previous")])
def test_an_exchange_that_is_cut_short_anywhere_leaves_a_pair_or_a_refusal_and_can_be_repeated(
    models, pairs, monkeypatch, tmp_path, act, new
):
    # The check of the .h5 starts a process each time: a minute in all. The other tests run it.
    monkeypatch.setattr("training.promotion.check_pair", lambda model, labels: load_labels(labels))
    outcomes = []
    for number in range(1, 100):
        copy = shutil.copytree(models, tmp_path / str(number))
        try:
            with monkeypatch.context() as context:
                killed_at(context, number)
                act(copy)
        except KilledError:
            outcomes.append(loaded(copy))
            if outcomes[-1]:
                assert all_beside(copy, outcomes[-1])
        else:
            break
        undo_exchange(copy)  # as every command does first
        if loaded(copy) != new:
            act(copy)
        assert contents(copy) == pairs[new], number
        assert contents(copy / "previous") == pairs["current"], number
    assert set(outcomes) == {"current", None, new}
    assert outcomes == sorted(outcomes, key=["current", None, new].index)


def test_a_promotion_that_only_left_the_candidate_behind_is_not_done_twice(models, pairs):
    candidate = shutil.copytree(models / "candidate", models.parent / "candidate")
    promote(models)
    shutil.move(candidate, models)
    promote(models)
    assert (contents(models), contents(models / "previous")) == (pairs["candidate"], pairs["current"])
    assert not (models / "candidate").exists()


def test_going_back_from_an_exchange_that_was_cut_short_only_undoes_it(models, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr("training.promotion.replace_pair", lambda *_: killed())
        with pytest.raises(KilledError):
            promote(models)
    with pytest.raises(PairError, match="was cut short"):
        go_back(models)
    assert loaded(models) == "current"
    assert not undo_exchange(models)
    go_back(models)
    assert loaded(models) == "previous"


def killed() -> None:
    raise KilledError


def test_neither_the_candidate_nor_the_previous_pair_is_bundled_or_committed():
    from pathspec import GitIgnoreSpec

    for file in (".ebignore", ".gitignore"):
        ignored = GitIgnoreSpec.from_lines((ROOT / file).read_text().splitlines())
        for folder in ("candidate", "previous", "previous.new"):
            assert ignored.match_file(f"models/{folder}/{MODEL_FILE}"), (file, folder)
    assert EXAMPLES_FILE in BESIDE[-1]
