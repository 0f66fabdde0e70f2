"""What is said of one photo: shown on a card of the page, or as JSON by the API."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import listing
from inference import Candidate, Identification

if TYPE_CHECKING:
    from jobs.register import Place

NOT_YET = "Not answered yet."
LOOK_UP = "https://en.wikipedia.org/wiki/Special:Search?search="


@dataclass(frozen=True)
class Card:
    """What a page shows of one photo: its answer; or its place in the line; or a sentence that says why there is none.

    :param name: of the file, where there are several.
    :param thumbnail: a JPEG.
    :param taken: when, if the file says so.
    :param seconds: what it took to answer.
    :param job: under which the answer of a worker is found.
    """

    name: str = ""
    thumbnail: bytes = b""
    taken: datetime | None = None
    identification: Identification | None = None
    seconds: float = 0.0
    job: str = ""
    place: "Place | None" = None
    sentence: str = ""

    @property
    def image(self) -> str:
        """The thumbnail for a ``data:`` URL."""
        return as_text(self.thumbnail)

    @property
    def row(self) -> list[str]:
        """What the list of answers says of the photo, behind the name of its file."""
        if self.identification is None:
            return listing.failed(self.sentence or NOT_YET, taken=self.taken)
        return listing.answered(self.identification, self.taken)


def as_text(content: bytes) -> str:
    """Base64."""
    return base64.b64encode(content).decode("ascii")


def look_up_url(label: str) -> str:
    """Where to read about a species."""
    return LOOK_UP + quote(label, safe="")


def identification_json(identification: Identification, seconds: float, top: int) -> dict[str, object]:
    """The API's answer.

    :param seconds: what it took.
    :param top: how many candidates are wanted.
    """
    return {
        **_candidate_json(identification),
        "candidates": [_candidate_json(candidate) for candidate in identification.candidates[:top]],
        "model": identification.model,
        "milliseconds": round(1000 * seconds, 2),
    }


def _candidate_json(named: Candidate | Identification) -> dict[str, object]:
    return {"label": named.label, "confidence": named.confidence}
