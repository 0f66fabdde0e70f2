"""Reading from and writing to the database; what goes wrong there becomes a ``FeedbackError``."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, event, func, select
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session

from inference.errors import first_line
from inference.sentences import Sentence

from .errors import FeedbackError

log = logging.getLogger(__name__)

WRITES = "writes"  # an execution option of connections that write
LOCK = 0x62697264  # the number of the advisory lock in PostgreSQL: "bird"

UNAVAILABLE = Sentence("Corrections cannot be kept or looked up at the moment. Please try again later.")


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that reads.

    :raises FeedbackError: the database does not answer.
    """
    with _translated(), Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that may write, and is committed at the end of the block.

    Of all processes only one is in such a block at a time. So what it has counted stays true until it has written.

    :raises FeedbackError: the database does not answer.
    """
    with _translated(), engine.connect() as connection:
        begin_writing(connection)
        with Session(connection, expire_on_commit=False, join_transaction_mode="control_fully") as session:
            yield session
            session.commit()


def begin_writing(connection: Connection) -> None:
    """Begin a transaction that no other process may write beside."""
    connection.execution_options(**{WRITES: True})
    connection.begin()
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def prepare_sqlite(engine: Engine) -> None:
    """Have SQLite let one process write while others read, and begin transactions when we say so."""

    @event.listens_for(engine, "connect")
    def set_up(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # Python's module shall begin none by itself
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first could not write any more if another one has written meanwhile.
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, NoConnectionError) as error:
        log.warning("The database of corrections does not answer: %s", reason(error))
        raise FeedbackError(UNAVAILABLE) from error
    except SQLAlchemyError as error:
        log.exception("The database of corrections has refused something.")
        raise FeedbackError(UNAVAILABLE) from error


def reason(error: SQLAlchemyError) -> str:
    """What the database says, in one line."""
    return first_line(error.orig if isinstance(error, DBAPIError) else error)
