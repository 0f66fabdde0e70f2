"""web/api.py: what the API answers and refuses, and that ``openapi.json`` describes it."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests
import schemathesis
from openapi_spec_validator import validate
from PIL import Image
from werkzeug.test import TestResponse

from inference import MAX_PIXELS, Candidate, Identification
from inference.formats import FORMATS
from inference.input_range import InputRange
from inference.model_card import ModelMetrics, SpeciesMetrics
from inference.photo import open_photo
from inference.regions import Region
from jobs.errors import BusyError, JobFailedError, JobLostError, UnavailableError
from jobs.pending import Position
from jobs.retry_after import LEAST_SPREAD
from tests.support.api import (
    ASYNC,
    DESCRIPTION,
    IDENTIFICATIONS,
    JOB,
    MODEL,
    OPERATIONS,
    SPECIES,
    checked,
    photo_form,
    problem_in,
)
from tests.support.drawings import draw_goldfinch, encoded
from tests.support.pages import headings_on, sentence_on
from tests.support.seam import COLORS, ENGINE, SHA256, ColorClassifier, ColorWorkers
from tests.support.servers import leftovers, until
from web.model_info import ModelInfo

NO_ANSWER = "There is no such answer here, or it is more than an hour old. Please send the photo again."

# What it answers


def named(label: str) -> dict[str, object]:
    """What is said of a label beside it: there are several goldfinches, and one bird that is just called Cardinal."""
    scientific = {"Cardinal": "Cardinalis cardinalis"}.get(label)
    return {"scientific": scientific, "names": {"en": label}}


def test_a_form_and_the_bytes_by_themselves_get_the_answer_of_the_classifier(client, uploads, photo):
    identification = ColorClassifier().classify(open_photo(io.BytesIO(photo)).pixels())
    for sent in (
        {"data": photo_form(photo)},
        {"data": photo, "content_type": "image/png"},
        {"data": photo, "content_type": "IMAGE/JPEG; charset=x;;="},  # the content of the file decides
    ):
        answer = checked(client.post(IDENTIFICATIONS, **sent))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert sorted(answer.json) == [
            "candidates",
            "confidence",
            "familiarity",
            "label",
            "likely",
            "milliseconds",
            "model",
            "names",
            "others",
            "region",
            "scientific",
            "verdict",
        ]
        assert [answer.json[name] for name in ("verdict", "likely", "familiarity")] == [None] * 3
        assert (answer.json["region"], answer.json["others"]) == (None, [])
        assert answer.json["label"] == identification.label == "Goldfinch"
        assert answer.json["confidence"] == pytest.approx(identification.confidence, abs=1e-4)
        assert [each["label"] for each in answer.json["candidates"]] == [
            each.label for each in identification.candidates
        ]
        assert answer.json["model"] == SHA256
        assert 0 < answer.json["milliseconds"] < 60_000
    assert leftovers(uploads) == []


@pytest.mark.parametrize("top", ["1", "3", "5"])
def test_the_answer_has_as_many_candidates_as_are_asked_for(client, photo, top):
    answer = checked(client.post(IDENTIFICATIONS, query_string={"top": top}, data=photo_form(photo)))
    assert len(answer.json["candidates"]) == int(top)
    assert answer.json["candidates"][0]["label"] == answer.json["label"]


@pytest.mark.parametrize(
    "top", ["0", "6", "-1", "1.0", "+1", " 1", "x", "", "٣", "05", "1" * 10, "00000000199", "9" * 5000]
)
def test_a_number_of_candidates_that_no_answer_has_is_refused_even_where_there_is_no_answer(client, photo, top):
    sentence = "top must be a whole number from 1 to 5."
    answer = client.post(IDENTIFICATIONS, query_string={"top": top}, data=photo_form(photo))
    assert problem_in(answer, 400) == sentence
    assert problem_in(client.get(f"{IDENTIFICATIONS}/abc", query_string={"top": top}), 400, JOB, "GET") == sentence


def two_colors() -> bytes:
    """A photo whose left half shows a cardinal and whose right half a bluebird."""
    image = Image.new("RGB", (80, 60), "red")
    image.paste("blue", (40, 0, 80, 60))
    return encoded(image, "PNG")


@pytest.mark.parametrize("where", ["in the address", "in the form", "with the bytes"])
def test_the_answer_is_about_the_part_of_the_photo_that_is_asked_for(client, uploads, where):
    for crop, label, region in [
        ("0,0,0.4,1", "Cardinal", {"x": 0, "y": 0, "width": 0.4, "height": 1}),
        ("0.6,0.25,0.3,0.5", "Bluebird", {"x": 0.6, "y": 0.25, "width": 0.3, "height": 0.5}),
        ("0.666666,0,0.3333339,1", "Bluebird", {"x": 0.6667, "y": 0, "width": 0.3333, "height": 1}),
    ]:
        sent = {
            "in the address": {"query_string": {"crop": crop}, "data": photo_form(two_colors())},
            "in the form": {"data": photo_form(two_colors()) | {"crop": crop}},
            "with the bytes": {"query_string": {"crop": crop}, "data": two_colors(), "content_type": "image/png"},
        }[where]
        answer = checked(client.post(IDENTIFICATIONS, **sent))
        assert (answer.json["label"], answer.json["region"]) == (label, region)
    assert leftovers(uploads) == []


def test_the_part_in_the_address_comes_first_and_an_empty_one_is_the_whole_photo(client):
    for address, form, region in [
        ("0.5,0,0.5,1", "0,0,0.5,1", {"x": 0.5, "y": 0, "width": 0.5, "height": 1}),
        ("", "0,0,0.5,1", {"x": 0, "y": 0, "width": 0.5, "height": 1}),
        ("", "", None),
    ]:
        sent = photo_form(two_colors()) | {"crop": form}
        answer = checked(client.post(IDENTIFICATIONS, query_string={"crop": address}, data=sent))
        assert answer.json["region"] == region


def test_a_region_of_an_answer_can_be_asked_for_in_turn(client):
    for crop in ("0.333333,0.666666,0.666667,0.333334", "0.98,0.98,0.02,0.02", "0.00004,0,0.99996,0.0200001"):
        first = client.post(IDENTIFICATIONS, query_string={"crop": crop}, data=photo_form(two_colors())).json["region"]
        again = ",".join(map(str, (first["x"], first["y"], first["width"], first["height"])))
        second = client.post(IDENTIFICATIONS, query_string={"crop": again}, data=photo_form(two_colors())).json
        assert second["region"] == pytest.approx(first, abs=1e-4)


class TwoBirds(ColorClassifier):
    """Finds a goldfinch in every photo, and two other birds beside it."""

    def classify(self, pixels: Any, wait: float | None = None, **options: Any) -> Identification:
        goldfinch = Identification(
            "Goldfinch",
            0.9,
            (Candidate("Goldfinch", 0.9), Candidate("Cardinal", 0.1)),
            SHA256,
            region=Region(0.1, 0.2, 0.3, 0.4),
            activation=((0.0, 1.0), (0.25, 0.5)),
        )
        cardinal = replace(goldfinch, label="Cardinal", region=Region(0.5, 0.5, 0.1, 0.1), activation=((1.0,),))
        return replace(goldfinch, others=(cardinal, replace(cardinal, activation=())))


def test_other_birds_are_answers_of_their_own_without_the_model_and_without_others(make_client, photo):
    client = make_client(TwoBirds())
    answer = checked(client.post(IDENTIFICATIONS, query_string={"top": 1}, data=photo_form(photo))).json
    assert answer["region"] == {"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4}
    assert "activation" not in answer
    other = {
        "label": "Cardinal",
        **named("Cardinal"),
        "confidence": 0.9,
        "candidates": [{"label": "Goldfinch", **named("Goldfinch"), "confidence": 0.9}],
        "verdict": None,
        "likely": None,
        "familiarity": None,
        "region": {"x": 0.5, "y": 0.5, "width": 0.1, "height": 0.1},
    }
    assert answer["others"] == [other, other]


def test_an_explained_answer_says_which_places_speak_for_it_and_for_each_of_the_others(make_client, photo):
    client = make_client(TwoBirds())
    answer = checked(client.post(IDENTIFICATIONS, query_string={"explain": 1}, data=photo_form(photo))).json
    assert answer["activation"] == [[0.0, 1.0], [0.25, 0.5]]
    assert [other["activation"] for other in answer["others"]] == [[[1.0]], None]
    unexplained = checked(client.post(IDENTIFICATIONS, query_string={"explain": 0}, data=photo_form(photo))).json
    assert "activation" not in unexplained
    assert not any("activation" in other for other in unexplained["others"])


def test_the_rows_of_an_explanation_go_from_top_to_bottom(client):
    image = Image.new("RGB", (80, 60), "black")
    image.paste("red", (0, 0, 80, 40))
    sent = photo_form(encoded(image, "PNG"))
    answer = checked(client.post(IDENTIFICATIONS, query_string={"explain": 1, "crop": "0,0.1,1,0.9"}, data=sent)).json
    assert (answer["label"], len(answer["activation"])) == ("Cardinal", 5)
    first, *_rows, last = answer["activation"]
    assert min(first) > 0.9 > 0.1 > max(last)


@pytest.mark.parametrize("explain", ["", "2", "-1", "01", "1.0", "true", "yes", " 1", "١", "1,1", "9" * 5000])
def test_an_explanation_that_is_neither_wanted_nor_not_is_refused_even_where_there_is_no_answer(client, photo, explain):
    sentence = "explain must be 0 or 1."
    answer = client.post(IDENTIFICATIONS, query_string={"explain": explain}, data=photo_form(photo))
    assert problem_in(answer, 400) == sentence
    assert problem_in(client.get(f"{IDENTIFICATIONS}/abc", query_string={"explain": explain}), 400, JOB, "GET") == (
        sentence
    )


FOUR_NUMBERS = "crop must be four numbers: x,y,width,height, as in crop=0.25,0.1,0.5,0.4."
WITHIN = "crop must lie within the photo: its numbers are shares of the width and the height, from 0 to 1."


@pytest.mark.parametrize(
    ("crop", "sentence"),
    [
        ("x", FOUR_NUMBERS),
        (" ", FOUR_NUMBERS),
        ("0,0,1", FOUR_NUMBERS),
        ("0,0,1,1,1", FOUR_NUMBERS),
        ("nan,nan,nan,nan", FOUR_NUMBERS),
        ("0,0,1,inf", FOUR_NUMBERS),
        ("٠,٠,١,١", FOUR_NUMBERS),
        ("0,0,1,<b>", FOUR_NUMBERS),
        ("0,0,1,\0", FOUR_NUMBERS),
        ("9" * 10_000 + ",x", FOUR_NUMBERS),
        ("0,0,1e400,1", WITHIN),
        ("-0.1,0,0.5,0.5", WITHIN),
        ("0.6,0,0.5,0.5", WITHIN),
        ("0,0,1," + "9" * 10_000, WITHIN),
        ("0.5,0.5,0.01,0.5", "crop must be at least 0.02 wide and 0.02 high."),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_a_part_that_no_photo_has_is_refused_with_the_sentence_of_the_page(client, uploads, photo, crop, sentence):
    for sent in (
        {"query_string": {"crop": crop}, "data": photo_form(photo)},
        {"query_string": {"crop": crop}, "data": photo, "content_type": "image/png"},
        {"data": photo_form(photo) | {"crop": crop}},
    ):
        assert problem_in(client.post(IDENTIFICATIONS, **sent), 400) == sentence
    page = client.post("/", data=photo_form(photo) | {"crop": crop}, follow_redirects=True)
    assert sentence_on(page.text) == sentence
    assert leftovers(uploads) == []


def test_labels_in_any_script_come_as_they_are(make_client, photo):
    labels = tuple(f'Žluna zelená 🐦 "<{number}>"' for number, _bird in enumerate(COLORS))
    client = make_client(ColorClassifier(labels))
    assert checked(client.post(IDENTIFICATIONS, data=photo_form(photo))).json["label"] in labels
    answer = checked(client.get(SPECIES), SPECIES, "GET")
    assert [each["label"] for each in answer.json["species"]] == sorted(labels)


METRICS = ModelMetrics(
    date="2026-11-24",
    evaluation_split="test",
    evaluation_photos=978,
    training_photos=7_000,
    top1=0.94,
    top5=0.99,
    calibration_error=0.01,
    unsure_below=0.35,
    species=(
        SpeciesMetrics("Goldfinch", 60, 8, 0.875, None, {"Bluebird": 1, "Cardinal": 2}),
        SpeciesMetrics("Cardinal", 40, 9, None, 1.0, {}),
    ),
)


def test_species_are_named_in_the_languages_that_the_client_understands(make_client, photo):
    labels = ("Rusty Blackbird", "Eastern Bluebird", "AMERICAN GOLDFINCH", *list(COLORS)[3:])
    client = make_client(ColorClassifier(labels), model_info=ModelInfo(SHA256, labels))
    asked = {"headers": {"Accept-Language": "xx, en;q=0.5, de-AT, fr;q=0"}}
    answer = checked(client.post(IDENTIFICATIONS, data=photo_form(photo), **asked))
    found = {each["label"]: (each["scientific"], each["names"]) for each in answer.json["candidates"]}
    goldfinch = ("Spinus tristis", {"de": "Goldzeisig", "en": "American Goldfinch"})
    assert found["AMERICAN GOLDFINCH"] == goldfinch
    answer = checked(client.get(SPECIES, **asked), SPECIES, "GET")
    found = {each["label"]: (each["scientific"], each["names"]) for each in answer.json["species"]}
    assert found["AMERICAN GOLDFINCH"] == goldfinch
    assert "Accept-Language" in answer.headers["Vary"]


def test_the_species_and_the_model_keep_the_names_of_their_fields(make_client):
    client = make_client(model_info=ModelInfo(SHA256, ("Cardinal", "Goldfinch", "Greenfinch"), METRICS))
    unknown = ("trained_on", "held_out", "recall", "precision", "confused_with", "taken_for_it")
    assert checked(client.get(SPECIES), SPECIES, "GET").json == {
        "species": [
            {
                "label": "Cardinal",
                **named("Cardinal"),
                "trained_on": 40,
                "held_out": 9,
                "recall": None,
                "precision": 1.0,
                "confused_with": [],
                "taken_for_it": [{"label": "Goldfinch", "photos": 2}],
            },
            {
                "label": "Goldfinch",
                **named("Goldfinch"),
                "trained_on": 60,
                "held_out": 8,
                "recall": 0.875,
                "precision": None,
                "confused_with": [{"label": "Cardinal", "photos": 2}, {"label": "Bluebird", "photos": 1}],
                "taken_for_it": [],
            },
            {"label": "Greenfinch", **named("Greenfinch"), **dict.fromkeys(unknown)},
        ]
    }
    assert checked(client.get(MODEL), MODEL, "GET").json == {
        "sha256": SHA256,
        "species": len(COLORS),
        "engine": {"name": "tensorflow", "precision": "float32", "device": "CPU"},
        "input_range": "0-1",
        "unsure_below": 0.35,
        "strictness": None,
        "curve": None,
        "figures": {
            "date": "2026-11-24",
            "judged_on": "test",
            "pictures": 978,
            "trained_on": 7_000,
            "top1": 0.94,
            "top5": 0.99,
            "calibration_error": 0.01,
        },
        "accepts": {"extensions": list(FORMATS), "bytes": 10 * 2**20, "pixels": MAX_PIXELS},
    }


def test_the_page_and_the_api_say_which_pixel_values_the_network_is_given(make_client):
    said = {None: "shown to a neural network. The"}
    for wanted in InputRange:
        black, white = wanted.limits
        said[wanted] = f"shown to a neural network, as numbers from {black} to {white} for each color. The"
    for input_range, words in said.items():
        classifier = ColorClassifier()
        classifier.engine_info = lambda found=input_range: found and replace(ENGINE, input_range=found)
        client = make_client(classifier)
        assert checked(client.get(MODEL), MODEL, "GET").json["input_range"] == input_range
        assert words in client.get("/about").text


def test_the_confidence_below_which_the_page_is_not_sure_can_be_set(make_client, photo):
    for below, is_unsure in [("0", False), ("1", True)]:
        client = make_client(env={"BIRD_UNSURE_BELOW": below})
        page = client.post("/", data=photo_form(photo)).text
        assert ("Not sure." in page) == is_unsure
        assert (headings_on(page) == ["We think this is: Goldfinch"]) != is_unsure
        assert client.get(MODEL).json["unsure_below"] == float(below)


# What it refuses


def multipart(*names: str) -> dict[str, object]:
    """A form with a file of each name, for Flask's test client."""
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="bird_image"; filename="{name}"\r\n\r\nx\r\n' for name in names
    )
    return {"data": f"{parts}--b--\r\n", "content_type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("form", "status", "page"),
    [
        ({"data": {"other": "x"}, "content_type": "multipart/form-data"}, 400, "/"),
        ({"content_type": "multipart/form-data"}, 400, "/"),
        (multipart(""), 400, "/"),
        (multipart("a.jpg", "b.jpg"), 400, "/cards"),  # the first page takes several
        (multipart(*["a.jpg"] * 21), 400, "/"),
        (multipart("bird.txt"), 415, "/"),
        (multipart("bird"), 415, "/"),
        (multipart("bird.jpg"), 422, "/"),
        (multipart(*["a.jpg"] * 101), 413, "/"),
    ],
    ids=["no field", "no form", "no name", "two", "21", "a text", "no extension", "not an image", "101"],
)
def test_a_form_is_refused_with_the_sentence_of_the_page(client, uploads, form, status, page):
    shown = sentence_on(client.post(page, **form, follow_redirects=True).text)
    assert problem_in(client.post(IDENTIFICATIONS, **form), status) == shown
    assert leftovers(uploads) == []


@pytest.mark.parametrize("part", ["none", "half", "other"])
def test_bytes_that_are_not_a_whole_image_are_refused_with_the_sentence_of_the_page(client, uploads, goldfinch, part):
    start_of_a_png = encoded(draw_goldfinch(), "PNG")[:1000]
    content = {"none": b"<html>", "half": goldfinch[: len(goldfinch) // 2], "other": start_of_a_png}[part]
    shown = sentence_on(client.post("/", data=photo_form(content), follow_redirects=True).text)
    answer = client.post(IDENTIFICATIONS, data=content, content_type="image/jpeg")
    assert problem_in(answer, 422) == shown
    assert leftovers(uploads) == []


def test_an_empty_body_is_no_file(client):
    answer = client.post(IDENTIFICATIONS, data=b"", content_type="image/jpeg")
    assert problem_in(answer, 400) == sentence_on(client.post("/", follow_redirects=True).text)


@pytest.mark.parametrize(
    "content_type", ["", "x", "text/plain", "application/json", "application/x-www-form-urlencoded", "xmultipart/form"]
)
def test_what_is_not_sent_as_an_image_is_refused(client, uploads, photo, content_type):
    answer = client.post(IDENTIFICATIONS, data=photo, content_type=content_type)
    assert problem_in(answer, 415) == (
        "Please send a form (multipart/form-data) with the photo in its field bird_image, or the bytes of the photo "
        "with their content type, such as image/jpeg."
    )
    assert leftovers(uploads) == []


def test_an_unhandled_exception_is_a_problem_without_its_details(make_client, uploads, photo):
    class Broken(ColorClassifier):
        is_broken = False

        def classify(self, pixels: Any, wait: float | None = None, **options: Any) -> Any:
            if self.is_broken:
                raise RuntimeError("secret detail")
            return super().classify(pixels, wait)

    classifier = Broken()
    client = make_client(classifier)
    classifier.is_broken = True  # after the warm-up
    answer = client.post(IDENTIFICATIONS, data=photo, content_type="image/png")
    shown = sentence_on(client.post("/", data=photo_form(photo)).text)
    assert problem_in(answer, 500) == shown
    assert "secret" not in answer.text
    assert leftovers(uploads) == []


@pytest.mark.parametrize("job", ["abc", "A" * 22, "A" * 2000, "%00", "%F0%9F%90%A6", "a b"])
def test_an_answer_that_does_not_exist_is_a_problem(client, job):
    assert problem_in(client.get(f"{IDENTIFICATIONS}/{job}"), 404, JOB, "GET") == NO_ANSWER


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/api/v2/model", f"{IDENTIFICATIONS}/", "/api/v1/model/x"])
def test_an_address_that_does_not_exist_is_a_problem(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert "not found" in answer.json["detail"]


@pytest.mark.parametrize(
    ("path", "allowed"), [(IDENTIFICATIONS, "POST"), (f"{IDENTIFICATIONS}/abc", "GET"), (MODEL, "GET")]
)
def test_a_method_that_an_address_does_not_take_is_a_problem_that_says_which_it_takes(client, path, allowed):
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - {allowed}:
        if method == "HEAD" and allowed == "GET":
            continue
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
        assert allowed in answer.headers["Allow"]
    assert client.options(path).status_code == 200
    assert allowed in client.options(path).headers["Allow"]


def test_a_head_request_is_answered_as_a_get_without_its_body(client):
    got, head = client.get(SPECIES), client.head(SPECIES)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


# With workers


@pytest.fixture
def workers() -> ColorWorkers:
    """Workers that do what the test says."""
    return ColorWorkers()


GOLDFINCH = Identification("Goldfinch", 1.0, (), SHA256)


def test_a_pending_job_is_at_an_address_and_its_answer_later(make_client, workers, photo):
    client = make_client(workers)
    workers.found = Position(2, 7)
    later = checked(client.post(IDENTIFICATIONS, data=photo_form(photo), query_string={"top": "2"}))
    assert (later.status_code, later.json, later.headers["Retry-After"]) == (202, {"seconds": 7}, "5")
    assert later.headers["Location"] == f"{IDENTIFICATIONS}/job?top=2"
    assert later.headers["Cache-Control"] == "no-store"
    workers.found = Position(None, 1)
    again = checked(client.get(later.headers["Location"]), JOB, "GET")
    assert (again.status_code, again.json, again.headers["Location"]) == (
        202,
        {"seconds": 1},
        later.headers["Location"],
    )
    workers.found = ColorClassifier().classify(open_photo(io.BytesIO(photo)).pixels())
    answer = checked(client.get(later.headers["Location"]), JOB, "GET")
    assert (answer.status_code, answer.json["label"], len(answer.json["candidates"])) == (200, "Goldfinch", 2)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "activation" not in answer.json


def test_the_address_of_a_pending_job_keeps_what_the_answer_is_to_say(make_client, workers, photo):
    client = make_client(workers)
    workers.found = Position(2, 7)
    for query, kept in [
        ({"top": "2", "explain": "1"}, "?top=2&explain=1"),
        ({"explain": "1"}, "?explain=1"),
        ({"explain": "0"}, "?explain=0"),
        ({"crop": "0,0,0.5,1"}, ""),  # the job has it
    ]:
        later = checked(client.post(IDENTIFICATIONS, data=photo_form(photo), query_string=query))
        assert (later.status_code, later.headers["Location"]) == (202, f"{IDENTIFICATIONS}/job{kept}")
        again = checked(client.get(later.headers["Location"]), JOB, "GET")
        assert (again.status_code, again.headers["Location"]) == (202, later.headers["Location"])
    workers.found = TwoBirds().classify(None)
    answer = checked(client.get(f"{IDENTIFICATIONS}/job?top=1&explain=1"), JOB, "GET").json
    assert answer["activation"] == [[0.0, 1.0], [0.25, 0.5]]
    assert [(len(other["candidates"]), other["activation"]) for other in answer["others"]] == [(1, [[1.0]]), (1, None)]


def test_only_a_client_that_prefers_not_to_wait_is_told_that_this_was_heeded(make_client, workers, photo):
    client = make_client(workers)
    workers.found = Position(2, 7)
    for headers, heeded in [(ASYNC, "respond-async"), ({}, None), ({"Prefer": "wait=10"}, None)]:
        later = checked(client.post(IDENTIFICATIONS, data=photo_form(photo), headers=headers))
        assert (later.status_code, later.headers.get("Preference-Applied")) == (202, heeded)


@pytest.mark.parametrize(
    ("found", "status", "sentence"),
    [
        (JobLostError(), 410, "The answer to this photo did not come in time. Please send it again."),
        (
            JobFailedError(),
            500,
            "The photo could not be identified: the network failed on it twice. Please try another photo.",
        ),
        (
            UnavailableError("the Redis does not answer"),
            503,
            "No photo can be identified at the moment. Please try again in a few seconds.",
        ),
        (None, 404, NO_ANSWER),
    ],
    ids=["lost", "failed", "unavailable", "unknown"],
)
def test_why_there_is_no_answer_to_a_job_is_a_problem_and_on_its_page_too(
    make_client, workers, found, status, sentence
):
    client = make_client(workers)
    workers.found = found
    answer = client.get(f"{IDENTIFICATIONS}/job")
    assert problem_in(answer, status, JOB, "GET") == sentence
    assert answer.headers.get("Retry-After") == ("5" if status == 503 else None)
    for path in ("/identifications/job", "/cards/job"):
        page = client.get(path)
        assert (page.status_code, sentence_on(page.text)) == (status, sentence)


BUSY = BusyError(30, 0.1)


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (JobFailedError(), 500, None),
        (JobLostError(), 503, "5"),  # by workers of another release, which may be replaced soon
        (UnavailableError("no worker is there"), 503, "5"),
        pytest.param(BUSY, 503, str(BUSY.retry_after), id="BusyError"),  # by chance, and so not part of the name
    ],
    ids=["failed", "lost", "unavailable", "busy"],
)
def test_a_photo_that_workers_do_not_identify_is_a_problem(make_client, workers, photo, error, status, retry_after):
    client = make_client(workers)
    workers.error = error
    answer = client.post(IDENTIFICATIONS, data=photo_form(photo, "bird.png"))
    assert problem_in(answer, status) == str(error)
    assert answer.headers.get("Retry-After") == retry_after


def test_a_client_that_has_its_share_of_the_queue_is_refused_and_others_are_answered(make_client, photo):
    class Slow(ColorClassifier):
        is_over = threading.Event()

        def classify(self, pixels: Any, wait: float | None = None, **options: Any) -> Any:
            assert self.is_over.wait(20)
            return super().classify(pixels)

    network = Slow()
    network.is_over.set()  # for the warm-up
    client = make_client(network, env={"BIRD_PROXIES": "1", "BIRD_MAX_WAITING": "3"})
    network.is_over.clear()
    admission = client.application.extensions["birds"].admission

    def send(address: str, path: str = IDENTIFICATIONS) -> TestResponse:
        headers = {"X-Forwarded-For": address}
        return client.application.test_client().post(path, data=photo_form(photo, "bird.png"), headers=headers)

    with ThreadPoolExecutor(4) as senders:
        try:
            answers = [senders.submit(send, "192.0.2.1") for _ in range(2)]
            until(lambda: admission.waiting == 2)
            refused = send("192.0.2.1")
            assert problem_in(refused, 503).startswith("2 photos from your address are still in line")
            assert 1 <= int(refused.headers["Retry-After"]) <= LEAST_SPREAD  # by chance
            answers += [senders.submit(send, "192.0.2.2"), senders.submit(send, "192.0.2.1", "/")]
            until(lambda: admission.waiting == 4)
        finally:
            network.is_over.set()
        assert [answer.result(20).status_code for answer in answers] == [200] * 4


# Its description


def test_the_description_is_valid_and_the_one_that_is_served(client):
    description = json.loads(DESCRIPTION.read_text())
    validate(description)
    answer = checked(client.get("/api/v1/openapi.json"), "/api/v1/openapi.json", "GET")
    assert answer.json == description
    accepted = OPERATIONS[MODEL]["GET"].definition.raw["responses"]["200"]["content"]["application/json"]
    assert accepted["example"]["accepts"]["extensions"] == list(FORMATS)


def test_the_description_says_that_a_lost_job_is_gone_and_that_a_failed_one_is_the_servers_fault():
    responses = OPERATIONS[JOB]["GET"].definition.raw["responses"]
    assert set(responses) == {"200", "202", "400", "404", "410", "500", "503"}
    assert "422" not in responses


def test_every_example_in_the_description_agrees_with_its_schema():
    description = json.loads(DESCRIPTION.read_text())
    count = 0

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in part:
            return part
        *_root, kind, name = part["$ref"].split("/")
        return description["components"][kind][name]

    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                headers = resolved(response).get("headers", {})
                for media_type, body in resolved(response)["content"].items():
                    checked(
                        schemathesis.Response(  # an answer with that example, which no server gave
                            status_code=int(status),
                            headers={name: [str(resolved(header)["example"])] for name, header in headers.items()}
                            | {"content-type": [media_type]},
                            content=json.dumps(body["example"]).encode(),
                            request=requests.Request(method, "http://localhost/").prepare(),
                            elapsed=0,
                            verify=False,
                        ),
                        path,
                        method.upper(),
                    )
                    count += 1
    assert count == 22


def test_the_page_for_people_shows_every_parameter_and_every_field(client):
    page = client.get("/api").text
    description = json.loads(DESCRIPTION.read_text())
    for name in ("top", "explain", "crop", "Prefer", "job"):
        assert f"<dt><code>{name}</code> (" in page
    for schema in description["components"]["schemas"].values():
        for field in schema.get("properties", {}):
            assert f"<dt><code>{field}</code> (" in page
    assert "<code>crop</code>: The part of the photo to look at, as crop in the address; it may be left out." in page
    assert "Rows from top to bottom over the region" in page
