"""What is logged where the app serves the public: JSON, a line for each request and for whatever else happens."""

import logging

from pythonjsonlogger.json import JsonFormatter


def json_lines() -> JsonFormatter:
    """What makes a line of JSON of a record, its ``extra`` fields included."""
    return JsonFormatter(["levelname", "name", "message"], rename_fields={"levelname": "level"}, timestamp="time")


def without_client(record: logging.LogRecord) -> bool:
    """Of a request that makes no sense, gunicorn would log the address and whatever has been sent in place of one."""
    if str(record.msg).startswith("Invalid request from"):
        record.msg = "Invalid request"
    return True


#: For ``logging.config.dictConfig``. The app logs requests itself: gunicorn's lines would hold addresses and paths, and
#: those of the rate limit hold addresses.
CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "logs.json_lines"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True, "filters": [without_client]},
        "gunicorn.access": {"propagate": False},
        "flask-limiter": {"level": "WARNING"},
    },
}
