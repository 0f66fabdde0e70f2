"""Every setting with its default, for the web process, the worker and the command line.

Each setting is an environment variable with ``BIRD_`` before its name: ``BIRD_MODEL=/elsewhere/birds.h5``, and so on.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Config

from inference import LABELS_FILE, MAX_PIXELS, MAX_WAITING, MIN_SIDE, MODEL_FILE
from inference.input_range import InputRange
from inference.options import EngineName, NetworkOptions, Precision
from inference.packages import FOR_SQS, INSTALL_FOR_SQS, is_installed
from inference.processor import has_bfloat16
from queue_addresses import AddressError, queue_urls, url_scheme

ROOT = Path(__file__).parent

DEFAULTS: dict[str, Any] = {
    "MODEL": str(ROOT / "models" / MODEL_FILE),
    "LABELS": str(ROOT / "models" / LABELS_FILE),
    "UPLOADS": str(ROOT / "uploads"),  # leftovers in it are deleted when the app starts
    "MAX_CONTENT_LENGTH": 10 * 2**20,  # bytes of a whole request
    "MAX_FORM_MEMORY_SIZE": 500_000,  # bytes of a form field that is not a file
    "MAX_FORM_PARTS": 100,  # fields and files
    "MAX_PIXELS": MAX_PIXELS,  # of a photo; reading more than 52 million may take too much memory
    "MAX_WAITING": MAX_WAITING,  # photos in the admission queue; with workers, jobs that none has started
    "INPUT_RANGE": "auto",  # of the pixel values that the network gets: "0-1", "0-255", "-1-1", or what its layers say
    "ENGINE": "auto",  # what runs the network: "tensorflow", "onnx", or the faster one that can
    "PRECISION": "auto",  # of the network: "int8" (if compiled), "float32", "bfloat16"; "auto": the first that there is
    "QUEUE_URL": "",  # of a Celery broker; without it the network runs in the web process
    "RESULT_URL": "",  # of the Redis that keeps the workers' answers; by default QUEUE_URL, if that is a Redis
    "RESULT_WAIT": 3,  # seconds until a person is told the position in the queue instead of waiting for the answer
    "HEALTH_PORT": 0,  # port on 127.0.0.1 where a worker answers /healthz; 0: none
    "STRICTNESS": 0.05,  # share of the birds that the model knows, 0 to 0.5, that may be called unknown
    "UNSURE_BELOW": None,  # confidence, 0 to 1, below which the page is not sure; by default the model card's
    "PROXIES": 0,  # number of proxies in front of the app whose X-Forwarded-For and -Proto are trusted
    "RATE_LIMIT": None,  # photos that one client may send, such as "60 per minute"; "" is no limit
    "FEEDBACK": False,  # whether visitors may say what an answer should have been; the settings below are for that
    "DATABASE_URL": f"sqlite:///{ROOT / 'kept' / 'feedback.db'}",  # where corrections are kept; or postgresql://…
    "PHOTO_STORE": str(ROOT / "kept" / "photos"),  # where photos are that people agreed to; or s3://BUCKET/PREFIX
    "REVIEW_KEY": "",  # opens the review page; without it there is none
    "FEEDBACK_BYTES": 2**30,  # that the photos may take together
    "FEEDBACK_PER_DAY": 50,  # corrections that one client may send in 24 hours
    "FEEDBACK_DAYS": 90,  # after which a correction is deleted that nobody reviewed, or that was rejected so long ago
    "SECRET_KEY": secrets.token_hex(),  # signs flashed messages; a new one at each start is enough for one process
    "SESSION_COOKIE_SAMESITE": "Lax",  # other sites' forms do not carry the cookie with those messages
}

CANNOT_START = 4  # exit status; after most others, gunicorn would restart the worker again and again
LONGEST_RESULT_WAIT = 20  # seconds; each waiting client keeps a thread of the web process
RATE_LIMIT_BEHIND_PROXIES = "60 per minute"  # three times as many photos as the page sends at once
HIGHEST_STRICTNESS = 0.5  # beyond it, most of the birds that the model knows would be called unknown
SHORTEST_REVIEW_KEY = 16  # characters
AUTO = "auto"

#: The smallest value of each number, and its unit. Werkzeug reads forms, files included, in blocks of half of
#: MAX_FORM_MEMORY_SIZE.
MINIMUMS = {
    "MAX_CONTENT_LENGTH": (1, "bytes"),
    "MAX_FORM_MEMORY_SIZE": (2**17, "bytes"),
    "MAX_FORM_PARTS": (1, "parts"),
    "MAX_PIXELS": (MIN_SIDE**2, "pixels"),
    "MAX_WAITING": (0, "photos"),
    "PROXIES": (0, "proxies"),
    "FEEDBACK_BYTES": (0, "bytes"),
    "FEEDBACK_PER_DAY": (1, "corrections"),
    "FEEDBACK_DAYS": (1, "days"),
}


class SettingError(ValueError):
    """A setting cannot be used; the message says which and why."""


@dataclass(frozen=True)
class FeedbackSettings:
    """Where corrections are kept, and how many; ``DEFAULTS`` says what each means."""

    database_url: str
    photo_store: str
    review_key: str
    max_bytes: int
    per_day: int
    days: int


@dataclass(frozen=True)
class Settings:
    """The checked settings; ``DEFAULTS`` says what each means."""

    model: Path
    labels: Path
    uploads: Path
    max_content_length: int
    max_pixels: int
    max_waiting: int
    network: NetworkOptions
    queue_url: str
    result_url: str
    result_wait: float
    health_port: int
    unsure_below: float | None
    proxies: int
    rate_limit: str
    secret_key: str
    feedback: FeedbackSettings | None


def from_environment() -> Settings:
    """The settings of a process that is not a Flask application.

    :raises SettingError: one of them cannot be used.
    """
    config = Config(ROOT, DEFAULTS)
    config.from_prefixed_env("BIRD")
    return from_config(config)


def from_config(config: Mapping[str, Any]) -> Settings:
    """Check the settings.

    :param config: ``DEFAULTS``, updated from the environment.
    :raises SettingError: one of them cannot be used.
    """
    for name in MINIMUMS:
        _check_number(config, name)
    queue_url, result_url = _queue_urls(config)
    return Settings(
        model=Path(_text(config, "MODEL")),
        labels=Path(_text(config, "LABELS")),
        uploads=Path(_text(config, "UPLOADS")),
        max_content_length=config["MAX_CONTENT_LENGTH"],
        max_pixels=config["MAX_PIXELS"],
        max_waiting=config["MAX_WAITING"],
        network=NetworkOptions(
            engine=_engine(config["ENGINE"]),
            precision=_precision(config["PRECISION"]),
            input_range=_input_range(config["INPUT_RANGE"]),
            strictness=_strictness(config["STRICTNESS"]),
        ),
        queue_url=queue_url,
        result_url=result_url,
        result_wait=_result_wait(config["RESULT_WAIT"]),
        health_port=_health_port(config["HEALTH_PORT"]),
        unsure_below=_unsure_below(config["UNSURE_BELOW"]),
        proxies=config["PROXIES"],
        rate_limit=_rate_limit(config["RATE_LIMIT"], config["PROXIES"]),
        secret_key=_text(config, "SECRET_KEY"),
        feedback=_feedback(config) if _is_on(config, "FEEDBACK") else None,
    )


def _queue_urls(config: Mapping[str, Any]) -> tuple[str, str]:
    try:
        queue_url, result_url = queue_urls(str(config["QUEUE_URL"]), str(config["RESULT_URL"]))
    except AddressError as error:
        raise SettingError(str(error)) from error
    if url_scheme(queue_url) == "sqs" and not all(map(is_installed, FOR_SQS)):
        raise SettingError(f"BIRD_QUEUE_URL=sqs:// needs more packages: {INSTALL_FOR_SQS}")
    return queue_url, result_url


def _is_on(config: Mapping[str, Any], name: str) -> bool:
    value = config[name]
    if value not in (False, True):  # 0 and 1 are equal to these
        raise SettingError(f"BIRD_{name} must be 0 or 1, not {value!r}.")
    return bool(value)


def _feedback(config: Mapping[str, Any]) -> FeedbackSettings:
    key = str(config["REVIEW_KEY"])
    if key and len(key) < SHORTEST_REVIEW_KEY:
        raise SettingError(f"BIRD_REVIEW_KEY can be guessed. Use at least {SHORTEST_REVIEW_KEY} characters.")
    return FeedbackSettings(
        database_url=_text(config, "DATABASE_URL"),
        photo_store=_text(config, "PHOTO_STORE"),
        review_key=key,
        max_bytes=config["FEEDBACK_BYTES"],
        per_day=config["FEEDBACK_PER_DAY"],
        days=config["FEEDBACK_DAYS"],
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_number(config: Mapping[str, Any], name: str) -> None:
    value = config[name]
    least, unit = MINIMUMS[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < min(least, 1):
        raise SettingError(f"BIRD_{name} must be a number of {unit}, not {value!r}.")
    if value < least:
        raise SettingError(f"BIRD_{name} must be at least {least}, or no photo is received.")


def _text(config: Mapping[str, Any], name: str) -> str:
    text = str(config[name])  # BIRD_SECRET_KEY=123 reads as a number
    if not text:
        raise SettingError(f"BIRD_{name} is empty. Set it, or leave it out for the default.")
    return text


def _input_range(input_range: Any) -> InputRange | None:
    if input_range == AUTO:
        return None
    try:
        return InputRange(input_range)
    except ValueError:
        ranges = ", ".join(map(str, InputRange))
        raise SettingError(f"BIRD_INPUT_RANGE must be {AUTO} or one of {ranges}, not {input_range!r}.") from None


def _engine(engine: Any) -> EngineName | None:
    if engine == AUTO:
        return None
    try:
        return EngineName(engine)
    except ValueError:
        raise SettingError(f"BIRD_ENGINE must be {AUTO} or one of {', '.join(EngineName)}, not {engine!r}.") from None


def _precision(precision: Any) -> Precision | None:
    if precision == AUTO:
        return None
    try:
        wanted = Precision(precision)
    except ValueError:
        choices = ", ".join(Precision)
        raise SettingError(f"BIRD_PRECISION must be {AUTO} or one of {choices}, not {precision!r}.") from None
    if wanted is Precision.BFLOAT16 and not has_bfloat16():
        raise SettingError(
            "BIRD_PRECISION=bfloat16 needs a processor with instructions for it (AVX512-BF16 or AMX-BF16), and "
            "none was found here. Leave it out."
        )
    return wanted


def _rate_limit(limit: Any, proxies: int) -> str:
    if limit is None:
        # Behind a proxy that BIRD_PROXIES does not count, all clients have one address and would share one limit.
        return RATE_LIMIT_BEHIND_PROXIES if proxies else ""
    return str(limit) if limit else ""


def _strictness(share: Any) -> float:
    if not _is_number(share) or not 0 <= share <= HIGHEST_STRICTNESS:
        raise SettingError(
            f"BIRD_STRICTNESS must be a share of known birds from 0 to {HIGHEST_STRICTNESS}, not {share!r}."
        )
    return float(share)


def _unsure_below(confidence: Any) -> float | None:
    if confidence is not None and not (_is_number(confidence) and 0 <= confidence <= 1):
        raise SettingError(f"BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not {confidence!r}.")
    return None if confidence is None else float(confidence)


def _health_port(port: Any) -> int:
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 2**16:
        raise SettingError(f"BIRD_HEALTH_PORT must be a port from 1 to 65535, or 0 for none, not {port!r}.")
    return port


def _result_wait(wait: Any) -> float:
    if not _is_number(wait) or not 0 <= wait <= LONGEST_RESULT_WAIT:
        raise SettingError(
            f"BIRD_RESULT_WAIT must be a number of seconds from 0 to {LONGEST_RESULT_WAIT}, not {wait!r}."
        )
    return float(wait)
