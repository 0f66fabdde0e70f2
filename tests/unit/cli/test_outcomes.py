"""cli.outcomes: one photo as a line for people, a line of JSON, and a row of the CSV list."""

import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from cli.outcomes import Outcome, printable, terminal_safe
from inference import Candidate, Identification
from inference.regions import Region
from inference.verdict import Familiarity, Verdict
from lists import csv_export
from names.labels import Names
from web.naming import Naming

GOLDFINCH = Identification(
    "American Goldfinch",
    0.91234,
    (Candidate("American Goldfinch", 0.91234), Candidate("Pine Siskin", 0.05), Candidate("Žluna zelená", 0.01)),
    model="ab" * 32,
    seconds=0.0314,
)
TAKEN = datetime(2026, 5, 3, 6, 1, 2)
NAMING = Naming(Names({}), ("en",))
GOOD = Outcome(Path("day 1/bird.jpg"), GOLDFINCH, TAKEN)
JAY = Identification(
    "004.Blue_Jay",
    0.931,
    (Candidate("004.Blue_Jay", 0.931), Candidate("Bobolink", 0.02)),
    region=Region(0.5, 0, 0.5, 0.25),
)
CROWDED = Outcome(Path("feeder.jpg"), replace(GOLDFINCH, region=Region(0, 0.125, 0.25, 0.5), others=(JAY,)))
BAD = Outcome(Path("notes.txt"), error="The file is not a picture.")


def unknown(label):
    """What JSON says of a label whose species is not known."""
    return {"scientific": None, "names": {"en": label}}


def test_the_line_has_the_species_and_the_per_cent_of_as_many_candidates_as_are_wanted():
    assert GOOD.line({}) == "day 1/bird.jpg: American Goldfinch 91.2 %"
    assert GOOD.line({}, 2) == "day 1/bird.jpg: American Goldfinch 91.2 %, Pine Siskin 5.0 %"


def test_the_line_has_the_names_of_the_species_and_json_and_csv_their_labels():
    found = Identification("003.Sooty_Albatross", 0.9, (Candidate("003.Sooty_Albatross", 0.9),), "ab" * 32, 0.03)
    outcome = Outcome(Path("bird.jpg"), found)
    assert outcome.line({"003.Sooty_Albatross": "Sooty Albatross"}) == "bird.jpg: Sooty Albatross 90.0 %"
    assert outcome.line({}) == "bird.jpg: 003.Sooty_Albatross 90.0 %"  # a worker's model may know other species
    assert json.loads(outcome.json(1, NAMING))["label"] == outcome.row(1, NAMING)[2] == "003.Sooty_Albatross"


def test_the_line_names_other_birds_in_the_photo_at_its_end():
    assert CROWDED.line({}) == "feeder.jpg: American Goldfinch 91.2 % (+1 more: 004.Blue_Jay 93.1 %)"
    three = Outcome(CROWDED.path, replace(CROWDED.identification, others=(JAY, GOLDFINCH)))
    assert three.line({"004.Blue_Jay": "Blue Jay"}, 2) == (
        "feeder.jpg: American Goldfinch 91.2 %, Pine Siskin 5.0 % (+2 more: Blue Jay 93.1 %, American Goldfinch 91.2 %)"
    )


@pytest.mark.parametrize(
    ("verdict", "top", "answer"),
    [
        (Verdict.SURE, 1, "American Goldfinch 91.2 %"),
        (Verdict.UNSURE, 1, "not sure: American Goldfinch 91.2 %, Pine Siskin 5.0 %"),
        (Verdict.UNSURE, 3, "not sure: American Goldfinch 91.2 %, Pine Siskin 5.0 %, Žluna zelená 1.0 %"),
        (
            Verdict.UNKNOWN_BIRD,
            1,
            "a bird, but probably none of the known species (resembles American Goldfinch 91.2 %)",
        ),
        (Verdict.NO_BIRD, 2, "no bird (resembles American Goldfinch 91.2 %, Pine Siskin 5.0 %)"),
    ],
)
def test_the_line_says_how_far_the_answer_can_be_trusted(verdict, top, answer):
    found = replace(GOLDFINCH, verdict=verdict, likely=2)
    assert Outcome(Path("bird.jpg"), found).line({}, top) == f"bird.jpg: {answer}"


@pytest.mark.parametrize(
    ("verdict", "other"),
    [
        (Verdict.SURE, "Blue Jay 93.1 %"),
        (Verdict.UNSURE, "perhaps Blue Jay 93.1 %"),
        (Verdict.UNKNOWN_BIRD, "a bird of no known species"),
        (Verdict.NO_BIRD, "no bird"),
    ],
)
def test_the_line_says_in_few_words_how_far_the_answers_about_other_birds_can_be_trusted(verdict, other):
    found = replace(GOLDFINCH, verdict=Verdict.UNSURE, likely=2, others=(replace(JAY, verdict=verdict),))
    assert Outcome(Path("bird.jpg"), found).line({"004.Blue_Jay": "Blue Jay"}) == (
        f"bird.jpg: not sure: American Goldfinch 91.2 %, Pine Siskin 5.0 % (+1 more: {other})"
    )


def test_json_and_the_row_have_the_verdict():
    found = replace(GOLDFINCH, verdict=Verdict.UNSURE, likely=2, familiarity=Familiarity(0.25, 0.5))
    outcome = Outcome(Path("bird.jpg"), found)
    answer = json.loads(outcome.json(1, NAMING))
    assert (answer["verdict"], answer["likely"]) == ("unsure", 2)
    assert answer["familiarity"] == {"species": 0.25, "bird": 0.5}
    assert dict(zip(csv_export.header(1), outcome.row(1, NAMING), strict=True))["verdict"] == "unsure"


def test_json_says_in_which_parts_of_the_photo_the_birds_are():
    answer = json.loads(CROWDED.json(1, NAMING))
    assert answer["region"] == {"x": 0, "y": 0.125, "width": 0.25, "height": 0.5}
    assert answer["others"] == [
        {
            "label": "004.Blue_Jay",
            **unknown("004.Blue_Jay"),
            "confidence": 0.931,
            "candidates": [{"label": "004.Blue_Jay", **unknown("004.Blue_Jay"), "confidence": 0.931}],
            "verdict": None,
            "likely": None,
            "familiarity": None,
            "region": {"x": 0.5, "y": 0, "width": 0.5, "height": 0.25},
        }
    ]
    assert "activation" not in answer


def test_a_row_has_the_region_and_the_labels_of_other_birds():
    row = dict(zip(csv_export.header(1), CROWDED.row(1, NAMING), strict=True))
    assert (row["region"], row["others"]) == ("0.0000,0.1250,0.2500,0.5000", "004.Blue_Jay 0.9310")


def test_the_line_of_a_photo_that_was_not_identified_says_why():
    assert BAD.line({}) == "notes.txt: The file is not a picture."


def test_json_has_the_fields_of_the_api_and_the_file():
    text = GOOD.json(2, NAMING)
    assert "\n" not in text
    assert json.loads(text) == {
        "file": "day 1/bird.jpg",
        "taken": "2026-05-03T06:01:02",
        "label": "American Goldfinch",
        **unknown("American Goldfinch"),
        "confidence": 0.91234,
        "candidates": [
            {"label": "American Goldfinch", **unknown("American Goldfinch"), "confidence": 0.91234},
            {"label": "Pine Siskin", **unknown("Pine Siskin"), "confidence": 0.05},
        ],
        "verdict": None,
        "likely": None,
        "familiarity": None,
        "region": None,
        "others": [],
        "model": "ab" * 32,
        "milliseconds": 31.4,
    }
    assert "Žluna zelená" in GOOD.json(3, NAMING)


def test_json_says_null_where_the_file_does_not_say_when_it_was_taken():
    assert json.loads(Outcome(Path("bird.jpg"), GOLDFINCH).json(1, NAMING))["taken"] is None


def test_json_of_a_photo_that_was_not_identified_has_a_file_and_an_error():
    assert json.loads(BAD.json(5, NAMING)) == {"file": "notes.txt", "error": "The file is not a picture."}


@pytest.mark.parametrize("outcome", [GOOD, CROWDED, BAD])
@pytest.mark.parametrize("top", [1, 2, 5])
def test_a_row_has_as_many_cells_as_the_list_has_columns(outcome, top):
    row = dict(zip(csv_export.header(top), outcome.row(top, NAMING), strict=True))
    assert row["file"] == str(outcome.path)
    assert row["error"] == outcome.error
    assert row["taken"] == ("2026-05-03 06:01:02" if outcome.taken else "")
    assert row["confidence"] == ("0.9123" if outcome.identification else "")


def test_a_name_that_is_not_utf_8_becomes_text_that_can_be_written_anywhere():
    path = Path(os.fsdecode(b"caf\xe9.jpg"))
    assert printable(path) == "caf\\udce9.jpg"
    printable(path).encode("utf-8")


def test_nothing_in_a_name_is_a_command_to_the_terminal():
    assert terminal_safe(Path("a\x1b[2Jb\r\n\u202ec žluna.jpg")) == "a?[2Jb???c žluna.jpg"
