"""eBird Record Format (Extended): a CSV file without a header that eBird's import takes.

Its rules (Upload Spreadsheet Data to eBird, https://support.ebird.org/en/support/solutions/articles/48000907878):
19 columns; at most 1 MB; no quotation marks, so no commas and line breaks inside cells either; MM/DD/YYYY and 24 hours;
a date and the name of a location in each row; country and state may be left to the coordinates. Rows with the same
date, time, location and protocol become one checklist.

eBird looks up English names in the language of the account, where a Grey Plover may be a Black-bellied Plover, and so
refuses some that are right elsewhere. Scientific names are the same for all, so a species has its English name only in
the comment. For a genus or a family, or without a scientific name, the English name stands in the column for it.
"""

import re
from collections.abc import Collection, Iterable

from .checklists import Checklist, Sighting
from .record import Record

MAX_SIZE = 1_000_000  # bytes of one file
PROTOCOL = "Incidental"  # whoever takes photos was not necessarily counting birds
FILES_NAMED = 3  # at most in a comment
MAX_NAME = 100  # characters of a file's name in a comment

#: What no cell may hold: quotation marks of any kind, separators, and whatever is not printable. Semicolons separate
#: cells where commas are decimal points.
_FORBIDDEN = re.compile(r'["“”„«»,;\s]+')
_FORMULA_START = "=+-@＝＋－＠ "  # a location that a spreadsheet would run: eBird would show an apostrophe before it


def can_be_listed(checklist: Checklist, location: str = "") -> bool:
    """Whether it has what eBird requires: a date, and a place or the name of a location."""
    return checklist.started is not None and bool(checklist.place or plain(location))


def files(checklists: Iterable[Checklist], location: str = "") -> list[str]:
    """The texts of one or more files, each of at most ``MAX_SIZE``; a checklist is never split.

    :param checklists: for which ``can_be_listed``.
    :param location: the name of the location; by default the coordinates.
    """
    texts: list[str] = []
    for checklist in checklists:
        text = "".join(",".join(row) + "\r\n" for row in rows(checklist, location))
        if texts and len((texts[-1] + text).encode()) <= MAX_SIZE:
            texts[-1] += text
        else:
            texts.append(text)
    return texts


def rows(checklist: Checklist, location: str = "") -> list[list[str]]:
    """A row for each species.

    :param checklist: for which ``can_be_listed``.
    :param location: as in ``files``.
    """
    started, place = checklist.started, checklist.place
    assert started
    coordinates = [f"{place.latitude:.5f}", f"{place.longitude:.5f}"] if place else ["", ""]
    where = [plain(location) or " ".join(coordinates), *coordinates]
    when = [f"{started:%m/%d}/{started.year:04}", f"{started:%H:%M}"]  # %Y may have fewer digits
    state, country, duration, distance, area, comments = [""] * 6
    observers, all_reported = "1", "N"
    effort = [state, country, PROTOCOL, observers, duration, all_reported, distance, area, comments]
    return [[*_row_start(each), *where, *when, *effort] for each in checklist.sightings]


def plain(text: str) -> str:
    """A text without what a cell may not hold, nor what a spreadsheet would take for a formula."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return _FORBIDDEN.sub(" ", printable).lstrip(_FORMULA_START).rstrip()


def species(record: Record) -> list[str]:
    """The cells about the species: its English name, or genus and species. ``ebird.js`` gets them with each card."""
    genus, _space, epithet = record.name.scientific.partition(" ")
    return ["", plain(genus), plain(epithet)] if epithet else [plain(record.english), "", ""]


def claim(record: Record) -> str:
    """What the comment says of the species, as ``species`` for the page, too."""
    return f"{plain(record.english)}: named by a machine ({100 * record.confidence:.1f} %)"


def _row_start(sighting: Sighting) -> list[str]:
    """The species, the number and the comment."""
    record = sighting.surest
    return [*species(record), str(sighting.count), f"{claim(record)} from {_named(sighting.files)}"]


def _named(names: Collection[str]) -> str:
    first = [plain(name)[:MAX_NAME] for name in list(names)[:FILES_NAMED]]
    more = len(names) - len(first)
    return " and ".join([*first, f"{more} more"] if more else first)
