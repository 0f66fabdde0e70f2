"""How many corrections there are, of which kind, and how often they agree with the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import Engine, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from .limits import now
from .schema import Claim, Correction, Status
from .sessions import reading

DAYS = 14  # that are listed


@dataclass(frozen=True)
class Day:
    """The corrections of a day; rejected ones do not count.

    :param date: as ``2026-11-29``, UTC.
    :param agreeing: how many said that the answer was right.
    """

    date: str
    number: int
    agreeing: int


@dataclass(frozen=True)
class Stats:
    """All corrections in numbers.

    :param statuses: how many have each status.
    :param claims: how many make each claim.
    :param days: the latest days with any, the earliest first.
    :param clients: how many clients they come from.
    :param photos: how many have a photo.
    :param photo_bytes: what these take.
    """

    statuses: Mapping[str, int]
    claims: Mapping[str, int]
    days: list[Day]
    clients: int
    photos: int
    photo_bytes: int

    def in_words(self, max_bytes: int) -> list[str]:
        """The same for people, a line each.

        :param max_bytes: that the photos may take.
        """
        statuses = ", ".join(f"{self.statuses.get(each, 0)} {each}" for each in Status)
        claims = ", ".join(f"{self.claims.get(each, 0)} {_CLAIMS[each]}" for each in Claim)
        return [
            f"Corrections: {sum(self.statuses.values())} from {_number(self.clients, 'client')} ({statuses})",
            f"What they say: {claims}",
            f"Photos: {self.photos}, {self.photo_bytes / 2**20:.1f} of {max_bytes / 2**20:.1f} MB",
            *(
                f"{day.date}: {_number(day.number, 'correction')}, {day.agreeing / day.number:.0%} agree with the model"
                for day in self.days
            ),
        ]


_CLAIMS = {
    Claim.RIGHT: "right",
    Claim.SPECIES: "another species",
    Claim.NO_BIRD: "not a bird",
    Claim.UNKNOWN: "do not know",
}


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def read_stats(engine: Engine) -> Stats:
    """All corrections in numbers.

    :raises FeedbackError: the database does not answer.
    """
    totals = select(
        func.count(Correction.client.distinct()),
        func.coalesce(func.sum(case((Correction.photo != "", 1), else_=0)), 0),
        func.coalesce(func.sum(Correction.photo_bytes), 0),
    )
    with reading(engine) as session:
        clients, photos, photo_bytes = session.execute(totals).one()
        statuses, claims = _count_by(session, Correction.status), _count_by(session, Correction.claim)
        return Stats(statuses, claims, _days(session), clients, photos, photo_bytes)


def _count_by(session: Session, column: InstrumentedAttribute[str]) -> dict[str, int]:
    return dict(session.execute(select(column, func.count()).group_by(column)).all())


def _days(session: Session) -> list[Day]:
    since = datetime.combine((now() - timedelta(days=DAYS - 1)).date(), time())
    day = func.date(Correction.created)
    agreeing = func.sum(case((Correction.claim == Claim.RIGHT, 1), else_=0))
    query = select(day, func.count(), agreeing).where(Correction.created >= since, Correction.status != Status.REJECTED)
    return [
        Day(str(date), number, agrees) for date, number, agrees in session.execute(query.group_by(day).order_by(day))
    ]
