"""Records as checklists: what was seen on one day at one place."""

import math
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from inference.exif import Place

from .record import PhotoFacts, Record

SAME_PLACE = 1.0  # km at most between a checklist's first photo and its others
EARTH_RADIUS = 6371.0088  # km, the mean radius (IUGG)


@dataclass(frozen=True)
class Sighting:
    """A species on a checklist.

    :param records: one for each photo of it, the earliest first.
    """

    records: tuple[Record, ...]

    @property
    def count(self) -> int:
        """How many birds there were at least: two photos may show the same bird, so only those of one photo add up."""
        return max(record.count for record in self.records)

    @property
    def surest(self) -> Record:
        """The record with the highest confidence."""
        return max(self.records, key=lambda record: record.confidence)

    @property
    def files(self) -> list[str]:
        """The names of the photos."""
        return [record.photo.file for record in self.records]


@dataclass(frozen=True)
class Checklist:
    """The species of one day and place.

    :param started: when its first photo was taken; None if it does not say so, and then it is alone.
    :param place: of its first photo.
    :param sightings: in the order in which the species were first photographed.
    """

    started: datetime | None
    place: Place | None
    sightings: tuple[Sighting, ...]


def checklists(records: Collection[Record]) -> list[Checklist]:
    """Group records by day and place, in the order of their dates.

    A photo belongs to the checklist of its day whose first photo was taken within ``SAME_PLACE``, or else it begins a
    new one. Photos without a place share one checklist a day. One without a date has a checklist of its own, with its
    copies.
    """
    dated = sorted((each for each in records if each.photo.taken), key=_when)
    groups: list[list[Record]] = []
    of_day: dict[date, list[list[Record]]] = defaultdict(list)
    for record in dated:
        todays = of_day[_when(record)[0].date()]
        group = next((each for each in todays if _is_same_place(each[0].photo.place, record.photo.place)), None)
        if group is None:
            group = []
            todays.append(group)
            groups.append(group)
        group.append(record)
    undated: dict[PhotoFacts | str, list[Record]] = defaultdict(list)
    for record in records:
        if not record.photo.taken:
            undated[record.photo.sha256 or record.photo].append(record)
    return [_checklist(group) for group in (*groups, *undated.values())]


def kilometres_between(one: Place, other: Place) -> float:
    """The distance on a sphere, by the haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984, p. 159)."""
    latitudes = math.radians(one.latitude), math.radians(other.latitude)
    north, east = latitudes[1] - latitudes[0], math.radians(other.longitude - one.longitude)
    square = math.sin(north / 2) ** 2 + math.cos(latitudes[0]) * math.cos(latitudes[1]) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(min(1.0, math.sqrt(square)))


def _when(record: Record) -> tuple[datetime, str]:
    return record.photo.taken or datetime.max, record.photo.file


def _is_same_place(one: Place | None, other: Place | None) -> bool:
    if one is None or other is None:
        return one is other
    return kilometres_between(one, other) <= SAME_PLACE


def _checklist(group: list[Record]) -> Checklist:
    species: dict[str, list[Record]] = defaultdict(list)
    for record in group:
        species[record.taxon].append(record)
    first = group[0].photo
    return Checklist(first.taken, first.place, tuple(Sighting(tuple(each)) for each in species.values()))
