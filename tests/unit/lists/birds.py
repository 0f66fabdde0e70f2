"""Answers and names that the tests of the lists share."""

from datetime import datetime

from inference import Candidate, Identification
from inference.verdict import Verdict
from lists.record import PhotoFacts, Place, Record, records_of
from names.labels import find_names

TIT, JAY, KIWI = "Great Tit", "004.Blue_Jay", "Kiwi"
NAMES = find_names((TIT, JAY, KIWI, "Purple Rain"))
ZURICH = Place(47.36667, 8.55, 12.2)


def answer(
    label: str, *others: Identification, verdict: Verdict | None = Verdict.SURE, confidence: float = 0.97
) -> Identification:
    """An answer of a model that was calibrated."""
    return Identification(label, confidence, (Candidate(label, confidence),), "ab" * 32, others=others, verdict=verdict)


def photo(file: str, taken: str = "", place: Place | None = None) -> PhotoFacts:
    """What is known of a photo. Its digest follows from its name.

    :param taken: such as 2026-05-03 06:01; empty if it is not known.
    """
    return PhotoFacts(file, file.encode().hex(), datetime.fromisoformat(taken) if taken else None, place)


def records(file: str, taken: str, place: Place | None, *labels: str) -> list[Record]:
    """The records of a photo that shows these birds."""
    first, *others = [answer(label) for label in labels]
    return list(records_of(answer(first.label, *others), NAMES, photo(file, taken, place)))
