"""web/look_alikes.py: what the site says of species that the model confuses, and the examples of them."""

import io
import re
from pathlib import Path

import numpy as np
import pytest

from inference import MODEL_FILE
from inference.examples import EXAMPLES_FOLDER, ExampleList, example_file, load_examples, write_example_list
from inference.model_card import ModelMetrics, SpeciesMetrics
from tests.support.seam import COLORS, SHA256, ColorClassifier, ColorWorkers
from web.look_alikes import MAX_SHOWN, Confusion, LookAlike
from web.model_info import ModelInfo

LABELS = tuple(COLORS)
JPEG = b"\xff\xd8\xff\xe0 an example"


def metrics(*species: SpeciesMetrics) -> ModelMetrics:
    return ModelMetrics("2026-11-24", "test", 30, 60, 0.9, 1.0, 0.02, 0.0, species)


def measured(label: str, photos: int, **confused_with: int) -> SpeciesMetrics:
    """A species with so many held-out photos; the names of others have ``_`` for a space."""
    others = {other.replace("_", " "): times for other, times in confused_with.items()}
    return SpeciesMetrics(label, 60, photos, 0.5, 0.5, others)


CONFUSED = metrics(
    measured("Goldfinch", 16, Greenfinch=1),
    measured("Greenfinch", 12, Goldfinch=3, Snow_Bunting=1),
    measured("Snow Bunting", 1, Goldfinch=1),
    measured("Cardinal", 9),
)


def shown(page: str) -> str:
    """The text of the section on look-alikes, without tags; empty if there is none."""
    section = re.search(r'<section aria-label="Look-alikes">.*?</section>', page, re.DOTALL)
    return " ".join(re.sub(r"<.*?>", " ", section[0]).split()) if section else ""


def answer_to(client, photo: bytes) -> str:
    return client.post("/", data={"bird_image": (io.BytesIO(photo), "bird.png")}).text


def test_a_look_alike_is_one_in_either_direction_and_the_most_frequent_comes_first():
    assert Confusion(CONFUSED.species).look_alikes("Goldfinch") == [
        LookAlike("Greenfinch", taken_for_it=3, photos=12, confused_with=1, photos_of_other=16),
        LookAlike("Snow Bunting", taken_for_it=1, photos=1, confused_with=0, photos_of_other=16),
    ]
    assert Confusion(CONFUSED.species).look_alikes("Cardinal") == []
    assert Confusion(CONFUSED.species).look_alikes("Dodo") == []


def test_of_many_look_alikes_the_most_frequent_in_each_direction_are_shown():
    others = {f"from {number}": number for number in range(1, 9)}
    species = [SpeciesMetrics("Gull", confused_with={f"to {number}": number for number in range(1, 9)})]
    species += [SpeciesMetrics(label, confused_with={"Gull": times}) for label, times in others.items()]
    found = [each.label for each in Confusion(species).look_alikes("Gull")]
    assert found == ["from 8", "to 8", "from 7", "to 7", "from 6", "to 6"]
    assert len(found) == 2 * MAX_SHOWN


def test_the_card_says_what_its_first_candidate_is_confused_with(make_client, photo):
    page = answer_to(make_client(model_info=ModelInfo(SHA256, LABELS, CONFUSED)), photo)
    assert shown(page) == (
        "Easily confused with "
        "Greenfinch 3 of its 12 photos were named Goldfinch. 1 of 16 photos of Goldfinch was named Greenfinch. "
        "Snow Bunting 1 of its 1 photos was named Goldfinch. "
        "Counted on photos that the model did not learn from."
    )
    assert page.count("search=Plectrophenax%20nivalis") >= 1
    assert "<img" not in re.search(r'<section aria-label="Look-alikes">.*?</section>', page, re.DOTALL)[0]


def test_a_card_that_is_not_sure_says_so_too(make_client, photo):
    client = make_client(model_info=ModelInfo(SHA256, LABELS, CONFUSED, operators_threshold=1.0))
    page = answer_to(client, photo)
    assert "Not sure." in page
    assert "3 of its 12 photos were named Goldfinch." in shown(page)


@pytest.mark.parametrize(
    "model_info",
    [
        ModelInfo(SHA256, LABELS),
        ModelInfo(SHA256, LABELS, metrics(SpeciesMetrics("Goldfinch", 60, 16, 0.9, 0.9))),
        ModelInfo(SHA256, LABELS, metrics(measured("Goldfinch", 16), measured("Greenfinch", 12))),
        ModelInfo("0" * 64, LABELS, CONFUSED),
    ],
    ids=["no metrics", "card of an earlier training", "never confused", "another model"],
)
def test_a_card_says_nothing_where_nothing_is_known_of_the_model_of_its_answer(make_client, photo, model_info):
    page = answer_to(make_client(model_info=model_info), photo)
    assert "Predicted : Goldfinch" in page
    assert "confused" not in page


def test_a_workers_answer_has_its_look_alikes(make_client, photo):
    workers = ColorWorkers()
    client = make_client(workers, model_info=ModelInfo(SHA256, LABELS, CONFUSED))
    workers.found = ColorClassifier().classify(np.full((224, 224, 3), (255, 255, 0), "uint8"))
    assert "3 of its 12 photos were named Goldfinch." in shown(client.get("/cards/job").text)


def test_labels_are_shown_as_names_and_escaped(make_client, photo):
    labels = ("0.a", "1.b", "2.c", "3.Gold_<i>finch", "4.Green_<b>finch", "5.f")
    confused = metrics(
        SpeciesMetrics(labels[3], 9, 16, 1, 1, {}), SpeciesMetrics(labels[4], 9, 12, 0.9, 1, {labels[3]: 2})
    )
    client = make_client(ColorClassifier(labels), model_info=ModelInfo(SHA256, labels, confused))
    page = answer_to(client, photo)
    assert "2 of its 12 photos were named Gold &lt;i&gt;finch." in shown(page)
    assert "search=Green%20%3Cb%3Efinch" in page
    assert "<b>finch" not in page + client.get("/species").text


def test_the_list_of_species_says_what_each_is_confused_with(make_client):
    page = make_client(model_info=ModelInfo(SHA256, LABELS, CONFUSED)).get("/species").text
    rows = {re.search(r">([^<>]+)</a>[^<]*(?:<i.*?</i>)?\s*</th>", row)[1]: row for row in page.split("<tr>")[2:]}
    assert list(rows) == list(LABELS)
    assert ">Greenfinch (4), Snow Bunting (1)</td>" in rows["Goldfinch"]
    assert ">Goldfinch (4), Snow Bunting (1)</td>" in rows["Greenfinch"]
    assert '<td class="names">–</td>' in rows["Cardinal"]
    assert "Confused with" in page


def test_the_list_of_species_has_no_column_for_what_was_not_measured(make_client):
    not_measured = metrics(SpeciesMetrics("Goldfinch", 60, 16, 0.9, 0.9))
    page = make_client(model_info=ModelInfo(SHA256, LABELS, not_measured)).get("/species").text
    assert "Recognised" in page
    assert "Confused with" not in page


# --- examples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Examples: two of a goldfinch, one of a greenfinch."""
    folder = tmp_path / EXAMPLES_FOLDER
    folder.mkdir()
    write_example_list(folder, ExampleList(SHA256, [0, 0, 0, 2, 1, 0]))
    for index, number in ((3, 1), (3, 2), (4, 1)):
        (folder / example_file(SHA256, index, number)).write_bytes(JPEG)
    return folder


@pytest.fixture
def client_with_examples(make_client, folder):
    examples = load_examples(folder.with_name(MODEL_FILE), SHA256)
    return make_client(model_info=ModelInfo(SHA256, LABELS, CONFUSED, examples=examples))


def test_the_card_shows_the_examples_of_the_look_alikes_and_of_the_answer(client_with_examples, photo):
    page = answer_to(client_with_examples, photo)
    images = re.findall(r'<img src="(/species/.+?)" alt="(.+?)"', page)
    assert images == [
        ("/species/4/examples/1.jpg?model=5eed5eed", "Greenfinch, example 1"),
        ("/species/3/examples/1.jpg?model=5eed5eed", "Goldfinch, example 1"),
        ("/species/3/examples/2.jpg?model=5eed5eed", "Goldfinch, example 2"),
    ]
    assert "For comparison, Goldfinch:" in page
    for url, _alt in images:
        assert client_with_examples.get(url).data == JPEG


def test_an_example_that_is_gone_is_not_shown(client_with_examples, photo, folder):
    (folder / example_file(SHA256, 4, 1)).unlink()
    page = answer_to(client_with_examples, photo)
    assert "/species/4/examples" not in page
    assert client_with_examples.get("/species/4/examples/1.jpg").status_code == 404


def test_an_example_is_an_image_that_caches_keep_for_a_day(client_with_examples):
    answer = client_with_examples.get("/species/3/examples/1.jpg")
    assert answer.content_type == "image/jpeg"
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    tag = answer.headers["ETag"]
    assert client_with_examples.get("/species/3/examples/1.jpg", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        *("/species/0/examples/1.jpg", "/species/3/examples/0.jpg", "/species/3/examples/3.jpg"),
        *("/species/-1/examples/1.jpg", "/species/9/examples/1.jpg", f"/species/{9**99}/examples/{9**99}.jpg"),
        *("/species/3/examples/..%2f1.jpg", "/species/../examples/1.jpg", "/species/3/examples/examples.json"),
    ],
)
def test_what_is_no_example_is_not_found(client_with_examples, path):
    assert client_with_examples.get(path).status_code == 404


def test_without_examples_there_are_none(client):
    assert client.get("/species/3/examples/1.jpg").status_code == 404
