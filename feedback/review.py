"""What a reviewer sees of the corrections, and decides about them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, case, func, or_, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from inference.sentences import Sentence

from .labels import claimed_label, is_folder_name
from .limits import now
from .schema import Claim, Correction, Status
from .sessions import reading, writing

PAGE = 50  # corrections
MOST_NAMES = 300  # species that the filter offers, the most frequent first: strangers may write any name
MOST_DAYS = 366  # that it offers, the latest first

#: Who contradicts a confident model comes first: there is most to learn from. All of these in descending order.
_ORDER = (Correction.disagrees, Correction.confidence, Correction.id)


@dataclass(frozen=True)
class Filter:
    """Which corrections to show.

    :param status: None for all.
    :param day: on which they came in, UTC; None for all.
    :param species: the label or name that the model gave, the visitor, or the reviewer; empty for all.
    :param claim: None for all.
    :param only_with_photo: whether to leave out those without a photo.
    :param client: the hash of the visitor's address; empty for all.
    """

    status: Status | None = Status.NEW
    day: date | None = None
    species: str = ""
    claim: Claim | None = None
    only_with_photo: bool = False
    client: str = ""


@dataclass(frozen=True)
class ReviewItem:
    """A correction and what a reviewer needs to know about it.

    :param label: that it was accepted with, or that its claim comes to; empty if the reviewer has to choose.
    :param from_client: how many corrections the same visitor has sent, this one included.
    :param original: the first correction with a near-duplicate of its photo, if that is another one.
    :param duplicates: how many later corrections have a near-duplicate of its photo.
    """

    correction: Correction
    label: str
    from_client: int
    original: Correction | None
    duplicates: int


@dataclass(frozen=True)
class ReviewPage:
    """Some corrections, in the order in which they are most worth a look.

    :param total: how many match the filter, on all pages.
    :param after: the last one's id, if there are more after it.
    """

    items: list[ReviewItem]
    total: int
    after: int | None


@dataclass(frozen=True)
class Counts:
    """How many corrections there are.

    :param statuses: by status, of all.
    :param days: by day (UTC), the latest first, of those with the status of the filter.
    :param species: by species, the most frequent first, of the same. A correction about two species counts for both.
    """

    statuses: dict[Status, int]
    days: list[tuple[date, int]]
    species: list[tuple[str, int]]


@dataclass(frozen=True)
class Decided:
    """What came of a decision.

    :param labels: under which corrections were accepted, by their ids; empty labels of those that were not accepted.
    :param refused: why the decision was not possible, by the ids of those corrections.
    """

    labels: dict[int, str]
    refused: dict[int, Sentence]


@dataclass(frozen=True)
class Week:
    """What visitors said in a week. Claims that were rejected do not count.

    :param monday: on which it began, UTC.
    :param claims: how many there were.
    :param right: how many of them said that the answer was right.
    """

    monday: date
    claims: int
    right: int


def find_page(engine: Engine, wanted: Filter, after: int | None = None) -> ReviewPage:
    """The corrections that match a filter.

    :param after: the id of the correction after which the page begins: the decisions on earlier pages move nothing.
    :raises FeedbackError: the database does not answer.
    """
    conditions = _conditions(wanted)
    with reading(engine) as session:
        total = session.scalar(select(func.count()).select_from(Correction).where(*conditions)) or 0
        query = select(Correction).where(*conditions)
        last = session.get(Correction, after) if after is not None else None
        if last is not None:
            query = query.where(tuple_(*_ORDER) < (last.disagrees, last.confidence, last.id))
        found = session.scalars(query.order_by(*(column.desc() for column in _ORDER)).limit(PAGE + 1)).all()
        items = _items(session, found[:PAGE])
    return ReviewPage(items, total, found[PAGE - 1].id if len(found) > PAGE else None)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.status is not None:
        conditions.append(Correction.status == wanted.status)
    if wanted.day is not None:
        midnight = datetime.combine(wanted.day, time())
        conditions += [Correction.created >= midnight, Correction.created <= datetime.combine(wanted.day, time.max)]
    if wanted.species:
        columns = (Correction.predicted, Correction.claimed, Correction.label)
        conditions.append(or_(*(column == wanted.species for column in columns)))
    if wanted.claim is not None:
        conditions.append(Correction.claim == wanted.claim)
    if wanted.only_with_photo:
        conditions.append(Correction.photo != "")
    if wanted.client:
        conditions.append(Correction.client == wanted.client)
    return conditions


def _items(session: Session, found: Sequence[Correction]) -> list[ReviewItem]:
    clients = _count_by(session, Correction.client, [each.client for each in found])
    duplicates = _count_by(session, Correction.duplicate_of, [each.id for each in found])
    firsts = [each.duplicate_of for each in found if each.duplicate_of is not None]
    originals = {each.id: each for each in session.scalars(select(Correction).where(Correction.id.in_(firsts)))}
    return [
        ReviewItem(
            each,
            each.label or claimed_label(each),
            clients[each.client],
            originals.get(each.duplicate_of) if each.duplicate_of is not None else None,
            duplicates.get(each.id, 0),
        )
        for each in found
    ]


def _count_by(session: Session, column: InstrumentedAttribute[Any], values: Sequence[str | int]) -> dict[Any, int]:
    query = select(column, func.count()).where(column.in_(values)).group_by(column)
    return dict(session.execute(query).all())


def count(engine: Engine, status: Status | None) -> Counts:
    """How many corrections there are, for the filter.

    :param status: of those that are counted by day and species; None for all.
    :raises FeedbackError: the database does not answer.
    """
    conditions = _conditions(Filter(status))
    day = func.date(Correction.created)
    by_day = select(day, func.count()).where(*conditions).group_by(day).order_by(day.desc()).limit(MOST_DAYS)
    with reading(engine) as session:
        statuses = session.execute(select(Correction.status, func.count()).group_by(Correction.status))
        return Counts(
            {Status(status): number for status, number in statuses},
            [(_as_date(day), number) for day, number in session.execute(by_day)],
            _count_species(session, conditions),
        )


def _count_species(session: Session, conditions: list[ColumnElement[bool]]) -> list[tuple[str, int]]:
    predicted, claimed, label = Correction.predicted, Correction.claimed, Correction.label
    names = union_all(
        select(predicted.label("name")).where(*conditions),
        select(claimed).where(claimed.not_in(("", predicted)), *conditions),
        select(label).where(label.not_in(("", predicted, claimed)), *conditions),
    ).subquery()
    number = func.count()
    query = select(names.c.name, number).group_by(names.c.name).order_by(number.desc(), names.c.name).limit(MOST_NAMES)
    return [(name, number) for name, number in session.execute(query)]


def decide(engine: Engine, decision: Status, labels: Mapping[int, str]) -> Decided:
    """Accept or reject corrections, or put them back to those that nobody has decided about.

    :param labels: for each correction, by its id, the label with which to accept it; empty for the one that its claim
        comes to. Ids of corrections that do not exist (any more) are ignored.
    :raises FeedbackError: the database does not answer; nothing is decided.
    """
    decided = Decided({}, {})
    with writing(engine) as session:
        for correction in session.scalars(select(Correction).where(Correction.id.in_(labels)).order_by(Correction.id)):
            label = (labels[correction.id] or claimed_label(correction)) if decision is Status.ACCEPTED else ""
            if decision is Status.ACCEPTED and not is_folder_name(label):
                decided.refused[correction.id] = _why_not(label)
                continue
            correction.status, correction.label = decision, label
            correction.reviewed = None if decision is Status.NEW else now()
            decided.labels[correction.id] = label
    return decided


def _why_not(label: str) -> Sentence:
    if not label:
        return Sentence("It needs a label: choose a species.")
    return Sentence(
        "This cannot be a label, because photos are exported into folders of that name. Use letters and spaces."
    )


def agreement(engine: Engine, since: date) -> list[Week]:
    """How often visitors said that an answer was right, by week, without the weeks in which none said anything.

    :param since: the Monday with which it begins.
    :raises FeedbackError: the database does not answer.
    """
    day = func.date(Correction.created)
    right = func.sum(case((Correction.claim == Claim.RIGHT, 1), else_=0))
    query = select(day, func.count(), right).group_by(day)
    query = query.where(Correction.status != Status.REJECTED, Correction.created >= datetime.combine(since, time()))
    claims: dict[date, int] = defaultdict(int)
    agreeing: dict[date, int] = defaultdict(int)
    with reading(engine) as session:
        for text, number, agreed in session.execute(query):
            monday = monday_of(_as_date(text))
            claims[monday] += number
            agreeing[monday] += agreed
    return [Week(monday, claims[monday], agreeing[monday]) for monday in sorted(claims)]


def monday_of(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


def _as_date(day: date | str) -> date:
    """A day as the database gives it: SQLite as text."""
    return day if isinstance(day, date) else date.fromisoformat(day)
