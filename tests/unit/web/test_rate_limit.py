"""web/rate_limit.py: how many photos a client may send, and who counts as one client."""

import io
import re
from dataclasses import replace

import pytest
from flask_limiter import RequestLimit
from PIL import Image
from werkzeug.test import TestResponse

from tests.support.drawings import encoded
from tests.support.pages import sentence_on
from tests.support.seam import ColorClassifier
from web.rate_limit import limiter, rate_limit_key
from web.uploads import MAX_PHOTOS

IDENTIFICATIONS = "/api/v1/identifications"


def send(client, content: bytes, count: int = 1, path: str = "/", address: str = "192.0.2.1") -> TestResponse:
    """Post a form with so many photos."""
    data = {"bird_image": [(io.BytesIO(content), "bird.png") for _ in range(count)]}
    return client.post(path, data=data, environ_overrides={"REMOTE_ADDR": address})


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address, key):
    assert rate_limit_key(address) == key


@pytest.mark.parametrize("path", ["/", "/cards", IDENTIFICATIONS])
def test_whoever_sends_more_photos_than_allowed_is_told_when_to_try_again(make_client, photo, path):
    client = make_client(env={"BIRD_RATE_LIMIT": "2 per hour"})
    assert [send(client, photo, path=path).status_code for _ in range(3)] == [200, 200, 429]
    refused = send(client, photo, path=path)
    shown = refused.json["detail"] if path == IDENTIFICATIONS else sentence_on(refused.text)
    assert f" {refused.headers['Retry-After']} seconds." in shown
    assert shown.startswith("Too many uploads came from your address in a short time.")
    assert 0 < int(refused.headers["Retry-After"]) <= 3601  # rounded up
    assert send(client, photo, path=path, address="192.0.2.2").status_code == 200


def test_the_page_the_cards_and_the_api_share_one_limit(make_client, photo):
    client = make_client(env={"BIRD_RATE_LIMIT": "3 per hour"})
    paths = ("/", "/cards", IDENTIFICATIONS, "/", "/cards", IDENTIFICATIONS)
    assert [send(client, photo, path=path).status_code for path in paths] == [200, 200, 200, 429, 429, 429]


def test_a_redis_that_goes_away_after_a_photo_was_counted_changes_nothing(make_client, photo, monkeypatch):
    class GoneError(Exception):
        """That this happens within the same millisecond cannot be arranged with a real one."""

    def reset_at(_limit: RequestLimit) -> float:
        raise GoneError

    client = make_client(env={"BIRD_RATE_LIMIT": "1 per hour"})
    monkeypatch.setattr(RequestLimit, "reset_at", property(reset_at))
    monkeypatch.setattr(type(limiter.storage), "base_exceptions", GoneError)
    assert [send(client, photo).status_code for _ in range(2)] == [200, 429]


def test_each_photo_of_a_form_counts(make_client, photo):
    client = make_client(env={"BIRD_RATE_LIMIT": f"{MAX_PHOTOS + 1} per hour"})
    assert send(client, photo, MAX_PHOTOS).status_code == 200
    assert send(client, photo).status_code == 200
    assert send(client, photo).status_code == 429


def test_a_form_with_more_photos_than_are_left_is_refused_as_a_whole(make_client, photo):
    seen = []

    class Watched(ColorClassifier):
        def classify(self, pixels, wait=None, **options):
            seen.append(pixels)
            return super().classify(pixels, wait)

    client = make_client(Watched(), env={"BIRD_RATE_LIMIT": "5 per hour"})
    warm_up = len(seen)
    assert send(client, photo, 3).status_code == 200
    assert send(client, photo, 3).status_code == 429
    assert len(seen) == warm_up + 3


def test_a_form_that_is_refused_uses_up_no_more_than_one_photo(make_client, photo):
    client = make_client(env={"BIRD_RATE_LIMIT": "7 per hour"})
    assert [send(client, photo, count).status_code for count in (3, 5, 3, 1)] == [200, 429, 200, 429]


def test_a_form_with_more_photos_than_the_limit_can_never_allow_says_how_many_it_may_have(make_client, photo):
    client = make_client(env={"BIRD_RATE_LIMIT": "5 per hour; 100 per day"})
    refused = send(client, photo, 6)
    assert refused.status_code == 302
    assert sentence_on(client.get("/").text) == "Please send 5 photos at most at once."


def identified_photos(client) -> float:
    """How many this process has counted for ``/metrics``."""
    counted = re.search(r'^bird_photos_total{outcome="identified"} (.+)$', client.get("/metrics").text, re.MULTILINE)
    return float(counted[1]) if counted else 0


def test_a_closer_look_is_no_further_photo_and_a_part_of_a_photo_is_one(make_client):
    class Unsure(ColorClassifier):
        looks = 0

        def classify(self, pixels, wait=None, picture=None, region=None, **options):
            self.looks += picture is not None
            answer = super().classify(pixels, region=region)
            return replace(answer, wants_closer_look=picture is None and region is None)

    classifier = Unsure()
    client = make_client(classifier, env={"BIRD_RATE_LIMIT": "2 per hour"})
    large = encoded(Image.new("RGB", (900, 600), "yellow"), "PNG")
    before = identified_photos(client)
    statuses = [send(client, large, path=path).status_code for path in ("/", "/?crop=0.1,0.1,0.5,0.5", "/")]
    assert statuses == [200, 200, 429]
    assert classifier.looks == 1
    assert identified_photos(client) == before + 2


def test_looking_at_pages_does_not_count(make_client, photo):
    client = make_client(env={"BIRD_RATE_LIMIT": "1 per hour"})
    assert {client.get(path).status_code for path in ["/", "/about", "/api/v1/species"] * 3} == {200}
    assert send(client, photo).status_code == 200


def test_without_a_limit_nothing_is_counted(client, photo):
    assert {send(client, photo, 2).status_code for _ in range(20)} == {200}
