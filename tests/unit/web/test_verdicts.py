"""What the pages, the API and the metrics say of how far an answer can be trusted."""

import io
import json
import re
from dataclasses import replace
from html import unescape

import pytest
from PIL import Image
from prometheus_client import REGISTRY

from inference.model_card import ModelMetrics, SpeciesMetrics
from inference.verdict import Verdict
from inference.verdicts_file import AnsweredGroup, VerdictCurve
from tests.support.api import IDENTIFICATIONS, MODEL, checked, photo_form
from tests.support.drawings import encoded
from tests.support.pages import headings_on, percent_on, species_on
from tests.support.seam import COLORS, PHOTO_OF, SHA256, ColorClassifier, HalvesClassifier
from web.curve import MAX_ROWS, curve_rows
from web.model_info import ModelInfo

LABELS = tuple(COLORS)
CURVE = VerdictCurve(
    (0.0, 0.1, 0.2),
    (
        AnsweredGroup("test", 978, (1.0, 0.9, 0.8), (0.0, 0.01, 0.02)),
        AnsweredGroup("others", 406, (0.5, 0.1, 0.05), (0.2, 0.7, 0.8)),
    ),
)
CALIBRATED = ModelInfo(SHA256, LABELS, strictness=0.05, curve=CURVE)
#: Yellow was taken for green by this model; it is not sure below 100 %.
METRICS = ModelMetrics(
    date="2026-11-24",
    evaluation_split="test",
    evaluation_photos=30,
    training_photos=60,
    top1=0.9,
    top5=1.0,
    calibration_error=0.01,
    unsure_below=1.0,
    species=tuple(SpeciesMetrics(label, 60, 16, 0.9, 0.9, {"Greenfinch": 1}) for label in LABELS),
)
HEADINGS = {
    Verdict.SURE: "We think this is: Goldfinch",
    Verdict.UNSURE: "Not sure. It is probably one of these:",
    Verdict.UNKNOWN_BIRD: "This looks like a bird, but probably none of the 6 that we know.",
    Verdict.NO_BIRD: "We see no bird in this photo.",
}


def photo_of(*verdicts: Verdict) -> bytes:
    """A photo of one color, or of several beside each other, to which the stand-in gives these verdicts."""
    image = Image.new("RGB", (64 * len(verdicts), 48))
    for number, verdict in enumerate(verdicts):
        image.paste(PHOTO_OF[verdict], (64 * number, 0, 64 * (number + 1), 48))
    return encoded(image, "PNG")


def card_of(client, photo: bytes, **form: str) -> str:
    """The card that the page's script gets."""
    return client.post("/cards", data=photo_form(photo, "bird.png") | form).text


def lists_on(card: str) -> dict[str, list[str]]:
    """The names in each list of candidates, by the list's own name."""
    return {
        title: [unescape(name) for name in re.findall(r"<a [^>]+>(.+?)</a>", items)]
        for title, items in re.findall(
            r'<[uo]l class="candidates[^"]*" aria-label="(.+?)">(.+?)</[uo]l>', card, re.DOTALL
        )
    }


def details_on(card: str) -> str:
    """What is one click away."""
    return "".join(re.findall(r'<details class="more">(.+?)</details>', card, re.DOTALL))


@pytest.fixture
def calibrated(make_client):
    """A client of an app whose network gives verdicts."""
    return make_client(ColorClassifier(gives_verdicts=True), model_info=CALIBRATED)


@pytest.mark.parametrize("verdict", Verdict)
def test_the_card_says_how_far_its_answer_can_be_trusted(calibrated, verdict):
    card = card_of(calibrated, photo_of(verdict))
    assert headings_on(card) == [HEADINGS[verdict]]


@pytest.mark.parametrize("verdict", Verdict)
def test_programs_find_the_species_and_the_confidence_once_whatever_the_verdict(calibrated, verdict):
    page = calibrated.post("/", data={"bird_image": (io.BytesIO(photo_of(verdict)), "bird.png")}).text
    assert species_on(page) in LABELS
    assert 0 < percent_on(page) <= 100
    answer = calibrated.post(IDENTIFICATIONS, data=photo_form(photo_of(verdict))).json
    assert (species_on(page), percent_on(page)) == (answer["label"], round(100 * answer["confidence"], 2))


def test_an_answer_that_is_not_sure_shows_the_likely_candidates_and_the_others_one_click_away(calibrated):
    card = card_of(calibrated, photo_of(Verdict.UNSURE))
    lists = lists_on(card)
    assert sorted(lists["What it probably is"]) == ["Goldfinch", "Greenfinch"]
    assert len(lists["Less likely species"]) == 3
    assert "Less likely species</summary>" in details_on(card)
    assert "Predicted : " in details_on(card)


@pytest.mark.parametrize(
    ("likely", "heading", "names"),
    [
        (1, "Not sure. It is probably this one:", {"What it probably is": 1, "Less likely species": 4}),
        (3, HEADINGS[Verdict.UNSURE], {"What it probably is": 3, "Less likely species": 2}),
        (5, HEADINGS[Verdict.UNSURE], {"What it probably is": 5}),
        (9, HEADINGS[Verdict.UNSURE], {"What it probably is": 5}),
    ],
)
def test_as_many_candidates_are_shown_as_are_likely(make_client, photo, likely, heading, names):
    class Unsure(ColorClassifier):
        def classify(self, pixels, *arguments, **options):
            return replace(super().classify(pixels), verdict=Verdict.UNSURE, likely=likely)

    card = card_of(make_client(Unsure()), photo)
    assert headings_on(card) == [heading]
    assert {title: len(listed) for title, listed in lists_on(card).items()} == names


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN_BIRD, Verdict.NO_BIRD])
def test_an_answer_that_names_no_bird_has_the_candidates_one_click_away(calibrated, verdict):
    card = card_of(calibrated, photo_of(verdict))
    hidden = details_on(card)
    assert list(lists_on(card)) == list(lists_on(hidden)) == ["What it resembles"]
    assert len(lists_on(card)["What it resembles"]) == 5
    assert "Predicted : " in hidden
    assert "One of the 6 species" not in card


def test_a_photo_without_a_bird_comes_with_advice(calibrated):
    assert "“Choose the bird yourself”" in card_of(calibrated, photo_of(Verdict.NO_BIRD))
    for verdict in (Verdict.SURE, Verdict.UNSURE, Verdict.UNKNOWN_BIRD):
        assert "“Choose the bird yourself”" not in card_of(calibrated, photo_of(verdict))
    part = card_of(calibrated, photo_of(Verdict.NO_BIRD), crop="0,0,0.5,1")
    assert headings_on(part) == ["We see no bird in the marked part of the photo."]


@pytest.mark.parametrize("verdict", Verdict)
def test_only_a_species_that_is_named_is_looked_up_has_look_alikes_and_is_the_title_of_the_page(make_client, verdict):
    info = replace(CALIBRATED, metrics=METRICS)
    client = make_client(ColorClassifier(gives_verdicts=True), model_info=info)
    page = client.post("/", data={"bird_image": (io.BytesIO(photo_of(verdict)), "bird.png")}).text
    is_sure = verdict is Verdict.SURE
    assert ("Look up " in page, "Easily confused with" in page) == (is_sure, is_sure)
    assert ("<title>Which bird is it?</title>" in page) is not is_sure


def test_each_bird_of_a_photo_has_its_verdict(make_client):
    client = make_client(HalvesClassifier(gives_verdicts=True), model_info=CALIBRATED)
    card = card_of(client, photo_of(Verdict.SURE, Verdict.UNKNOWN_BIRD))
    assert headings_on(card) == ["1. " + HEADINGS[Verdict.SURE], "2. " + HEADINGS[Verdict.UNKNOWN_BIRD]]
    assert "2 birds found" in card
    assert re.findall(r"looked at \((.+?)\)</summary>", card) == ["1.&nbsp;Goldfinch", "2"]
    assert card.count("Predicted : ") == 1
    card = card_of(client, photo_of(Verdict.UNSURE, Verdict.NO_BIRD))
    assert headings_on(card)[1] == "2. We see no bird in the marked part of the photo."
    assert "2 parts of the photo looked at" in card


# Thresholds


def test_the_threshold_of_the_model_card_counts_only_for_an_answer_without_a_verdict(make_client):
    photo = photo_of(Verdict.SURE)
    info = ModelInfo(SHA256, LABELS, METRICS)
    with_verdict = card_of(make_client(ColorClassifier(gives_verdicts=True), model_info=info), photo)
    assert headings_on(with_verdict) == [HEADINGS[Verdict.SURE]]
    without = card_of(make_client(model_info=info), photo)
    assert headings_on(without) == ["Not sure. It may be any of these:"]
    assert "Easily confused with" in without


def test_the_threshold_of_the_operator_makes_a_sure_answer_unsure_and_leaves_the_others(make_client):
    info = replace(CALIBRATED, metrics=METRICS, operators_threshold=1.0)
    client = make_client(ColorClassifier(gives_verdicts=True), model_info=info)
    card = card_of(client, photo_of(Verdict.SURE))
    assert headings_on(card) == ["Not sure. It may be any of these:"]
    assert len(lists_on(card)["What it may be"]) == 5
    assert "Easily confused with" not in card
    for verdict in (Verdict.UNSURE, Verdict.UNKNOWN_BIRD, Verdict.NO_BIRD):
        assert headings_on(card_of(client, photo_of(verdict))) == [HEADINGS[verdict]]


# The API, the CSV list and the metrics


@pytest.mark.parametrize("verdict", Verdict)
def test_the_api_and_the_csv_list_have_the_verdict(calibrated, verdict):
    answer = checked(calibrated.post(IDENTIFICATIONS, data=photo_form(photo_of(verdict)))).json
    assert answer["verdict"] == verdict.value
    if verdict in (Verdict.SURE, Verdict.UNSURE):
        assert answer["likely"] == (1 if verdict is Verdict.SURE else 2)
    assert sorted(answer["familiarity"]) == ["bird", "species"]
    [row] = re.findall(r'data-csv="(.*?)"', card_of(calibrated, photo_of(verdict)))
    assert f",{verdict.value}," in row


def records_on(card: str) -> list[dict[str, object]]:
    """What a card has for the lists of birders' programs."""
    return [record for text in re.findall(r'data-records="(.*?)"', card) for record in json.loads(unescape(text))]


@pytest.mark.parametrize("verdict", Verdict)
def test_a_card_has_records_for_lists_only_of_birds_that_are_sure(make_client, verdict):
    client = make_client(HalvesClassifier(gives_verdicts=True), model_info=CALIBRATED)
    records = records_on(card_of(client, photo_of(verdict, Verdict.SURE)))
    count = 2 if verdict is Verdict.SURE else 1
    assert [(record["taxon"], record["count"]) for record in records] == [("Goldfinch", count)]


def test_a_card_has_no_records_of_what_the_operator_or_nobody_calls_sure(make_client, client, photo):
    assert records_on(card_of(client, photo)) == []
    strict = make_client(ColorClassifier(gives_verdicts=True), env={"BIRD_UNSURE_BELOW": "1"})
    assert records_on(card_of(strict, photo)) == []


def test_a_record_has_the_cells_of_darwin_core_in_the_language_of_the_reader(make_client):
    client = make_client(ColorClassifier(gives_verdicts=True))
    red = encoded(Image.new("RGB", (64, 48), "red"), "PNG")
    form = {"bird_image": (io.BytesIO(red), "red.png")}
    [record] = records_on(client.post("/cards", data=form, headers={"Accept-Language": "de"}).text)
    assert record["ebird"]["species"] == ["", "Cardinalis", "cardinalis"]
    assert record["darwin_core"]["order"] == "Passeriformes"
    assert record["darwin_core"]["vernacularName"] == "Rotkardinal"
    assert record["darwin_core"]["identificationVerificationStatus"].startswith("unverified")


def test_the_api_has_the_verdicts_of_other_birds(make_client):
    client = make_client(HalvesClassifier(gives_verdicts=True), model_info=CALIBRATED)
    photo = photo_of(Verdict.SURE, Verdict.NO_BIRD)
    answer = checked(client.post(IDENTIFICATIONS, data=photo_form(photo))).json
    assert (answer["verdict"], [other["verdict"] for other in answer["others"]]) == ("sure", ["no_bird"])


def test_the_api_says_how_strict_the_model_is_and_what_that_means(calibrated):
    model = checked(calibrated.get(MODEL), MODEL, "GET").json
    assert model["strictness"] == 0.05
    assert model["curve"] == {
        "strictness": [0.0, 0.1, 0.2],
        "groups": [
            {"name": "test", "pictures": 978, "answered": [1.0, 0.9, 0.8], "no_bird": [0.0, 0.01, 0.02]},
            {"name": "others", "pictures": 406, "answered": [0.5, 0.1, 0.05], "no_bird": [0.2, 0.7, 0.8]},
        ],
    }


def test_answers_are_counted_by_their_verdict(make_client):
    def counted() -> dict[str, float]:
        names = (*Verdict, "none")
        return {name: REGISTRY.get_sample_value("bird_answers_total", {"verdict": name}) for name in names}

    before = counted()
    calibrated, plain = make_client(ColorClassifier(gives_verdicts=True)), make_client()
    for client, verdict in [(calibrated, Verdict.SURE), (calibrated, Verdict.NO_BIRD), (plain, Verdict.NO_BIRD)]:
        client.post(IDENTIFICATIONS, data=photo_form(photo_of(verdict)))
    gained = {name: number - before[name] for name, number in counted().items()}
    assert gained == {"sure": 1, "unsure": 0, "unknown_bird": 0, "no_bird": 1, "none": 1}


# What the site says of its verdicts


def rows_on(page: str) -> list[list[str]]:
    """The cells of the table of the curve, its head first."""
    [table] = re.findall(r'<table class="curve">(.+?)</table>', page, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.+?)</t[hd]>", row) for row in re.findall(r"<tr.*?>(.+?)</tr>", table)]


def test_the_site_explains_its_verdicts_and_shows_how_many_pictures_are_answered(calibrated):
    page = calibrated.get("/about").text
    for words in ("“We think this is: …”", "“Not sure. It is probably one of these”", HEADINGS[Verdict.NO_BIRD]):
        assert words in page
    assert "This site accepts that about 5 % of these are." in page
    assert rows_on(page) == [
        ["Known birds that may be refused", "Known birds, which did not", "Other things"],
        ["0 %", "100.0", "50.0"],
        ["5 %, as here", "95.0", "30.0"],
        ["10 %", "90.0", "10.0"],
        ["20 %", "80.0", "5.0"],
    ]
    assert "whatever it shows" not in page
    assert "of a cat or a landscape" not in page


def test_a_site_whose_model_was_not_calibrated_says_that_it_names_one_of_its_species_for_every_photo(client):
    page = client.get("/about").text
    assert "How sure it is" not in page
    assert "names one of them for every photo, whatever it shows" in page
    assert "of a cat or a landscape" in page
    model = checked(client.get(MODEL), MODEL, "GET").json
    assert (model["strictness"], model["curve"]) == (None, None)


def test_a_long_curve_becomes_a_short_table_with_both_its_ends_and_the_sites_own_strictness():
    points = tuple(number / 100 for number in range(51))
    curve = VerdictCurve(points, (AnsweredGroup("test", 9, tuple(1 - each for each in points), (0.0,) * 51),))
    rows = curve_rows(curve, 0.033)
    assert len(rows) == MAX_ROWS + 1
    assert [rows[0].strictness, rows[-1].strictness] == [0, 0.5]
    assert [(row.strictness, row.answered) for row in rows if row.is_own] == [(0.033, (pytest.approx(0.967),))]
    assert [row.strictness for row in rows] == sorted(row.strictness for row in rows)


def test_the_sites_own_strictness_is_a_row_of_the_curve_once_and_says_nothing_where_nothing_was_measured():
    assert [row.is_own for row in curve_rows(CURVE, 0.1)] == [False, True, False]
    assert curve_rows(CURVE, 0.3)[-1].answered == (None, None)
