"""web/feedback.py: what visitors say about answers comes in from the site's own pages, and can be deleted."""

import base64
import io
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from PIL import Image
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback.corrections import Corrections
from feedback.errors import FeedbackError
from feedback.limits import now
from feedback.schema import Claim, Correction
from inference import PICTURE_SIDE, Identification
from inference.regions import Region
from inference.verdict import Verdict
from jobs.pending import Position
from tests.support.drawings import encoded
from tests.support.pages import sentence_on
from tests.support.seam import PHOTO_OF, SHA256, ColorClassifier, ColorWorkers, HalvesClassifier
from tests.support.servers import ROOT
from web import feedback

OWN = {"Sec-Fetch-Site": "same-origin"}
Make = Callable[..., FlaskClient]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder with the database and the photos."""
    return tmp_path / "kept"


@pytest.fixture
def make(make_client: Make, kept: Path) -> Make:
    """Make a client of an app that takes corrections."""

    def make(classifier: ColorClassifier | None = None, **env: str) -> FlaskClient:
        database, photos = f"sqlite:///{kept / 'feedback.db'}", str(kept / "photos")
        settings = {"BIRD_FEEDBACK": "1", "BIRD_DATABASE_URL": database, "BIRD_PHOTO_STORE": photos}
        return make_client(classifier, env=settings | env)

    return make


@pytest.fixture
def birder(make: Make) -> FlaskClient:
    """A browser without JavaScript of an app that takes corrections."""
    return make()


def corrections_of(client: FlaskClient) -> Corrections:
    """Where its app keeps corrections."""
    return client.application.extensions["birds"].corrections


def all_of(client: FlaskClient) -> list[Correction]:
    """What has been kept."""
    with Session(corrections_of(client).engine) as session:
        return list(session.scalars(select(Correction).order_by(Correction.id)))


def hidden(page: str, name: str) -> list[str]:
    """The values of hidden fields."""
    return [unescape(value) for value in re.findall(rf'type="hidden" name="{name}" value="([^"]*)"', page)]


def answer(client: FlaskClient, photo: bytes, path: str = "/") -> str:
    """The page with the answer to a photo."""
    return client.post(path, data={"bird_image": (io.BytesIO(photo), "bird.png")}).text


def fields(client: FlaskClient, photo: bytes) -> dict[str, str]:
    """What the first form under an answer sends by itself."""
    page = answer(client, photo)
    return {name: hidden(page, name)[0] for name in ("answer", "thumbnail")}


def image_of(jpeg: bytes) -> Image.Image:
    """A JPEG file, decoded."""
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image


def test_one_click_says_that_the_answer_is_right_and_nothing_of_the_photo_is_kept(birder, photo, kept, uploads):
    told = birder.post("/feedback", data=fields(birder, photo) | {"claim": "right"}, headers=OWN, follow_redirects=True)
    assert told.status_code == 200
    assert "You said that the answer is right. We keep that, and nothing of your photo." in " ".join(told.text.split())
    (correction,) = all_of(birder)
    assert (correction.predicted, correction.claim, correction.claimed) == ("Goldfinch", Claim.RIGHT, "Goldfinch")
    assert (correction.model, correction.region, correction.verdict) == (SHA256, "", "")
    assert 0.5 < correction.confidence < 1
    assert (correction.photo, correction.disagrees) == ("", False)
    assert re.fullmatch(r"[0-9a-f]{32}", correction.client)
    assert list(kept.glob("photos/*")) == []
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("claim", "typed", "expected"),
    [
        ("species", "snow bunting", (Claim.SPECIES, "Snow Bunting")),
        ("species", " Great\x00\u202e \r\n Tit ", (Claim.SPECIES, "Great Tit")),
        ("species", "<b>Rook</b>", (Claim.SPECIES, "<b>Rook</b>")),
        ("species", "GOLDFINCH", (Claim.RIGHT, "Goldfinch")),  # what the answer says
        ("right", "Cardinal", (Claim.SPECIES, "Cardinal")),
        ("right", "  ", (Claim.RIGHT, "Goldfinch")),
        ("no_bird", "", (Claim.NO_BIRD, "")),
        ("unknown", "Cardinal", (Claim.UNKNOWN, "")),
    ],
)
def test_what_a_visitor_says_is_kept_and_shown(birder, photo, claim, typed, expected):
    form = fields(birder, photo) | {"claim": claim, "species": typed}
    page = birder.post("/feedback", data=form, headers=OWN, follow_redirects=True)
    (correction,) = all_of(birder)
    assert (correction.claim, correction.claimed) == expected
    assert page.status_code == 200
    assert "<b>Rook" not in page.text
    if expected[0] is Claim.SPECIES:
        assert f"You said that it is: {expected[1]}." in unescape(page.text)


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN_BIRD, Verdict.NO_BIRD])
def test_to_name_the_bird_that_an_unknown_one_resembles_is_to_disagree(make, verdict):
    client = make(ColorClassifier(gives_verdicts=True))
    form = fields(client, encoded(Image.new("RGB", (64, 48), PHOTO_OF[verdict]), "PNG")) | {"claim": "right"}
    client.post("/feedback", data=form, headers=OWN)
    agreed = all_of(client)[0]
    assert (agreed.claim, agreed.verdict) == (Claim.RIGHT, verdict)
    client.post("/feedback", data=form | {"species": agreed.predicted}, headers=OWN)
    client.post("/feedback", data=form | {"claim": "no_bird"}, headers=OWN)
    _, named, no_bird = all_of(client)
    assert (named.claim, named.claimed, named.disagrees) == (Claim.SPECIES, agreed.predicted, True)
    assert no_bird.claim == (Claim.RIGHT if verdict is Verdict.NO_BIRD else Claim.NO_BIRD)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"claim": "nonsense"}, feedback.NO_CLAIM),
        ({"claim": ""}, feedback.NO_CLAIM),
        ({"claim": "species"}, feedback.NO_NAME),
        ({"claim": "species", "species": "\x07\u200b"}, feedback.NO_NAME),
        ({"claim": "species", "species": 101 * "x"}, feedback.LONG_NAME),
        ({"answer": ""}, feedback.TOO_OLD),
        ({"answer": "forged.token.here"}, feedback.TOO_OLD),
        ({"keep": "1", "thumbnail": ""}, feedback.NO_PHOTO),
        ({"keep": "1", "thumbnail": "ä"}, feedback.NO_PHOTO),
        ({"keep": "1", "thumbnail": "%%%"}, feedback.NO_PHOTO),
    ],
)
def test_what_cannot_be_kept_gets_a_sentence(birder, photo, changes, sentence):
    form = fields(birder, photo) | {"claim": "right"} | changes
    refused = birder.post("/feedback", data=form, headers=OWN)
    assert refused.status_code == 400
    assert sentence_on(refused.text) == sentence
    assert "Set-Cookie" not in refused.headers
    assert all_of(birder) == []


def test_an_answer_can_be_corrected_for_a_day(birder, photo, monkeypatch):
    form = fields(birder, photo) | {"claim": "right"}
    monkeypatch.setattr(feedback, "ANSWER_MAX_AGE", -1)
    assert sentence_on(birder.post("/feedback", data=form, headers=OWN).text) == feedback.TOO_OLD


def test_the_answer_of_another_site_is_not_taken(birder, make, photo):
    other = make(BIRD_SECRET_KEY="another key of sixteen characters")
    form = fields(other, photo) | {"claim": "right"}
    assert birder.post("/feedback", data=form, headers=OWN).status_code == 400


def test_without_a_script_the_thumbnail_is_kept_if_the_visitor_ticks_that(birder, photo):
    form = fields(birder, photo) | {"claim": "right", "keep": "1"}
    page = birder.post("/feedback", data=form, headers=OWN, follow_redirects=True)
    assert "We keep that and a copy of your photo" in page.text
    jpeg = corrections_of(birder).photos.read(all_of(birder)[0].photo)
    assert image_of(jpeg).size == (64, 48)
    assert jpeg != base64.b64decode(form["thumbnail"])


def test_the_photo_itself_is_kept_without_metadata_and_nothing_is_left_in_uploads(birder, uploads):
    exif = Image.Exif()
    exif[0x010F] = "a camera of mine"
    large = encoded(Image.radial_gradient("L").resize((2400, 1600)), "PNG", exif=exif)
    form = {"answer": fields(birder, large)["answer"], "claim": "right", "keep": "1"}
    sent = form | {"photo": (io.BytesIO(large), "photo")}
    assert birder.post("/feedback", data=sent, headers=OWN).status_code == 303
    jpeg = corrections_of(birder).photos.read(all_of(birder)[0].photo)
    assert image_of(jpeg).size == (PICTURE_SIDE, 1195)
    assert b"camera" not in jpeg
    assert list(uploads.iterdir()) == []


def test_a_photo_that_was_not_ticked_is_ignored_and_deleted(birder, photo, kept, uploads):
    form = fields(birder, photo) | {"claim": "right", "photo": (io.BytesIO(photo), "photo")}
    assert birder.post("/feedback", data=form, headers=OWN).status_code == 303
    assert all_of(birder)[0].photo == ""
    assert list(kept.glob("photos/*")) == list(uploads.iterdir()) == []


def test_a_file_that_is_no_photo_is_refused(birder, photo, uploads):
    form = fields(birder, photo) | {"claim": "right", "keep": "1", "photo": (io.BytesIO(b"GIF89a?"), "photo")}
    refused = birder.post("/feedback", data=form, headers=OWN)
    assert refused.status_code == 422
    assert sentence_on(refused.text)
    assert all_of(birder) == list(uploads.iterdir()) == []


def test_a_form_that_is_too_large_is_refused(make, photo):
    client = make(BIRD_MAX_CONTENT_LENGTH="100000")
    form = fields(client, photo) | {"claim": "right", "keep": "1", "photo": (io.BytesIO(bytes(200_000)), "photo")}
    refused = client.post("/feedback", data=form, headers=OWN)
    assert (refused.status_code, sentence_on(refused.text)) == (413, "Uploaded file too large.")
    by_proxy = client.post("/feedback", headers=OWN | {"X-Body-Too-Large": "1", "Content-Length": ""})
    assert by_proxy.status_code == 413


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "https://localhost"}, True),  # a proxy that is not trusted speaks HTTPS
        ({"Origin": "http://localhost:8000"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://["}, False),
        ({"Origin": "http://birds.example:8000", "Host": "birds.example:8000"}, True),
        ({"Origin": "http://birds.example", "Host": "birds.example:8000"}, False),
        ({"Referer": "http://localhost/"}, False),
        ({}, False),
    ],
)
def test_only_a_page_of_this_site_can_send_the_form(birder, photo, headers, is_taken):
    answered = birder.post("/feedback", data=fields(birder, photo) | {"claim": "right"}, headers=headers)
    assert answered.status_code == (303 if is_taken else 403)
    assert len(all_of(birder)) == is_taken
    if not is_taken:
        assert sentence_on(answered.text).startswith("This can only be sent from a page of this site.")


def test_behind_a_proxy_that_speaks_https_the_host_is_compared(make, photo):
    client = make(BIRD_PROXIES="1")
    form = fields(client, photo) | {"claim": "right"}
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Host": "birds.example"}
    taken = client.post("/feedback", data=form, headers=headers | {"Origin": "https://birds.example"})
    assert taken.status_code == 303
    forwarded = headers | {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}
    assert client.post("/feedback", data=form, headers=forwarded).status_code == 403
    page = client.get(taken.location, headers=headers).text
    assert f"https://birds.example{taken.location}</a>" in page


def test_the_page_of_a_correction_is_secret_and_deletes_it_with_its_photo(birder, photo, kept):
    form = fields(birder, photo) | {"claim": "right", "keep": "1"}
    address = birder.post("/feedback", data=form, headers=OWN).location
    assert len(address.removeprefix("/feedback/")) >= 32
    page = birder.get(address)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in page.headers
    assert re.search(r"If nobody has reviewed it by \d+ \w+ \d{4}, it will be deleted\.", page.text)
    assert len(list(kept.glob("photos/*"))) == 1
    deleted = birder.post(f"{address}/delete", data={"anything": "else"})
    assert deleted.status_code == 200
    assert "What you told us has been deleted" in deleted.text
    assert all_of(birder) == list(kept.glob("photos/*")) == []
    for gone in (birder.get(address), birder.post(f"{address}/delete")):
        assert gone.status_code == 404
        assert sentence_on(gone.text) == feedback.GONE
        assert gone.headers["X-Robots-Tag"] == "noindex"
        assert gone.headers["Cache-Control"] == "no-store"
        assert gone.headers["Referrer-Policy"] == "no-referrer"


def test_an_address_that_nobody_was_given_leads_nowhere(birder):
    assert birder.get("/feedback/guess").status_code == 404
    assert birder.get("/feedback").status_code == 405
    assert birder.get("/feedback/guess/delete").status_code == 405


def test_a_note_that_this_site_has_not_written_is_not_shown(birder, photo):
    address = birder.post("/feedback", data=fields(birder, photo) | {"claim": "right"}, headers=OWN).location
    assert "Call 555" not in birder.get(address, query_string={"note": "Call 555"}).text


def test_each_bird_has_a_form_about_its_part_of_the_photo(make):
    client = make(HalvesClassifier())
    both = Image.new("RGB", (400, 300), "red")
    both.paste("blue", (200, 0, 400, 300))
    tokens = hidden(answer(client, encoded(both, "PNG")), "answer")
    for token in tokens:
        assert client.post("/feedback", data={"answer": token, "claim": "right"}, headers=OWN).status_code == 303
    first, second = all_of(client)
    assert [(each.predicted, each.region) for each in (first, second)] == [
        ("Cardinal", str(Region(0, 0, 0.5, 1))),
        ("Bluebird", str(Region(0.5, 0, 0.5, 1))),
    ]


def test_the_card_for_the_script_repeats_no_thumbnail(birder, photo):
    card = answer(birder, photo, "/cards")
    assert len(hidden(card, "answer")) == 1
    assert hidden(card, "thumbnail") == []


def test_the_answer_of_a_worker_can_be_corrected_on_its_page(make, photo):
    workers = ColorWorkers()
    client = make(workers)
    workers.found = Position(0, 1)
    address = client.post("/", data={"bird_image": (io.BytesIO(photo), "bird.png")}).location
    assert hidden(client.get(address).text, "answer") == []
    workers.found = Identification("Cardinal", 0.75, (), SHA256)
    page = client.get(address).text
    form = {name: hidden(page, name)[0] for name in ("answer", "thumbnail")}
    sent = client.post("/feedback", data=form | {"claim": "no_bird", "keep": "1"}, headers=OWN)
    assert sent.status_code == 303
    (correction,) = all_of(client)
    assert (correction.predicted, correction.confidence, correction.claim) == ("Cardinal", 0.75, Claim.NO_BIRD)
    assert correction.photo


def test_the_page_lists_the_species_once(birder, photo):
    page = answer(birder, photo)
    assert page.count("<datalist") == 1
    assert "<option>Blackbird</option><option>Bluebird</option>" in page
    assert "A copy of it is kept only if you allow that." in page
    about = birder.get("/about").text
    assert 'id="feedback"' in about
    assert "after 90 days" in about


def test_a_client_that_sends_too_many_forms_is_told_so(make, photo):
    client = make(BIRD_RATE_LIMIT="2 per minute")
    form = fields(client, photo) | {"claim": "right"}
    assert client.post("/feedback", data=form, headers=OWN).status_code == 303
    assert client.post("/feedback", data=form, headers=OWN).status_code == 429


def test_a_client_that_sends_too_many_corrections_in_a_day_is_told_so(make, photo):
    client = make(BIRD_FEEDBACK_PER_DAY="1")
    form = fields(client, photo) | {"claim": "right"}
    assert client.post("/feedback", data=form, headers=OWN).status_code == 303
    refused = client.post("/feedback", data=form, headers=OWN)
    assert refused.status_code == 429
    assert sentence_on(refused.text)
    with_photo = form | {"keep": "1", "photo": (io.BytesIO(b"nothing of this is read"), "photo")}
    assert client.post("/feedback", data=with_photo, headers=OWN).status_code == 429
    assert len(all_of(client)) == 1


def test_only_so_many_photos_wait_to_be_copied(make, photo):
    client = make(BIRD_FEEDBACK_PER_DAY="1000")
    form = fields(client, photo) | {"claim": "right", "keep": "1"}
    large = encoded(Image.radial_gradient("L").resize((4000, 3000)), "JPEG")

    def send(_number: int) -> int:
        sent = form | {"photo": (io.BytesIO(large), "photo")}
        return client.application.test_client().post("/feedback", data=sent, headers=OWN).status_code

    with ThreadPoolExecutor(30) as visitors:
        statuses = Counter(visitors.map(send, range(30)))
    assert statuses.keys() == {303, 503}
    assert statuses[303] >= feedback.MOST_COPIES
    assert send(0) == 303


@pytest.mark.parametrize("name", ["a/b", "..", "CON", "\\\\server"])
def test_a_name_that_could_be_no_folder_is_a_claim_or_refused_and_never_our_fault(birder, photo, name):
    form = fields(birder, photo) | {"claim": "species", "species": name}
    assert birder.post("/feedback", data=form, headers=OWN).status_code in (303, 400)


def test_what_is_too_old_goes_though_no_correction_comes_in_any_more(birder, photo, monkeypatch):
    form = fields(birder, photo) | {"claim": "right", "keep": "1"}
    address = birder.post("/feedback", data=form, headers=OWN).location
    with Session(corrections_of(birder).engine) as session, session.begin():
        session.execute(update(Correction).values(created=now() - timedelta(days=91)))
    assert birder.get(address).status_code == 200
    hour_later = time.monotonic() + 3601
    monkeypatch.setattr(time, "monotonic", lambda: hour_later)
    birder.get("/healthz").close()
    assert birder.get(address).status_code == 404


def test_without_room_for_photos_the_claim_is_kept_and_the_visitor_is_told(make, photo):
    client = make(BIRD_FEEDBACK_BYTES="10")
    form = fields(client, photo) | {"claim": "right", "keep": "1"}
    told = client.post("/feedback", data=form, headers=OWN, follow_redirects=True)
    assert "We keep that, and nothing of your photo. There is no room for more photos" in " ".join(told.text.split())
    assert all_of(client)[0].photo == ""


def test_an_address_that_an_earlier_release_gave_out_still_opens(birder, photo):
    address = birder.post("/feedback", data=fields(birder, photo) | {"claim": "right"}, headers=OWN).location
    signer = URLSafeTimedSerializer(birder.application.config["SECRET_KEY"], salt="feedback note")
    note = signer.dumps("There is no room for more photos at the moment, so your photo was not kept.")  # plain text
    told = birder.get(address, query_string={"note": note})
    assert told.status_code == 200
    assert "You said that the answer is right." in told.text


def test_a_correction_that_cannot_be_kept_is_no_fault_of_the_visitor(birder, photo, monkeypatch):
    def refuse(*_arguments: object) -> None:
        raise FeedbackError("There is no room for corrections at the moment.")

    monkeypatch.setattr(Corrections, "add", refuse)  # a database that has stopped is tested with PostgreSQL
    refused = birder.post("/feedback", data=fields(birder, photo) | {"claim": "right"}, headers=OWN)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert sentence_on(refused.text) == "There is no room for corrections at the moment."


def test_posts_of_corrections_count_as_no_photos(birder, photo):
    def refused() -> str:
        return next(line for line in birder.get("/metrics").text.splitlines() if 'outcome="refused"' in line)

    form, before = fields(birder, photo), refused()
    birder.post("/feedback", data=form, headers=OWN)
    assert refused() == before


def test_without_feedback_there_is_no_form_and_no_such_address(client, photo):
    page = client.post("/", data={"bird_image": (io.BytesIO(photo), "bird.png")})
    for answered in (page, client.get("/"), client.get("/about")):
        assert "feedback" not in answered.text
        assert "species-names" not in answered.text
        assert answered.headers["Referrer-Policy"] == "no-referrer"
    assert client.post("/feedback", headers=OWN).status_code == 404
    assert client.get("/feedback/token").status_code == 404


def test_without_feedback_nothing_of_it_is_imported(tmp_path):
    program = (
        "import sys, web; from flask import Flask; import settings; app = Flask('x'); "
        "app.config.from_mapping(settings.DEFAULTS); web.init_app(app); "
        "sys.exit(bool({'feedback', 'web.feedback', 'sqlalchemy', 'alembic', 'boto3'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_pages_with_the_form_tell_other_pages_of_this_site_where_a_post_comes_from(birder, photo):
    for page in (birder.get("/"), birder.post("/", data={"bird_image": (io.BytesIO(photo), "bird.png")})):
        assert page.headers["Referrer-Policy"] == "same-origin"
