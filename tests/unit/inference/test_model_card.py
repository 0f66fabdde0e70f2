"""inference/model_card.py: what training measured of a model, if the card belongs to it."""

import copy
import json
import logging

import msgspec
import pytest

from inference import CARD_FILE, LABELS_FILE, MODEL_FILE
from inference.digest import sha256
from inference.labels import load_labels
from inference.model_card import (
    MAX_CARD_SIZE,
    CardFile,
    ModelCard,
    ModelMetrics,
    SpeciesMetrics,
    encode_card,
    load_model_card,
)
from tests.support.servers import ROOT


@pytest.fixture
def model(tmp_path):
    """A model file, and a card that belongs to it."""
    path = tmp_path / MODEL_FILE
    path.write_bytes(b"a model")
    write_card(path, {"model": {"sha256": sha256(path)}, "labels": ["a", "b"]})
    return path


def write_card(model, card: object) -> None:
    (model.parent / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")


def load(model) -> ModelCard | None:
    return load_model_card(model, sha256(model))


def test_a_card_that_belongs_to_the_model_is_read(model):
    assert load(model).sha256 == sha256(model)


def test_a_card_of_another_model_is_ignored_with_one_logged_line(model, caplog):
    model.write_bytes(b"another model")
    assert load(model) is None
    (line,) = caplog.messages
    assert line == f"{model.parent / CARD_FILE} is ignored: it belongs to another model than {MODEL_FILE}."


def test_where_there_is_no_model_file_the_card_says_which_model_it_is(model, caplog):
    digest = sha256(model)
    write_card(model, {"model": {"sha256": digest}} | METRICS)
    model.unlink()
    assert load_model_card(model, None).sha256 == digest
    assert load_model_card(model, None).metrics.top1 == 0.75
    assert caplog.messages == []


def test_a_model_without_a_card_has_none(model, caplog):
    (model.parent / CARD_FILE).unlink()
    assert load(model) is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    "card",
    [
        *(
            b"",
            b"{",
            b"\xff\xfe",
            b"[]",
            b"3",
            b"null",
            b'{"model": []}',
            b'{"model": {}}',
            b'{"model": {"sha256": 3}}',
        ),
        *(b"[" * 100_000, b'{"model": ' + b'{"a": ' * 100_000, b"9" * 10_000),
    ],
)
def test_a_file_that_is_no_card_is_ignored_with_one_logged_line(model, card, caplog):
    (model.parent / CARD_FILE).write_bytes(card)
    assert load(model) is None
    assert len(caplog.messages) == 1
    assert "is ignored: it is not a card that training wrote." in caplog.text


def test_a_card_that_cannot_be_opened_is_ignored(model, caplog, monkeypatch):
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(model), "open", refuse)
    assert load_model_card(model, None) is None
    assert "is ignored: it is not a card that training wrote." in caplog.text


def test_a_card_is_read_up_to_a_size(model, caplog):
    card = json.dumps({"model": {"sha256": sha256(model)}} | METRICS)
    path = model.parent / CARD_FILE
    path.write_text(card.ljust(MAX_CARD_SIZE))
    assert load(model).metrics.top1 == 0.75
    path.write_text(card[:-1].ljust(MAX_CARD_SIZE) + "}")
    assert load(model) is None
    assert "is ignored" in caplog.text


METRICS = {
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


def test_the_metrics_of_a_card_are_those_of_its_evaluation_split(model):
    write_card(model, {"model": {"sha256": sha256(model)}} | METRICS)
    assert load(model).metrics == ModelMetrics(
        date="2026-11-24",
        evaluation_split="test",
        evaluation_photos=20,
        training_photos=70,
        top1=0.75,
        top5=1.0,
        calibration_error=0.05,
        unsure_below=0.4,
        species=(SpeciesMetrics("Robin", 60, 30, 0.8, 1.0), SpeciesMetrics("Wren", 10, 0, None, None)),
    )


def with_confusion(model, confused_with: object) -> None:
    """Write a card with this under ``confused_with`` of its first species."""
    card = copy.deepcopy(METRICS)
    card["species"][0]["confused_with"] = confused_with
    write_card(model, {"model": {"sha256": sha256(model)}} | card)


def test_the_confusion_of_a_card_is_read_and_written_and_a_card_of_an_earlier_training_has_none(model):
    with_confusion(model, {"Wren": 5, "../<b>\u202e": 1})
    robin, wren = load(model).metrics.species
    assert (robin.confused_with, wren.confused_with) == ({"Wren": 5, "../<b>\u202e": 1}, None)
    content = (model.parent / CARD_FILE).read_bytes()
    written = json.loads(encode_card(msgspec.json.decode(content, type=CardFile)))["species"]
    assert written[0]["confused_with"] == {"Wren": 5, "../<b>\u202e": 1}
    assert "confused_with" not in written[1]


@pytest.mark.parametrize("confused_with", [None, [], 3, {"Wren": 0}, {"Wren": -1}, {"Wren": 0.5}, {"Wren": "5"}])
def test_a_confusion_that_training_does_not_write_makes_the_metrics_ignored(model, confused_with):
    with_confusion(model, confused_with)
    assert load(model) == ModelCard(sha256(model), None)


def test_what_a_later_training_may_add_to_a_card_is_no_fault(model):
    write_card(model, {"model": {"sha256": sha256(model), "license": "CC0"}, "novelty": [1]} | METRICS)
    assert load(model).metrics.top1 == 0.75


def test_the_model_that_ships_has_metrics_of_every_species():
    model = ROOT / "models" / MODEL_FILE
    metrics = load(model).metrics
    assert [each.label for each in metrics.species] == list(load_labels(model.parent / LABELS_FILE))
    assert sum(each.training_photos for each in metrics.species) == metrics.training_photos
    assert 0.5 < metrics.top1 < metrics.top5 <= 1
    assert 0 < metrics.unsure_below < 1


def test_the_card_that_ships_says_how_each_wrongly_named_photo_was_named():
    species = load(ROOT / "models" / MODEL_FILE).metrics.species
    for each in species:
        named_correctly = round(each.recall * each.held_out_photos)
        assert sum(each.confused_with.values()) == each.held_out_photos - named_correctly
        assert set(each.confused_with) < {other.label for other in species} - {each.label}


def test_the_card_that_ships_is_written_as_it_was_read():
    content = (ROOT / "models" / CARD_FILE).read_bytes()
    assert encode_card(msgspec.json.decode(content, type=CardFile)) == content


def test_a_number_that_is_not_finite_is_written_as_null_and_spoils_the_metrics_only(model, caplog):
    card = msgspec.convert({"model": {"sha256": sha256(model)}} | METRICS, CardFile)
    card.accuracy["test"].top1 = float("nan")
    card.history = [{"stage": 0, "epoch": 1, "loss": float("inf")}]
    content = encode_card(card)
    (model.parent / CARD_FILE).write_bytes(content)
    written = json.loads(content)
    assert written["accuracy"]["test"]["top1"] is None
    assert written["history"] == [{"stage": 0, "epoch": 1, "loss": None}]
    assert load(model) == ModelCard(sha256(model), None)
    assert len(caplog.messages) == 1


def test_a_card_without_metrics_is_a_card_and_that_is_logged_in_one_line(model, caplog):
    assert load(model) == ModelCard(sha256(model), None)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert CARD_FILE in record.getMessage()


def test_a_model_without_a_card_has_no_metrics_and_nothing_is_logged(model, caplog):
    (model.parent / CARD_FILE).unlink()
    assert load(model) is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *[(["judged_on"], value) for value in ("elsewhere", None, 3)],
        *[(["pictures", "test"], value) for value in (-1, 2.5, True, "20", None, float("inf"), [20], 10**400)],
        *[(["pictures"], value) for value in (20, None, [])],
        *[(["accuracy", "test", "top1"], value) for value in (1.01, -0.1, float("nan"), float("inf"), None, "x", [])],
        *[(["accuracy", "test", "top1"], 10**400)],
        *[(["calibration"], {}), (["unsure_below"], 2), (["unsure_below"], None)],
        *[(["species"], value) for value in (None, 3, [3], ["Robin"], [{}], [{"label": "Robin"}])],
        *[(["species", 0, "held_out", "recall"], value) for value in (2, "x", float("nan"))],
        *[(["species", 0, "train", "pictures"], value) for value in (None, -3, 0.5)],
        *[(["unsure_below"], True), (["date"], 2026), (["species", 0, "label"], None)],
    ],
)
def test_metrics_that_training_does_not_write_are_ignored_and_that_is_logged_in_one_line(model, path, value, caplog):
    card = copy.deepcopy(METRICS)
    *way, last = path
    part = card
    for key in way:
        part = part[key]
    part[last] = value
    write_card(model, {"model": {"sha256": sha256(model)}} | card)
    assert load(model) == ModelCard(sha256(model), None)
    (line,) = caplog.messages
    path = model.parent / CARD_FILE
    assert line == f"The metrics in {path} are ignored: they are not in the form that training writes."


@pytest.mark.parametrize("name", METRICS)
def test_metrics_that_are_not_all_there_are_ignored(model, name):
    write_card(model, {"model": {"sha256": sha256(model)}} | {key: METRICS[key] for key in METRICS if key != name})
    assert load(model).metrics is None
