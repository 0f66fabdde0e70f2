"""python -m training --more: a pair learns from corrections, and takes the place of the one before if it is better."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference import CARD_FILE, LABELS_FILE, MODEL_FILE, REPORT_FILE
from inference.digest import sha256
from inference.loader import load_classifier
from inference.pair import check_pair
from inference.photo import open_photo
from tests.support.pictures import draw_pictures
from tests.support.servers import ROOT


def run(module: str, *arguments: str | Path) -> tuple[int, str]:
    """Exit status, and what was printed."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stderr


def named(models: Path, photos: Path) -> list[str]:
    """What the app says that photos show."""
    classifier = load_classifier(check_pair(models / MODEL_FILE, models / LABELS_FILE))
    return [classifier.classify(open_photo(path).pixels()).label for path in sorted(photos.glob("*.jpg"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos of two labels in ``data/``, and a pair that was trained on them in ``models/``."""
    folder = tmp_path_factory.mktemp("more")
    for seed, (split, count) in enumerate([("train", 16), ("validation", 6), ("test", 6)]):
        draw_pictures(folder / "data" / split / "Blue Light", count, "blue", seed)
        draw_pictures(folder / "data" / split / "Amber Light", count, "orange", seed)
    status, said = run(
        "tests.support.small_pair", folder / "data", "--weights", "none", "--epochs", "4", "--output", folder / "models"
    )
    assert status == 0, said
    return folder


def learn_more(folder: Path, export: Path, epochs: int) -> tuple[int, str]:
    """Go on from the pair in use with an export."""
    return run(
        "tests.support.small_pair", folder / "data", "--more", export, "--weights", folder / "models" / MODEL_FILE,
        "--epochs", str(epochs), "--output", folder / "models",
    )  # fmt: skip


@pytest.fixture(scope="module")
def promoted(folder) -> tuple[Path, str, str]:
    """The folder after corrections have taught the pair a label, the SHA-256 of the one before, what was printed."""
    before = sha256(folder / "models" / MODEL_FILE)
    draw_pictures(folder / "export" / "Green Light", 12, "lime", 7)
    draw_pictures(folder / "export" / "_other", 3, "gray", 7)
    (folder / "export" / ".feedback.json").write_text("{}")
    status, said = learn_more(folder, folder / "export", 6)
    assert status == 0, said
    return folder, before, said


def test_a_pair_that_learned_from_corrections_takes_the_place_of_the_one_before(promoted):
    folder, before, said = promoted
    models = folder / "models"
    assert "test 12 → 12 of 12, corrections held out 0 → " in said
    assert "Promoted." in said
    assert not (models / "candidate").exists()
    assert sha256(models / "previous" / MODEL_FILE) == before != sha256(models / MODEL_FILE)
    draw_pictures(folder / "unseen", 4, "lime", 99)
    assert named(models, folder / "unseen") == ["Green Light"] * 4
    assert named(models, folder / "data" / "test" / "Blue Light") == ["Blue Light"] * 6
    assert "Green Light" not in named(models / "previous", folder / "unseen")


def test_the_card_and_the_report_say_how_many_photos_came_from_corrections(promoted):
    models = promoted[0] / "models"
    card = json.loads((models / CARD_FILE).read_bytes())
    assert card["model"]["sha256"] == sha256(models / MODEL_FILE)
    corrections = card["corrections"]
    assert corrections["learned"] + corrections["held_out"] in (14, 15)  # one of the three pictures of neither is not
    assert card["pictures"] | {"train": 0} == {"train": 0, "validation": 12, "test": 12}
    report = (models / REPORT_FILE).read_text(encoding="utf-8")
    assert f"Corrections of visitors gave {corrections['learned']} of the photos" in report
    previous = json.loads((models / "previous" / CARD_FILE).read_bytes())
    assert "corrections" not in previous


def test_one_command_goes_back_and_forward_again(promoted):
    models, before = promoted[0] / "models", promoted[1]
    new = sha256(models / MODEL_FILE)
    for expected in (before, new):
        status, said = run("training.promote", models, "--back")
        assert (status, sha256(models / MODEL_FILE)) == (0, expected), said
        assert said.startswith(f"{models} holds another pair now; the one before is in {models}/previous. ")
    assert named(models, promoted[0] / "unseen")


def test_a_pair_that_is_no_better_is_not_promoted_and_can_be_by_hand(promoted):
    folder = promoted[0]
    models = folder / "models"
    in_use = sha256(models / MODEL_FILE)
    draw_pictures(folder / "known" / "Blue Light", 5, "blue", 50)  # which it names correctly already
    status, said = learn_more(folder, folder / "known", 1)
    assert status == 3, said
    assert "Not promoted. It is no better on the corrections that were held out. The new pair is in" in said
    assert sha256(models / MODEL_FILE) == in_use
    candidate = sha256(models / "candidate" / MODEL_FILE)
    check_pair(models / "candidate" / MODEL_FILE, models / "candidate" / LABELS_FILE)
    assert run("training.promote", models)[0] == 0
    assert (sha256(models / MODEL_FILE), sha256(models / "previous" / MODEL_FILE)) == (candidate, in_use)
    assert run("training.promote", models) == (
        1,
        f"promote: {models}/candidate holds no pair. python -m training DATA --more EXPORT trains one.\n",
    )


def test_an_export_without_photos_is_refused_before_the_training(promoted, tmp_path):
    (tmp_path / "empty").mkdir()
    status, said = learn_more(promoted[0], tmp_path / "empty", 1)
    assert (status, said.splitlines()[-1]) == (
        1,
        f"training: {tmp_path}/empty holds no photos in folders of labels. flask --app application feedback export "
        f"{tmp_path}/empty writes the accepted corrections there.",
    )
