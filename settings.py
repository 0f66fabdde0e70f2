"""What can be changed from outside: every setting with its default, for the web and for the worker.

Each is an environment variable with ``BIRD_`` before its name: BIRD_MODEL=/elsewhere/birds.h5, and so on.
"""

import secrets
from pathlib import Path

from flask import Config

from inference import LABELS_FILE, MAX_PIXELS, MAX_WAITING, MIN_SIDE, MODEL_FILE
from inference.processor import has_bfloat16

HERE = Path(__file__).parent

DEFAULTS = {
    "MODEL": str(HERE / "models" / MODEL_FILE),
    "LABELS": str(HERE / "models" / LABELS_FILE),
    "UPLOADS": str(HERE / "uploads"),  # leftovers in it are swept when the app starts
    "MAX_CONTENT_LENGTH": 10 * 2**20,  # bytes of a whole request
    "MAX_FORM_MEMORY_SIZE": 500_000,  # bytes of a field that is no file
    "MAX_FORM_PARTS": 100,  # fields and files
    "MAX_PIXELS": MAX_PIXELS,  # of a photo; reading more than 50 million may take too much memory
    "MAX_WAITING": MAX_WAITING,  # photos in line
    "PRECISION": "float32",  # of the network; or "bfloat16", faster on a processor that has it
    "QUEUE_URL": "",  # of a Celery broker; without it the network runs in this process
    "RESULT_URL": "",  # of the Redis that keeps the workers' answers; that of QUEUE_URL, if it is one
    "RESULT_WAIT": 3,  # seconds until a person gets the place in the line, and a page for the answer of a worker
    "HEALTH_PORT": 0,  # of this machine, where a worker answers /healthz; 0: nowhere
    "UNSURE_BELOW": None,  # confidence, 0 to 1, below which the page is not sure; by default that of the model's card
    "PROXIES": 0,  # how many proxies stand in front; of what they forward, the last so many hops are believed
    "RATE_LIMIT": None,  # uploads that one client may send, such as "60 per minute"; "" is no limit
    "SECRET_KEY": secrets.token_hex(),  # signs the messages between two pages; another after each start will do
    "SESSION_COOKIE_SAMESITE": "Lax",  # the cookie with those messages goes along with no form of another site
}

# The least that a setting may be, and what it counts. Werkzeug reads forms, files included, in blocks of half of the
# form memory.
LIMITS = {
    "MAX_CONTENT_LENGTH": (1, "bytes"),
    "MAX_FORM_MEMORY_SIZE": (2**17, "bytes"),
    "MAX_FORM_PARTS": (1, "parts"),
    "MAX_PIXELS": (MIN_SIDE**2, "pixels"),
    "MAX_WAITING": (0, "photos"),
    "PROXIES": (0, "proxies"),
}
PRECISIONS = ("float32", "bfloat16")
TEXTS = ("MODEL", "LABELS", "UPLOADS", "SECRET_KEY")
REDIS = ("redis", "rediss")
CANNOT_START = 4  # exit status; gunicorn starts a worker that ends otherwise again and again
RATE_LIMIT_BEHIND_PROXIES = "60 per minute"  # three times the most that the page sends at once
LONGEST_RESULT_WAIT = 20  # seconds; each who waits so keeps a thread of the web process


class SettingError(ValueError):
    """A setting cannot be used; the message says which and why."""


def from_environment() -> Config:
    """The settings, checked, for a process that is no web app.

    :raises SettingError: one of them cannot be used.
    """
    config = Config(HERE, DEFAULTS)
    config.from_prefixed_env("BIRD")
    check(config)
    return config


def check(config: Config) -> None:
    """Make text of what must be text, and fill in ``RESULT_URL``.

    :raises SettingError: a setting is not of its kind.
    """
    for name, (least, unit) in LIMITS.items():
        limit = config[name]
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < min(least, 1):
            raise SettingError(f"BIRD_{name} must be a number of {unit}, not {limit!r}.")
        if limit < least:
            raise SettingError(f"BIRD_{name} must be at least {least}, or no photo is received.")
    for name in TEXTS:
        config[name] = str(config[name])  # BIRD_SECRET_KEY=123 reads as a number
        if not config[name]:
            raise SettingError(f"BIRD_{name} is empty. Set it, or leave it out for the default.")
    _check_precision(config["PRECISION"])
    _check_unsure(config["UNSURE_BELOW"])
    _check_health_port(config["HEALTH_PORT"])
    _check_queue(config)


def check_rate_limit(config: Config) -> None:
    """Fill in ``RATE_LIMIT``, which the web alone has.

    :raises SettingError: it is none.
    """
    if config["RATE_LIMIT"] is None:
        # The address of a client that comes through an unknown proxy is the proxy's: all would share one limit.
        config["RATE_LIMIT"] = RATE_LIMIT_BEHIND_PROXIES if config["PROXIES"] else ""
    if not config["RATE_LIMIT"]:
        return
    from limits import parse_many  # it is not needed where there is no limit

    try:
        parse_many(str(config["RATE_LIMIT"]))
    except ValueError as error:
        raise SettingError(
            "BIRD_RATE_LIMIT must be a number of uploads in a time, such as 60 per minute, not "
            f"{config['RATE_LIMIT']!r}."
        ) from error


def _check_precision(precision: object) -> None:
    if precision not in PRECISIONS:
        raise SettingError(f"BIRD_PRECISION must be {' or '.join(PRECISIONS)}, not {precision!r}.")
    if precision == "bfloat16" and not has_bfloat16():
        raise SettingError(
            "BIRD_PRECISION=bfloat16 needs a processor that multiplies bfloat16 (AVX512-BF16 or AMX-BF16), and "
            "none was found here. Leave it out."
        )


def _check_unsure(confidence: object) -> None:
    is_number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
    if confidence is not None and not (is_number and 0 <= confidence <= 1):
        raise SettingError(f"BIRD_UNSURE_BELOW must be a confidence from 0 to 1, not {confidence!r}.")


def _check_health_port(port: object) -> None:
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 2**16:
        raise SettingError(f"BIRD_HEALTH_PORT must be a port from 1 to 65535, or 0 for none, not {port!r}.")


def _check_queue(config: Config) -> None:
    """No URL is repeated in what is raised: a password may be in it."""
    wait = config["RESULT_WAIT"]
    if not isinstance(wait, int | float) or isinstance(wait, bool) or not 0 <= wait <= LONGEST_RESULT_WAIT:
        raise SettingError(
            f"BIRD_RESULT_WAIT must be a number of seconds from 0 to {LONGEST_RESULT_WAIT}, not {wait!r}."
        )
    queue, results = str(config["QUEUE_URL"]), str(config["RESULT_URL"])
    if not queue:
        return
    from kombu.transport import TRANSPORT_ALIASES  # it is not needed where there is no queue

    scheme = _scheme(queue)
    if scheme not in TRANSPORT_ALIASES or scheme == "memory":
        raise SettingError(
            "BIRD_QUEUE_URL must be the address of a Celery broker, such as redis://host:6379/0, amqp://host or sqs://."
        )
    if not results and scheme not in REDIS:
        raise SettingError(
            f"BIRD_RESULT_URL is needed: {scheme}:// carries photos to the workers, but keeps no answers. "
            "Give the address of a Redis, such as redis://host:6379/0."
        )
    config["RESULT_URL"] = results or queue
    if _scheme(config["RESULT_URL"]) not in REDIS:
        raise SettingError("BIRD_RESULT_URL must be the address of a Redis, such as redis://host:6379/0.")


def _scheme(url: str) -> str:
    scheme, separator, _rest = url.partition("://")
    return scheme if separator else ""
