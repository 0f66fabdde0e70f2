"""What is logged where the app serves the public: JSON, a line for each request and for whatever else happens."""

from pythonjsonlogger.json import JsonFormatter


def json_lines() -> JsonFormatter:
    """What makes a line of JSON of a record, its ``extra`` fields included."""
    return JsonFormatter(["levelname", "name", "message"], rename_fields={"levelname": "level"}, timestamp="time")


#: For ``logging.config.dictConfig``. The app logs requests itself: gunicorn's lines would hold addresses and paths, and
#: those of the rate limit hold addresses.
CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "logs.json_lines"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True},
        "gunicorn.access": {"propagate": False},
        "flask-limiter": {"level": "WARNING"},
    },
}
