"""Opens what the settings name: the database, with its tables brought up to date, and the photo store."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url

from settings import FeedbackSettings

from .corrections import Corrections
from .photo_store import open_photo_store
from .schema import Base


def open_corrections(settings: FeedbackSettings, labels: Sequence[str]) -> Corrections:
    """All corrections.

    :param labels: that the model knows.
    :raises FeedbackError: the database or the photo store cannot be used. The message contains no password.
    """
    return Corrections(open_database(settings.database_url), open_photo_store(settings.photo_store), labels)


def open_database(url: str) -> Engine:
    """The database, with its tables."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(parsed)
    Base.metadata.create_all(engine)
    return engine
