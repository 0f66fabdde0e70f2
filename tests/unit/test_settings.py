"""settings.py: every setting that cannot be used, and what the others mean."""

import contextlib
import re
import string
from typing import Any
from urllib.parse import quote

import pytest
from kombu import Connection
from redis import ConnectionPool

import settings
from inference.input_range import InputRange
from inference.options import NetworkOptions
from settings import DEFAULTS, SettingError, Settings, from_config


def checked(**changed: Any) -> Settings:
    """The settings, some of them other than by default."""
    return from_config(DEFAULTS | changed)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MAX_CONTENT_LENGTH", "10MB", "BIRD_MAX_CONTENT_LENGTH must be a number of bytes, not '10MB'."),
        ("MAX_CONTENT_LENGTH", 0, "BIRD_MAX_CONTENT_LENGTH must be a number of bytes, not 0."),
        ("MAX_FORM_MEMORY_SIZE", 65536, "BIRD_MAX_FORM_MEMORY_SIZE must be at least 131072, or no photo is received."),
        ("MAX_FORM_PARTS", True, "BIRD_MAX_FORM_PARTS must be a number of parts, not True."),
        ("MAX_PIXELS", "50MP", "BIRD_MAX_PIXELS must be a number of pixels, not '50MP'."),
        ("MAX_PIXELS", 255, "BIRD_MAX_PIXELS must be at least 256, or no photo is received."),
        ("MAX_WAITING", "many", "BIRD_MAX_WAITING must be a number of photos, not 'many'."),
        ("MAX_WAITING", -1, "BIRD_MAX_WAITING must be a number of photos, not -1."),
        ("PROXIES", -1, "BIRD_PROXIES must be a number of proxies, not -1."),
        ("PROXIES", 1.0, "BIRD_PROXIES must be a number of proxies, not 1.0."),
        ("PROXIES", "one", "BIRD_PROXIES must be a number of proxies, not 'one'."),
        ("PROXIES", True, "BIRD_PROXIES must be a number of proxies, not True."),
        ("PROXIES", None, "BIRD_PROXIES must be a number of proxies, not None."),
        ("INPUT_RANGE", "0-256", "BIRD_INPUT_RANGE must be auto or one of 0-1, 0-255, -1-1, not '0-256'."),
        ("INPUT_RANGE", "", "BIRD_INPUT_RANGE must be auto or one of 0-1, 0-255, -1-1, not ''."),
        ("INPUT_RANGE", 255, "BIRD_INPUT_RANGE must be auto or one of 0-1, 0-255, -1-1, not 255."),
        ("PRECISION", "float16", "BIRD_PRECISION must be auto or one of int8, float32, bfloat16, not 'float16'."),
        ("ENGINE", "torch", "BIRD_ENGINE must be auto or one of tensorflow, onnx, not 'torch'."),
        ("STRICTNESS", "5 %", "BIRD_STRICTNESS must be a share of known birds from 0 to 0.5, not '5 %'."),
        ("STRICTNESS", 0.51, "BIRD_STRICTNESS must be a share of known birds from 0 to 0.5, not 0.51."),
        ("STRICTNESS", -0.01, "BIRD_STRICTNESS must be a share of known birds from 0 to 0.5, not -0.01."),
        ("STRICTNESS", False, "BIRD_STRICTNESS must be a share of known birds from 0 to 0.5, not False."),
        ("STRICTNESS", float("nan"), "BIRD_STRICTNESS must be a share of known birds from 0 to 0.5, not nan."),
        ("STRICTNESS", None, "BIRD_STRICTNESS must be a share of known birds from 0 to 0.5, not None."),
        ("UNSURE_BELOW", "40 %", "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not '40 %'."),
        ("UNSURE_BELOW", 1.01, "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not 1.01."),
        ("UNSURE_BELOW", -0.1, "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not -0.1."),
        ("UNSURE_BELOW", True, "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not True."),
        ("UNSURE_BELOW", "0.5", "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not '0.5'."),
        ("UNSURE_BELOW", float("nan"), "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not nan."),
        ("UNSURE_BELOW", [0.5], "BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not [0.5]."),
        ("HEALTH_PORT", -1, "BIRD_HEALTH_PORT must be a port from 1 to 65535, or 0 for none, not -1."),
        ("HEALTH_PORT", 65536, "BIRD_HEALTH_PORT must be a port from 1 to 65535, or 0 for none, not 65536."),
        ("HEALTH_PORT", "http", "BIRD_HEALTH_PORT must be a port from 1 to 65535, or 0 for none, not 'http'."),
        ("RESULT_WAIT", -1, "BIRD_RESULT_WAIT must be a number of seconds from 0 to 20, not -1."),
        ("RESULT_WAIT", 21, "BIRD_RESULT_WAIT must be a number of seconds from 0 to 20, not 21."),
        ("RESULT_WAIT", "3 s", "BIRD_RESULT_WAIT must be a number of seconds from 0 to 20, not '3 s'."),
        ("RESULT_WAIT", True, "BIRD_RESULT_WAIT must be a number of seconds from 0 to 20, not True."),
        *[
            (name, "", f"BIRD_{name} is empty. Set it, or leave it out for the default.")
            for name in ("MODEL", "LABELS", "UPLOADS", "SECRET_KEY")
        ],
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_what_is_wrong(name, value, sentence):
    with pytest.raises(SettingError) as error:
        checked(**{name: value})
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("urls", "sentence"),
    [
        ({"QUEUE_URL": "redis"}, "BIRD_QUEUE_URL must be the address of a Redis, of RabbitMQ or of Amazon SQS"),
        (
            {"QUEUE_URL": "http://user:hidden@host"},
            "BIRD_QUEUE_URL must be the address of a Redis, of RabbitMQ or of Amazon SQS",
        ),
        ({"QUEUE_URL": "memory://"}, "BIRD_QUEUE_URL must be the address of a Redis, of RabbitMQ or of Amazon SQS"),
        ({"QUEUE_URL": "amqp://user:hidden@host"}, "BIRD_RESULT_URL is needed: amqp:// carries photos"),
        ({"QUEUE_URL": "sqs://key:hidden@"}, "BIRD_RESULT_URL is needed: sqs:// carries photos"),
        (
            {"QUEUE_URL": "redis://host", "RESULT_URL": "amqp://user:hidden@host"},
            "BIRD_RESULT_URL must be the address of a Redis",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_not_repeated(urls, sentence):
    with pytest.raises(SettingError) as error:
        checked(**urls)
    assert str(error.value).startswith(sentence)
    assert "hidden" not in str(error.value)


AS_WRITTEN, DATABASE, OPTIONS, NO_PASSWORD = (
    "must be written like redis://USER:PASSWORD@HOST:6379/0, without spaces. In a password, write @ as %40, # as %23, ",
    "must end with the number of a Redis database, as in redis://HOST:6379/0",
    "has options that cannot be used.",
    "has a user name, but no password.",
)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://:hidden@t#1@127.0.0.1:6379/0", AS_WRITTEN),
        ("redis://:hidden#1@host", AS_WRITTEN),
        ("redis://:hid@den@host", AS_WRITTEN),
        ("redis://:hid/den@host", AS_WRITTEN),
        ("redis://:1/hidden@host", AS_WRITTEN),
        ("redis://:hid?den@host", AS_WRITTEN),
        ("redis://:hid;den@host", AS_WRITTEN),
        ("redis://:hid[den@host", AS_WRITTEN),
        ("redis://:hid]den@host", AS_WRITTEN),
        ("redis://:hidden%@host", AS_WRITTEN),
        ("redis://:hidden%zz@host", AS_WRITTEN),
        ("redis://:hidden%cd@host", AS_WRITTEN),
        ("redis://:hid den@host", AS_WRITTEN),
        ("redis://:hid\nden@host", AS_WRITTEN),
        ("redis://:hidden", AS_WRITTEN),
        ("redis://host:6379:hidden", AS_WRITTEN),
        ("redis://host:65536", AS_WRITTEN),
        ("redis://host:6379/0\n", AS_WRITTEN),
        ("redis://host/hidden", DATABASE),
        ("redis://host/0/1", DATABASE),
        ("redis://host//", DATABASE),
        ("redis://host?password=hidden", OPTIONS),
        ("redis://host?ssl_cert_reqs=none", OPTIONS),
        ("rediss://host?ssl_cert_reqs=hidden", OPTIONS),
        ("rediss://host?ssl_cert_reqs=none&password=hidden", OPTIONS),
        ("rediss://:hidden@host?ssl_ca_cert=/etc/ca.pem", OPTIONS),
        ("rediss://:hidden@host?ssl_check_hostname=false", OPTIONS),
        ("redis://:hidden@host:\uff16\uff13", AS_WRITTEN),
        ("redis://hidden@host", NO_PASSWORD),
        ("redis://hidden:@host", NO_PASSWORD),
    ],
)
def test_an_address_that_cannot_be_what_was_meant_is_refused_with_how_to_write_it(url, sentence):
    for name, urls in {
        "BIRD_QUEUE_URL": {"QUEUE_URL": url},
        "BIRD_RESULT_URL": {"QUEUE_URL": "amqp://host", "RESULT_URL": url},
    }.items():
        with pytest.raises(SettingError) as error:
            checked(**urls)
        assert str(error.value).startswith(f"{name} {sentence}")
        assert "\n" not in str(error.value)
        assert "hid" not in str(error.value)
        assert "den" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:hidden#1@host//",
        "amqps://user:hid@den@host//",
        "amqp://user:hidden/1@host//",
        "sqs://key:hidden/1@",
        "amqp://user:hidden@one;two",
    ],
)
def test_the_address_of_another_broker_is_refused_for_the_same_reasons(url):
    with pytest.raises(SettingError, match=f"^BIRD_QUEUE_URL {re.escape(AS_WRITTEN)}"):
        checked(QUEUE_URL=url, RESULT_URL="redis://host")


@pytest.mark.parametrize(
    "url",
    [
        "'redis://host'",
        " redis://host",
        "host:6379",
        "redis+socket:///hidden",
        "unix:///hidden",
        "sentinel://:hidden@host:26379",
        "kafka://:hidden@host",
        "mongodb://:hidden@host",
    ],
)
def test_what_is_not_the_address_of_a_broker_is_refused(url):
    with pytest.raises(
        SettingError, match=r"^BIRD_QUEUE_URL must be the address .*, without quotes or spaces around it\.$"
    ):
        checked(QUEUE_URL=url)


@pytest.mark.parametrize("character", string.printable + "é")
def test_a_password_is_read_as_it_was_meant_or_refused(character):
    def read_by_libraries(url: str) -> list[tuple[str | None, str | None]]:
        """The password and the host that kombu and redis-py read."""
        broker, result = Connection(url), ConnectionPool.from_url(url).connection_kwargs
        return [(broker.password, broker.hostname), (result["password"], result["host"])]

    password = f"ab{character}cd"
    meant = [(password, "host")] * 2
    escaped = f"redis://:{quote(password, safe='')}@host:6379/0"
    assert read_by_libraries(checked(QUEUE_URL=escaped).queue_url) == meant
    with contextlib.suppress(SettingError):
        assert read_by_libraries(checked(QUEUE_URL=f"redis://:{password}@host:6379/0").queue_url) == meant


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///1",
        "redis://host_1.example-2:6379/15",
        "redis://[::1]:6379",
        "redis://default:a:b%40@host",
        "rediss://:password@host/0?ssl_cert_reqs=none&ssl_ca_certs=/etc/ca.pem",
        "redis://:password@one:6379/0;redis://:password@two:6379/0",
        "amqp://guest:guest@host:5672//",
        "amqp://user@host/%2Fbirds",
        "amqps://user:password@host:5671",
        "sqs://key:se%2Fcret@",
        "sqs://key:secret@127.0.0.1:5000//",
    ],
)
def test_an_address_as_its_broker_wants_it_is_accepted(url):
    assert checked(QUEUE_URL=url, RESULT_URL="redis://host").queue_url == url


@pytest.mark.parametrize(
    ("urls", "meant"),
    [
        ({}, ("", "")),
        ({"RESULT_URL": "redis://host"}, ("", "")),
        ({"QUEUE_URL": "redis://host/1"}, ("redis://host/1", "redis://host/1")),
        ({"QUEUE_URL": "rediss://host"}, ("rediss://host", "rediss://host")),
        ({"QUEUE_URL": "sqs://", "RESULT_URL": "redis://host"}, ("sqs://", "redis://host")),
    ],
)
def test_the_redis_of_the_answers_is_by_default_the_broker(urls, meant):
    assert (checked(**urls).queue_url, checked(**urls).result_url) == meant


@pytest.mark.parametrize(
    ("limit", "proxies", "meant"),
    [
        (None, 0, ""),
        (None, 1, "60 per minute"),
        ("", 1, ""),
        ("3/hour", 0, "3/hour"),
        ("3 per second; 60 per hour", 2, "3 per second; 60 per hour"),
    ],
)
def test_by_default_uploads_are_limited_only_behind_a_proxy(limit, proxies, meant):
    assert checked(RATE_LIMIT=limit, PROXIES=proxies).rate_limit == meant


@pytest.mark.parametrize("has_it", [True, False])
def test_bfloat16_is_refused_where_the_processor_does_not_have_it(monkeypatch, has_it):
    # A stand-in for the processors that have it, and for those that do not: the one here is only one of them.
    monkeypatch.setattr(settings, "has_bfloat16", lambda: has_it)
    if has_it:
        assert checked(PRECISION="bfloat16").network.precision == "bfloat16"
    else:
        with pytest.raises(SettingError, match=r"^BIRD_PRECISION=bfloat16 needs a processor .* Leave it out\.$"):
            checked(PRECISION="bfloat16")


@pytest.mark.parametrize(("text", "share"), [("0", 0), ("0.2", 0.2), ("0.5", 0.5)])
def test_the_share_of_known_birds_that_may_be_refused_can_be_set_in_the_environment(monkeypatch, text, share):
    monkeypatch.setenv("BIRD_STRICTNESS", text)
    assert settings.from_environment().network.strictness == share


@pytest.mark.parametrize("input_range", InputRange)
def test_a_range_of_pixel_values_can_be_set_in_the_environment(monkeypatch, input_range):
    monkeypatch.setenv("BIRD_INPUT_RANGE", input_range.value)
    assert settings.from_environment().network.input_range is input_range


def test_the_default_settings_can_be_used():
    assert checked().network == NetworkOptions(engine=None, precision=None, input_range=None, strictness=0.05)
    assert checked().unsure_below is None
    assert checked().max_content_length == 10 * 2**20


def test_numbers_in_the_environment_are_read_as_numbers_and_names_as_text(monkeypatch):
    monkeypatch.setenv("BIRD_MAX_WAITING", "7")
    monkeypatch.setenv("BIRD_UNSURE_BELOW", "0.5")
    monkeypatch.setenv("BIRD_SECRET_KEY", "12345678901234567890")
    read = settings.from_environment()
    assert (read.max_waiting, read.unsure_below, read.secret_key) == (7, 0.5, "12345678901234567890")
