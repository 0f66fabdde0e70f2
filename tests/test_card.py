"""inference/card.py: what training wrote of a model, if it is this one."""

import json

import pytest

from inference import CARD_FILE, MODEL_FILE
from inference.card import load_card, sha256


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
