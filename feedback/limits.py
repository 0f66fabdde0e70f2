"""How many corrections and photos are kept, and for how long."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from inference.sentences import Sentence

from .errors import TooManyError
from .schema import Correction, RepeatToken, Status, StrayPhoto


@dataclass(frozen=True)
class Limits:
    """How many corrections and photos are kept, and for how long.

    :param max_bytes: that the photos may take together.
    :param per_day: corrections that one client may send in 24 hours.
    :param days: after which a correction goes that nobody has reviewed, or that was rejected so long ago.
    """

    max_bytes: int = 2**30
    per_day: int = 50
    days: int = 90

    def check_client(self, session: Session, client: str) -> None:
        """Count what a client has sent.

        :raises TooManyError: it may send no more today.
        """
        yesterday = now() - timedelta(days=1)
        sent = select(func.count()).where(Correction.client == client, Correction.created > yesterday)
        again = select(func.count()).select_from(RepeatToken).join(Correction)
        again = again.where(Correction.client == client, RepeatToken.created > yesterday)
        if (session.scalar(sent) or 0) + (session.scalar(again) or 0) >= self.per_day:
            raise TooManyError(
                Sentence(
                    "We take %(number)s corrections a day from one network, and have got as many from yours. "
                    "Please come back tomorrow.",
                    number=self.per_day,
                )
            )

    def has_room(self, session: Session, photo_bytes: int) -> bool:
        """Whether another photo of this size may be kept; those count that are being written or deleted."""
        used = sum(
            session.scalar(select(func.coalesce(func.sum(column), 0))) or 0
            for column in (Correction.photo_bytes, StrayPhoto.photo_bytes)
        )
        return used + photo_bytes <= self.max_bytes

    def is_expired(self) -> ColumnElement[bool]:
        """Which corrections go because of their age."""
        oldest = now() - timedelta(days=self.days)
        return or_(
            and_(Correction.status == Status.NEW, Correction.created < oldest),
            and_(Correction.status == Status.REJECTED, Correction.reviewed < oldest),
        )


DEFAULTS = Limits()


def now() -> datetime:
    """The time, UTC, as the database keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)
