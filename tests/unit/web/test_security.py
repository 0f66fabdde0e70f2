"""web/security.py: what every answer forbids the browser."""

import io

import pytest


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(client, photo):
    answers = [client.get("/"), client.get("/nothing"), client.get("/static/style.css"), client.post("/")]
    answers.append(client.post("/", data={"bird_image": (io.BytesIO(photo), "bird.png")}))
    for answer in answers:
        policy = dict(rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["img-src"] == "'self' data: blob:"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in str(policy)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answers[-1].headers["Cache-Control"] == "no-store"
    for answer in answers:
        answer.close()  # a static file is open until then


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False)])
def test_a_cookie_that_is_set_over_https_is_sent_over_https_alone(make_client, scheme, is_secure):
    client = make_client(env={"BIRD_PROXIES": "1"})
    answer = client.post("/", headers={"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": scheme})
    cookie = answer.headers["Set-Cookie"]
    assert ("; Secure" in cookie) == is_secure
    assert "; HttpOnly" in cookie
    assert "; SameSite=Lax" in cookie


def test_without_a_proxy_nobody_is_believed_to_speak_https(client):
    answer = client.post("/", headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" not in answer.headers["Set-Cookie"]
