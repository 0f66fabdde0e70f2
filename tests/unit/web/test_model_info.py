"""web/model_info.py: what the site says of its model, and when it is not sure."""

import io
from pathlib import Path

import numpy as np
import pytest

import settings
from inference import CARD_FILE, LABELS_FILE, MODEL_FILE, REPORT_FILE
from inference.digest import sha256
from inference.examples import EXAMPLES_FOLDER, ExampleList, write_example_list
from inference.model_card import (
    Accuracy,
    Calibration,
    CardFile,
    ModelFile,
    SpeciesEntry,
    SpeciesScore,
    TrainingPhotos,
    encode_card,
)
from tests.support.pages import headings_on
from tests.support.seam import COLORS, SHA256, ColorClassifier
from web.model_info import read_model_info
from web.services import build_services

LABELS = tuple(COLORS)
REPORT = "<title>How good</title><style>p { color: red }</style>"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Where the model file would be, beside a card and a report of the stand-in. The card is almost never sure."""
    folder = tmp_path / "models"
    folder.mkdir()
    species = [SpeciesEntry(label="Goldfinch", train=TrainingPhotos(60), held_out=SpeciesScore(30, 0.9, None))]
    card = CardFile(
        model=ModelFile(sha256=SHA256),
        date="2026-11-24",
        photos={"train": 60, "test": 30},
        evaluation_split="test",
        accuracy={"test": Accuracy(0.9, 1.0)},
        species=species,
        calibration=Calibration(error={"test": 0.02}),
        unsure_below=0.9999,
    )
    (folder / CARD_FILE).write_bytes(encode_card(card))
    (folder / REPORT_FILE).write_text(REPORT)
    return folder / MODEL_FILE


def answer_to(client, photo: bytes) -> str:
    return client.post("/", data={"bird_image": (io.BytesIO(photo), "bird.png")}).text


def test_a_web_process_without_the_model_file_is_not_sure_when_the_card_says_so(make_client, model, photo):
    info = read_model_info(model, None, LABELS, None)
    assert (info.sha256, info.unsure_below) == (SHA256, 0.9999)
    assert "Not sure." in answer_to(make_client(model_info=info), photo)


def test_the_services_of_a_web_process_without_the_model_file_have_the_sha256_of_the_card(model, sandbox):
    np.save(model.with_name(LABELS_FILE), {label: index for index, label in enumerate(LABELS)})
    checked = settings.from_config(
        settings.DEFAULTS
        | {"MODEL": str(model), "LABELS": str(model.with_name(LABELS_FILE)), "QUEUE_URL": "redis://127.0.0.1:9/0"}
    )
    info = build_services(checked, sandbox).model_info
    assert (info.sha256, info.labels, info.unsure_below) == (SHA256, LABELS, 0.9999)


def test_an_answer_of_another_model_than_the_cards_is_shown_as_sure(make_client, model, photo):
    # The card's threshold says nothing about the model of a worker of another release.
    class OtherModel(ColorClassifier):
        def classify(self, pixels, wait=None, **options):
            found = super().classify(pixels)
            return type(found)(found.label, found.confidence, found.candidates, "0" * 64)

    client = make_client(OtherModel(), model_info=read_model_info(model, None, LABELS, None))
    assert "Not sure." not in answer_to(client, photo)


def test_the_operators_threshold_applies_to_every_answer(make_client, model, photo):
    info = read_model_info(model, None, LABELS, operators_threshold=0.0)
    assert info.unsure_below == 0
    assert headings_on(answer_to(make_client(model_info=info), photo)) == ["We think this is: Goldfinch"]


def test_without_a_card_every_answer_is_sure(tmp_path):
    info = read_model_info(tmp_path / MODEL_FILE, None, LABELS, None)
    assert (info.sha256, info.metrics, info.report, info.unsure_below) == ("", None, None, 0)


def test_every_species_is_listed_with_its_metrics_if_there_are_any(model):
    species = read_model_info(model, SHA256, ("verdin", "Goldfinch", "Bobolink"), None).species()
    assert [(each.label, each.training_photos, each.recall, each.precision) for each in species] == [
        ("Bobolink", None, None, None),
        ("Goldfinch", 60, 0.9, None),
        ("verdin", None, None, None),
    ]


def test_the_page_links_to_the_training_report_which_may_bring_its_own_style_and_nothing_else(make_client, model):
    client = make_client(model_info=read_model_info(model, SHA256, LABELS, None))
    assert '<a href="/report">' in client.get("/").text
    answer = client.get("/report")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "<title>How good</title>" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'unsafe-inline'" in policy
    assert "script-src 'none'" in policy


def test_a_report_of_another_model_is_not_shown(make_client, model):
    model.write_bytes(b"another model")
    client = make_client(model_info=read_model_info(model, sha256(model), LABELS, None))
    assert "/report" not in client.get("/").text
    answer = client.get("/report")
    assert answer.status_code == 404
    assert "style-src 'self'" in answer.headers["Content-Security-Policy"]


def test_a_report_that_cannot_be_read_is_ignored_with_one_logged_line(model, caplog):
    report = model.with_name(REPORT_FILE)
    report.write_bytes(b"\xff not UTF-8")
    assert read_model_info(model, SHA256, LABELS, None).report is None
    [line] = caplog.messages
    assert line.startswith(f"{report} is ignored: ")


def test_examples_belong_to_the_model_of_the_card(model, caplog):
    folder = model.with_name(EXAMPLES_FOLDER)
    folder.mkdir()
    write_example_list(folder, ExampleList(SHA256, [1]))
    assert read_model_info(model, None, LABELS, None).examples is not None
    write_example_list(folder, ExampleList("0" * 64, [1]))
    assert read_model_info(model, None, LABELS, None).examples is None
    [line] = caplog.messages
    assert line.endswith(f"is ignored: it belongs to another model than {MODEL_FILE}.")


def test_the_page_about_the_model_says_where_the_names_are_from(make_client):
    page = make_client().get("/about").text
    for words in ("IOC World Bird List 13.2", "AviList v2025", "Wikispecies", "CC BY-SA 4.0"):
        assert words in page
