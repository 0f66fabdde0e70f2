"""settings.py: every setting that cannot be used, and what the others mean."""

from typing import Any

import pytest

import settings
from inference.input_range import InputRange
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
        ("PRECISION", "float16", "BIRD_PRECISION must be float32 or bfloat16, not 'float16'."),
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
        ({"QUEUE_URL": "redis"}, "BIRD_QUEUE_URL must be the address of a Celery broker"),
        ({"QUEUE_URL": "http://user:hidden@host"}, "BIRD_QUEUE_URL must be the address of a Celery broker"),
        ({"QUEUE_URL": "memory://"}, "BIRD_QUEUE_URL must be the address of a Celery broker"),
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
        assert checked(PRECISION="bfloat16").precision == "bfloat16"
    else:
        with pytest.raises(SettingError, match=r"^BIRD_PRECISION=bfloat16 needs a processor .* Leave it out\.$"):
            checked(PRECISION="bfloat16")


@pytest.mark.parametrize("input_range", InputRange)
def test_a_range_of_pixel_values_can_be_set_in_the_environment(monkeypatch, input_range):
    monkeypatch.setenv("BIRD_INPUT_RANGE", input_range.value)
    assert settings.from_environment().input_range is input_range


def test_the_default_settings_can_be_used():
    assert checked().precision == "float32"
    assert checked().input_range is None
    assert checked().unsure_below is None
    assert checked().max_content_length == 10 * 2**20


def test_numbers_in_the_environment_are_read_as_numbers_and_names_as_text(monkeypatch):
    monkeypatch.setenv("BIRD_MAX_WAITING", "7")
    monkeypatch.setenv("BIRD_UNSURE_BELOW", "0.5")
    monkeypatch.setenv("BIRD_SECRET_KEY", "12345678901234567890")
    read = settings.from_environment()
    assert (read.max_waiting, read.unsure_below, read.secret_key) == (7, 0.5, "12345678901234567890")
