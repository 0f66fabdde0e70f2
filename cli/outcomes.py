"""What ``identify`` writes about one photo: a line for people, a line of JSON, or a row of the CSV list."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from inference import Candidate, Identification
from inference.exif import Place
from inference.verdict import Verdict
from lists import csv_export
from web.api import identification_json
from web.naming import Naming


@dataclass(frozen=True)
class Outcome:
    """An answer, or a sentence that says why there is none.

    :param taken: when the photo was taken, if the file says so.
    :param place: where, if the file says so and the person wants it in lists.
    """

    path: Path
    identification: Identification | None = None
    taken: datetime | None = None
    error: str = ""
    place: Place | None = None

    def line(self, names: Mapping[str, str], top: int = 1) -> str:
        """A line for people. Other birds in the photo come last, each with its most likely species alone.

        :param names: of the species, by their labels; a worker may answer with a label that is not among them.
        :param top: how many candidates; more if the photo may show any of more.
        """
        if self.identification is None:
            return f"{terminal_safe(self.path)}: {self.error}"
        line = f"{terminal_safe(self.path)}: {_answer(self.identification, names, top)}"
        others = self.identification.others
        more = ", ".join(_other_bird(each, names) for each in others)
        return f"{line} (+{len(others)} more: {more})" if others else line

    def json(self, top: int, naming: Naming) -> str:
        """A line of JSON for programs.

        :param top: how many candidates.
        :param naming: how it names the species.
        """
        found = self.identification
        if found is None:
            return json.dumps({"file": printable(self.path), "error": self.error}, ensure_ascii=False)
        answer = {
            "file": printable(self.path),
            "taken": self.taken.isoformat() if self.taken else None,
            **identification_json(found, found.seconds, top, naming),
        }
        return json.dumps(answer, ensure_ascii=False)

    def row(self, top: int, naming: Naming) -> list[str]:
        """A row of the CSV list.

        :param top: how many candidates.
        :param naming: whose first language it names the species in.
        """
        found = self.identification
        if found is None:
            answer = csv_export.failed(self.error, top)
        else:
            answer = csv_export.identified(found, naming.names[found.label], naming.languages[0], top)
        return [printable(self.path), csv_export.time_taken(self.taken), *answer]


def _answer(found: Identification, names: Mapping[str, str], top: int) -> str:
    """An answer in words."""
    candidates = _list_of(found.candidates[:top], names)
    match found.verdict:
        case Verdict.UNSURE:
            return f"not sure: {_list_of(found.candidates[: max(top, found.likely)], names)}"
        case Verdict.UNKNOWN_BIRD:
            return f"a bird, but probably none of the known species (resembles {candidates})"
        case Verdict.NO_BIRD:
            return f"no bird (resembles {candidates})"
    return candidates


def _other_bird(found: Identification, names: Mapping[str, str]) -> str:
    """An answer about another bird in the photo, in few words."""
    match found.verdict:
        case Verdict.UNSURE:
            return f"perhaps {_list_of([found], names)}"
        case Verdict.UNKNOWN_BIRD:
            return "a bird of no known species"
        case Verdict.NO_BIRD:
            return "no bird"
    return _list_of([found], names)


def _list_of(named: Sequence[Candidate | Identification], names: Mapping[str, str]) -> str:
    return ", ".join(f"{names.get(each.label, each.label)} {100 * each.confidence:.1f} %" for each in named)


def printable(path: Path) -> str:
    """A path as text that can be written anywhere: bytes that are not UTF-8 become escape sequences."""
    return str(path).encode(errors="backslashreplace").decode()


def terminal_safe(path: Path) -> str:
    """A path with a question mark for every character that a terminal might take for a command."""
    return "".join(each if each.isprintable() else "?" for each in printable(path))
