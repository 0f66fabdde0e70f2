"""What is wrong or unusual in a folder of photos, in words for people."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

FAULTS_SHOWN = 20  # of each kind, in the table


class DataError(ValueError):
    """The folder cannot be trained on; the message says why and what to do."""


class BrokenOffError(Exception):
    """A training cannot go on; the message says why, without a full stop."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with the folder, or not as training wants it.

    :param what: the kind of fault.
    :param where: the photo, folder or label.
    :param why: what exactly.
    :param remedy: what is done about it.
    """

    what: str
    where: str
    why: str
    remedy: str


def fault_table(faults: list[Fault]) -> str:
    """The faults for people to read, one kind after the other, the first ``FAULTS_SHOWN`` of each."""
    lines = []
    for what, remedy in dict.fromkeys((fault.what, fault.remedy) for fault in faults):
        of_kind = [fault for fault in faults if (fault.what, fault.remedy) == (what, remedy)]
        width = max(len(fault.where) for fault in of_kind[:FAULTS_SHOWN])
        lines.append(f"{what}: {len(of_kind)}, {remedy}")
        lines += [f"    {fault.where:{width}}  {fault.why}" for fault in of_kind[:FAULTS_SHOWN]]
        if len(of_kind) > FAULTS_SHOWN:
            lines.append(f"    and {len(of_kind) - FAULTS_SHOWN} more, which the report lists")
    return "\n".join(lines)


def printable(name: str) -> str:
    """The name of a file, in characters that can be printed and written: a name may hold any bytes."""
    if name.isprintable():
        return name
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in name
    )


def count_of(number: int, what: str) -> str:
    """A number and its noun: ``1 photo``, ``2 photos``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def kinds_of(names: Iterable[str]) -> str:
    """How many files there are of each extension, such as ``2 *.txt, 1 without extension``."""
    counts = Counter(PurePath(name).suffix.lower() for name in names)
    return ", ".join(
        f"{number} *{printable(extension)}" if extension else f"{number} without extension"
        for extension, number in counts.most_common()
    )
