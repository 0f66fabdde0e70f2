"""Opens what the settings name: the database, with its tables brought up to date, and the photo store."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from settings import FeedbackSettings

from .corrections import Corrections
from .errors import FeedbackError
from .limits import Limits
from .photo_store import open_photo_store
from .sessions import begin_writing, prepare_sqlite, reason

LOCK_WAIT = 5  # seconds that one process lets another write to the SQLite file
#: So that a database that hangs costs a visitor seconds and not minutes.
POSTGRESQL = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 5,  # seconds; a host that has vanished is noticed after 11
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "options": "-c statement_timeout=10000 -c lock_timeout=10000",
}


def open_corrections(settings: FeedbackSettings, labels: Sequence[str]) -> Corrections:
    """All corrections, without those that are too old.

    :param labels: that the model knows.
    :raises FeedbackError: the database or the photo store cannot be used. The message contains no password.
    """
    try:
        photos = open_photo_store(settings.photo_store)
    except OSError as error:
        raise FeedbackError(f"BIRD_PHOTO_STORE cannot be used: {_in_words(error)}.") from error
    limits = Limits(settings.max_bytes, settings.per_day, settings.days)
    corrections = Corrections(open_database(settings.database_url), photos, labels, limits)
    corrections.sweep()
    return corrections


def open_database(address: str) -> Engine:
    """The database, with its tables.

    :param address: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``.
    :raises FeedbackError: it cannot be used.
    """
    url = _read_address(address)
    try:
        engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
        _migrate(engine)
    except CommandError as error:
        raise FeedbackError("BIRD_DATABASE_URL: the database was made by a later release of this app.") from error
    except SQLAlchemyError as error:
        raise FeedbackError(f"BIRD_DATABASE_URL: {_without_password(reason(error), url)}.") from error
    except OSError as error:
        raise FeedbackError(f"BIRD_DATABASE_URL cannot be used: {_in_words(error)}.") from error
    return engine


def _read_address(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise FeedbackError(
            "BIRD_DATABASE_URL cannot be read. Write it as sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
        ) from error
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise FeedbackError("BIRD_DATABASE_URL must begin with sqlite:///, followed by a file, or with postgresql://.")


def _sqlite(url: URL) -> Engine:
    file = Path(str(url.database))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    engine = create_engine(url, connect_args={"timeout": LOCK_WAIT}, pool_timeout=10, hide_parameters=True)
    prepare_sqlite(engine)
    return engine


def _postgresql(url: URL) -> Engine:
    options = POSTGRESQL | dict(url.query)
    return create_engine(url, connect_args=options, pool_pre_ping=True, pool_timeout=10, hide_parameters=True)


def _migrate(engine: Engine) -> None:
    """Bring the tables up to date; of several processes that start at once, one does."""
    config = Config()
    config.set_main_option("script_location", "feedback:migrations")
    config.set_main_option("path_separator", "os")
    try:
        with engine.connect() as connection:
            begin_writing(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except BaseException:
        engine.dispose()
        raise


def _without_password(text: str, url: URL) -> str:
    return text.replace(str(url.password), "***") if url.password else text


def _in_words(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
