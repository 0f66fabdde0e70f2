"""inference/card.py: what training wrote of a model, if it is this one."""

import copy
import json

import pytest

from inference import CARD_FILE, LABELS_FILE, MODEL_FILE
from inference.card import Figures, SpeciesFigures, figures_of, load_card, sha256
from inference.labels import load_labels

from .servers import ROOT


@pytest.fixture
def model(tmp_path):
    """A model file, and a card that speaks of it."""
    path = tmp_path / MODEL_FILE
    path.write_bytes(b"a model")
    write_card(path, {"model": {"sha256": sha256(path)}, "labels": ["a", "b"]})
    return path


def write_card(model, card: object) -> None:
    (model.parent / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")


def test_a_card_is_read_that_speaks_of_the_model(model):
    assert load_card(model)["labels"] == ["a", "b"]


def test_a_card_of_another_model_is_left_aside_and_said_so(model, caplog):
    model.write_bytes(b"another model")
    assert load_card(model) is None
    assert f"{CARD_FILE} is left aside: it speaks of another network than {MODEL_FILE}." in caplog.text


def test_a_model_without_a_card_has_none(model, caplog):
    (model.parent / CARD_FILE).unlink()
    assert load_card(model) is None
    assert caplog.text == ""


@pytest.mark.parametrize("card", [b"", b"{", b"\xff\xfe", b"[]", b"3", b'{"model": []}', b"[" * 100_000])
def test_a_file_that_is_no_card_is_left_aside_and_said_so(model, card, caplog):
    (model.parent / CARD_FILE).write_bytes(card)
    assert load_card(model) is None
    assert "is left aside: it is not a card that training wrote." in caplog.text


FIGURES = {
    "date": "2026-11-24",
    "judged_on": "test",
    "pictures": {"train": 70, "validation": 10, "test": 20},
    "accuracy": {"test": {"top1": 0.75, "top5": 1}},
    "calibration": {"expected_calibration_error": {"test": 0.05}},
    "unsure_below": 0.4,
    "species": [
        {"label": "Robin", "train": {"pictures": 60}, "held_out": {"pictures": 30, "recall": 0.8, "precision": 1.0}},
        {"label": "Wren", "train": {"pictures": 10}, "held_out": {"pictures": 0, "recall": None, "precision": None}},
    ],
}


def test_the_figures_of_a_card_are_those_of_the_pictures_that_it_was_judged_on(model):
    write_card(model, {"model": {"sha256": sha256(model)}} | FIGURES)
    assert figures_of(load_card(model)) == Figures(
        date="2026-11-24",
        judged_on="test",
        pictures=20,
        trained_on=70,
        top1=0.75,
        top5=1.0,
        calibration_error=0.05,
        unsure_below=0.4,
        species=(SpeciesFigures("Robin", 60, 30, 0.8, 1.0), SpeciesFigures("Wren", 10, 0, None, None)),
    )


def test_the_model_that_ships_has_figures_of_every_species():
    model = ROOT / "models" / MODEL_FILE
    figures = figures_of(load_card(model))
    assert [each.label for each in figures.species] == list(load_labels(model.parent / LABELS_FILE))
    assert sum(each.trained_on for each in figures.species) == figures.trained_on
    assert 0.5 < figures.top1 < figures.top5 <= 1
    assert 0 < figures.unsure_below < 1


def test_a_model_without_a_card_has_no_figures_and_nobody_complains(model, caplog):
    (model.parent / CARD_FILE).unlink()
    assert figures_of(load_card(model)) is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *[(["judged_on"], value) for value in ("elsewhere", None, 3)],
        *[(["pictures", "test"], value) for value in (-1, 2.5, True, "20", None, float("inf"), [20])],
        *[(["pictures"], value) for value in (20, None, [])],
        *[(["accuracy", "test", "top1"], value) for value in (1.01, -0.1, float("nan"), float("inf"), None, "x", [])],
        *[(["accuracy", "test", "top1"], 10**400)],
        *[(["calibration"], {}), (["unsure_below"], 2), (["unsure_below"], None)],
        *[(["species"], value) for value in (None, 3, [3], ["Robin"], [{}], [{"label": "Robin"}])],
        *[(["species", 0, "held_out", "recall"], value) for value in (2, "x", float("nan"))],
        *[(["species", 0, "train", "pictures"], value) for value in (None, -3, 0.5)],
    ],
)
def test_figures_that_training_does_not_write_are_left_aside_and_that_is_said(model, path, value, caplog):
    card = copy.deepcopy(FIGURES)
    *way, last = path
    part = card
    for key in way:
        part = part[key]
    part[last] = value
    write_card(model, {"model": {"sha256": sha256(model)}} | card)
    assert figures_of(load_card(model)) is None
    assert f"The figures in {CARD_FILE} are left aside: they are not such as training writes." in caplog.text


@pytest.mark.parametrize("name", FIGURES)
def test_figures_that_are_not_all_there_are_left_aside(model, name):
    write_card(model, {"model": {"sha256": sha256(model)}} | {key: FIGURES[key] for key in FIGURES if key != name})
    assert figures_of(load_card(model)) is None
