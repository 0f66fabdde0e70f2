"""web/review.py: who may review, and what they can do."""

import io
import logging
import re
import shutil
from html import unescape

import pytest
from flask.testing import FlaskClient

from feedback.review import PAGE
from feedback.schema import Claim
from inference import OTHER_FOLDER
from tests.support.corrections import REVIEW_KEY, CorrectionFolder, feedback_settings
from tests.support.pages import sentence_on
from web.services import current_services

FROM_SCRIPT = {"Accept": "application/json"}


@pytest.fixture
def kept(tmp_path) -> CorrectionFolder:
    """The corrections of the site."""
    return CorrectionFolder(tmp_path)


@pytest.fixture
def visitor(make_client, kept) -> FlaskClient:
    """Somebody who does not know the key."""
    return make_client(env=feedback_settings(kept.folder))


@pytest.fixture
def reviewer(visitor) -> FlaskClient:
    """Somebody who has given the key."""
    assert visitor.post("/review/key", data={"key": REVIEW_KEY}).status_code == 303
    return visitor


def token(client) -> str:
    """The token of a reviewer's forms."""
    return re.search(r'name="token" value="(\w+)"', client.get("/review").text)[1]


def send(client, path="/review", headers=None, **fields):
    """Send the form of the page."""
    return client.post(path, data={"token": token(client)} | fields, headers=headers)


def texts(page: str) -> list[str]:
    """What the page says of each correction, in one line."""
    items = re.findall(r"<article.*?</article>", page, re.DOTALL)
    return [" ".join(unescape(re.sub(r"<.*?>", "", item)).split()) for item in items]


@pytest.mark.parametrize("missing", ["BIRD_FEEDBACK", "BIRD_REVIEW_KEY"])
def test_without_feedback_or_without_a_key_there_is_no_review_page(make_client, tmp_path, missing):
    env = feedback_settings(tmp_path)
    client = make_client(env={name: value for name, value in env.items() if name != missing})
    assert {client.get("/review").status_code, client.post("/review/key").status_code} == {404}


def test_whoever_has_no_key_sees_nothing_and_gets_no_cookie(visitor, kept):
    number = kept.add(claimed="Firecrest", jpeg=b"photo")
    answers = [
        visitor.get("/review"),
        visitor.get("/review?status=any"),
        visitor.get(f"/review/photos/{number}.jpg"),
        visitor.get(f"/review/delete?id={number}"),
        visitor.post("/review", data={"reject": number}),
        visitor.post("/review/delete", data={"id": number}),
        visitor.post("/review/leave"),
        visitor.post("/review/key", data={"key": "a wrong key, long enough"}),
        visitor.post("/review/key"),
        visitor.get("/"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 403, 403, 403, 403, 403, 403, 403, 200]
    for answer in answers:
        assert "Set-Cookie" not in answer.headers
        assert "Firecrest" not in answer.text
    assert kept.decisions() == {number: ("new", "")}


def test_the_cookie_is_for_the_review_page_alone_and_for_half_a_day(visitor):
    answer = visitor.post("/review/key", data={"key": REVIEW_KEY}, base_url="https://localhost")
    (cookie,) = answer.headers.getlist("Set-Cookie")
    for attribute in ("Path=/review", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age=43200"):
        assert f"; {attribute}" in cookie


def test_nothing_of_it_may_be_kept_or_found(reviewer, kept):
    number = kept.add(jpeg=b"photo")
    for path in ("/review", f"/review/photos/{number}.jpg", f"/review/delete?id={number}"):
        answer = reviewer.get(path)
        assert answer.status_code == 200
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Robots-Tag"] == "noindex"


def test_keys_cannot_be_tried_one_after_the_other(visitor):
    answers = [visitor.post("/review/key", data={"key": f"guess {number}"}) for number in range(11)]
    assert [answer.status_code for answer in answers] == [403] * 10 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 61
    assert answers[-1].headers["Retry-After"] in sentence_on(answers[-1].text)
    assert visitor.post("/review/key", data={"key": REVIEW_KEY}).status_code == 429
    elsewhere = {"REMOTE_ADDR": "192.0.2.9"}
    assert visitor.post("/review/key", data={"key": REVIEW_KEY}, environ_overrides=elsewhere).status_code == 303


def test_a_limit_for_keys_does_not_limit_photos(visitor, photo):
    statuses = {visitor.post("/", data={"bird_image": (io.BytesIO(photo), "a.png")}).status_code for _ in range(15)}
    assert statuses == {200}


@pytest.mark.parametrize("change", [{"BIRD_REVIEW_KEY": "another key that is long"}, {"BIRD_SECRET_KEY": "b" * 32}])
def test_another_key_ends_all_sessions(make_client, kept, change):
    env = feedback_settings(kept.folder) | {"BIRD_SECRET_KEY": "a" * 32}
    client = make_client(env=env)
    client.post("/review/key", data={"key": REVIEW_KEY})
    cookie = client.get_cookie("review", path="/review").value
    for settings, is_in in ((env, True), (env | change, False)):
        other = make_client(env=settings)
        other.set_cookie("review", cookie, path="/review")
        assert ("Sign out" in other.get("/review").text) is is_in


def test_signing_out_ends_the_session(reviewer):
    assert send(reviewer, "/review/leave").status_code == 303
    assert reviewer.get_cookie("review", path="/review") is None
    assert "Review key" in reviewer.get("/review").text


@pytest.mark.parametrize("path", ["/review", "/review/delete", "/review/leave"])
def test_forms_of_other_sites_do_nothing(reviewer, kept, path):
    number = kept.add(claimed="Bluebird")
    for forged in ({}, {"token": ""}, {"token": "0" * 64}):
        answer = reviewer.post(path, data={"reject": number, "id": number} | forged)
        assert answer.status_code == 403
        assert sentence_on(answer.text) == "This form is out of date. Load the review page again."
    assert kept.decisions() == {number: ("new", "")}


def test_the_page_says_what_model_and_visitor_say_and_what_is_suspicious(reviewer, kept):
    first = kept.add(claimed="Bluebird", confidence=0.9, client="someone", region="0.1,0.1,0.5,0.5", jpeg=b"photo")
    kept.add(claim=Claim.NO_BIRD, confidence=0.8, client="someone", duplicate_of=first)
    kept.add(claimed="<b>Phoenix", confidence=0.7, verdict="unknown_bird")
    one, two, three = texts(reviewer.get("/review").text)
    assert "The model: Cardinal, 90.0 % The visitor: no, it is Bluebird" in one
    assert "2 from this visitor" in one
    assert "1 more about the same photo" in one
    assert "The visitor: not a bird" in two
    assert f"The same photo as correction {first}, which says: no, it is Bluebird" in two
    assert "No photo" in two
    assert "The model: a bird that it does not know; most like Cardinal, 70.0 %" in three
    assert "no, it is <b>Phoenix New name" in three


def test_a_form_without_a_script_decides_about_everything_that_is_selected(reviewer, kept):
    claimed, no_bird, other = kept.add(claimed="Bluebird"), kept.add(claim=Claim.NO_BIRD), kept.add(claimed="Phoenix")
    answer = send(reviewer, "/review?status=any&claim=species", accept="selected", id=[claimed, no_bird])
    assert answer.status_code == 303
    assert answer.location == "/review?status=any&claim=species&decided=2"
    assert "Done: 2 corrections." in reviewer.get(answer.location).text
    send(reviewer, reject=str(other))
    assert kept.decisions() == {
        claimed: ("accepted", "Bluebird"),
        no_bird: ("accepted", OTHER_FOLDER),
        other: ("rejected", ""),
    }
    send(reviewer, reset="selected", id=[claimed, other])
    assert kept.decisions()[claimed] == kept.decisions()[other] == ("new", "")


def test_a_whole_page_is_decided_at_once_each_with_its_own_label(reviewer, kept):
    numbers = [kept.add() for _ in range(PAGE)]
    labels = {f"label-{number}": "goldfinch" for number in numbers}
    assert send(reviewer, accept="selected", id=numbers, **labels).status_code == 303
    assert set(kept.decisions().values()) == {("accepted", "Goldfinch")}


def test_one_label_can_be_given_to_all_that_are_selected_but_not_to_one_whose_button_is_pressed(reviewer, kept):
    one, two, three = kept.add(), kept.add(claimed="Bluebird"), kept.add(claimed="Bluebird")
    send(reviewer, accept="selected", id=[one, two], label=" snow  bunting ")
    send(reviewer, accept=str(three), label="Snow Bunting")
    assert [label for _status, label in kept.decisions().values()] == ["Snow Bunting", "Snow Bunting", "Bluebird"]


def test_what_cannot_be_accepted_is_said_and_the_rest_is_accepted(reviewer, kept):
    unknown, known, unsafe = kept.add(), kept.add(claimed="Bluebird"), kept.add()
    answer = send(reviewer, accept="selected", id=[unknown, known, unsafe], **{f"label-{unsafe}": "../../etc"})
    assert answer.status_code == 422
    sentence = unescape(sentence_on(answer.text))
    assert f"Correction {unknown}: It needs a label: choose a species." in sentence
    assert f"Correction {unsafe}: This cannot be a label" in sentence
    assert kept.decisions() == {unknown: ("new", ""), known: ("accepted", "Bluebird"), unsafe: ("new", "")}


def test_a_species_that_the_model_does_not_know_is_accepted_and_shown_as_such(reviewer, kept):
    number = kept.add(claimed="Phoenix")
    answer = send(reviewer, headers=FROM_SCRIPT, accept=str(number), **{f"label-{number}": "Phoenix"})
    assert answer.json == {
        "status": "accepted",
        "decided": [{"id": number, "label": "Phoenix", "is_new": True}],
        "refused": [],
    }
    (text,) = texts(reviewer.get("/review?status=accepted").text)
    assert "Accepted as Phoenix (a species that the model does not know)" in text


def test_the_script_gets_its_answers_as_json(reviewer, kept):
    number = kept.add()
    answer = send(reviewer, headers=FROM_SCRIPT, accept="selected", id=[number])
    assert answer.json["refused"] == [{"id": number, "sentence": "It needs a label: choose a species."}]
    assert send(reviewer, headers=FROM_SCRIPT, reject="selected").json == {
        "sentence": "Nothing is selected. Select corrections first."
    }
    forged = reviewer.post("/review", data={"reject": number}, headers=FROM_SCRIPT)
    assert (forged.status_code, forged.json["sentence"][:9]) == (403, "This form")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"accept": "selected"},
        {"accept": ""},
        {"reject": "all"},
        {"reject": "1e3"},
        {"reject": "٣"},
        {"reject": "9" * 5000},
        {"reject": "selected", "id": ["1"] * 201},
        {"delete": "selected"},
    ],
)
def test_a_form_that_makes_no_sense_gets_a_sentence(reviewer, fields):
    answer = send(reviewer, **fields)
    assert answer.status_code == 400
    assert sentence_on(answer.text)


@pytest.mark.parametrize(
    "query",
    [
        "status=x&day=x&claim=x&after=x",
        "after=99999999999999999999",
        "after=-1",
        "species=%00%ff&client=%00",
        "decided=x",
        "day=9999-12-31&species=%00",
    ],
)
def test_an_address_that_makes_no_sense_shows_what_does(reviewer, kept, query):
    number = kept.add(claimed="Bluebird")
    answer = reviewer.get(f"/review?{query}")
    assert answer.status_code == 200
    assert f"Correction {number}" in answer.text or "species" in query


def test_the_filter_is_kept_from_page_to_page(reviewer, kept):
    for _ in range(PAGE + 1):
        kept.add(claimed="Bluebird")
    kept.add(claimed="Goldfinch")
    page = reviewer.get("/review?species=Bluebird&photo=").text
    assert "0 corrections" in page
    page = reviewer.get("/review?species=Bluebird").text
    assert f"{PAGE + 1} corrections" in page
    following = unescape(re.search(r'rel="next" href="(.*?)"', page)[1])
    assert "species=Bluebird" in following
    assert len(texts(reviewer.get(following).text)) == 1


def test_the_photo_of_a_correction_is_for_reviewers(reviewer, kept):
    number = kept.add(jpeg=b"photo")
    answer = reviewer.get(f"/review/photos/{number}.jpg")
    assert (answer.data, answer.mimetype) == (b"photo", "image/jpeg")
    for missing in (kept.add(), 999, 2**70):
        assert reviewer.get(f"/review/photos/{missing}.jpg").status_code == 404


def test_deleting_asks_first_and_deletes_the_photo_too(reviewer, kept, caplog):
    caplog.set_level(logging.INFO)
    gone, stays = kept.add(jpeg=b"photo", photo="f" * 32), kept.add(jpeg=b"another")
    asked = send(reviewer, delete="selected", id=[gone])
    assert asked.location == f"/review/delete?id={gone}"
    assert "Delete this correction?" in reviewer.get(asked.location).text
    assert len(kept.decisions()) == 2
    send(reviewer, "/review/delete", id=gone)
    assert list(kept.decisions()) == [stays]
    assert len(list((kept.folder / "photos").glob("*.jpg"))) == 1
    assert "deleted" in caplog.text
    assert kept.corrections.get(stays).photo not in caplog.text


def test_the_chart_shows_the_share_of_agreement_for_everybody(reviewer, kept):
    kept.add(claim=Claim.RIGHT, claimed="Cardinal")
    kept.add(claimed="Bluebird")
    page = reviewer.get("/review").text
    assert re.search(r"<td>2</td><td>1</td><td>50 %</td>", page)
    assert 'height="50.0" class="right"' in page


def test_a_database_that_does_not_answer_gets_a_sentence(reviewer, kept):
    number = kept.add(claimed="Bluebird")
    form_token = token(reviewer)
    kept.corrections.engine.dispose()
    with reviewer.application.app_context():
        current_services().corrections.engine.dispose()
    for path in kept.folder.glob("feedback.db*"):
        path.unlink()
    (kept.folder / "feedback.db").mkdir()
    answers = [
        reviewer.get("/review"),
        reviewer.get(f"/review/photos/{number}.jpg"),
        reviewer.post("/review", data={"token": form_token, "reject": number}),
        reviewer.post("/review/delete", data={"token": form_token, "id": number}),
    ]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "at the moment. Please try again" in sentence_on(answer.text)
    assert reviewer.get("/").status_code == 200


def test_a_photo_store_that_does_not_answer_gets_a_sentence(reviewer, kept):
    number = kept.add(jpeg=b"photo")
    shutil.rmtree(kept.folder / "photos")
    (kept.folder / "photos").write_bytes(b"")
    answer = reviewer.get(f"/review/photos/{number}.jpg")
    assert answer.status_code == 503
    assert sentence_on(answer.text).startswith("The photos cannot be reached")
