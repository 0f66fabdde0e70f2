"""The log of gunicorn and of workers: JSON, one line for each request and for each other event."""

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter


def json_lines() -> JsonFormatter:
    """A formatter that makes a record, its ``extra`` fields included, one line of JSON."""
    return JsonFormatter(["levelname", "name", "message"], rename_fields={"levelname": "level"}, timestamp="time")


def without_client(record: logging.LogRecord) -> bool:
    """Remove the client's address and data from gunicorn's message about a malformed request."""
    if str(record.msg).startswith("Invalid request from"):
        record.msg = "Invalid request"
    return True


#: For ``logging.config.dictConfig``. The app logs requests itself: gunicorn's access log has addresses and paths in it,
#: and the rate limit's log has addresses.
CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "logs.json_lines"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True, "filters": [without_client]},
        "gunicorn.access": {"propagate": False},
        "flask-limiter": {"level": "WARNING"},
        "alembic": {"level": "WARNING"},  # it says at each start which database and which plugins it has found
    },
}
