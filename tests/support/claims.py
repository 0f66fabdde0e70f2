"""Corrections as visitors send them, for tests and benchmarks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback.corrections import Corrections, now
from feedback.opening import open_database
from feedback.photo_store import FolderStore
from feedback.schema import Claim, Correction, Status

from .seam import COLORS, SHA256

REVIEW_KEY = "the key of this test"


def feedback_settings(folder: Path) -> dict[str, str]:
    """Settings with which a site takes corrections, keeps them in a folder, and has a review page."""
    return {
        "BIRD_FEEDBACK": "1",
        "BIRD_DATABASE_URL": f"sqlite:///{folder / 'feedback.db'}",
        "BIRD_PHOTO_STORE": str(folder / "photos"),
        "BIRD_REVIEW_KEY": REVIEW_KEY,
    }


def correction(number: int, **values: Any) -> Correction:
    """A correction: by default the model said Cardinal with 90 %, and the visitor says nothing but that this is wrong.

    :param number: makes its secret address differ from all others.
    :param values: of its columns; ``claimed`` is known if the stand-in for the network knows it.
    """
    claim = values.get("claim", Claim.SPECIES if "claimed" in values else Claim.UNKNOWN)
    usual = dict(  # noqa: C408  as in the call that it is for
        token_sha256=f"{number:064x}", created=now(), client=f"client {number}", model=SHA256, predicted="Cardinal",
        confidence=0.9, verdict="sure", region="", claim=claim, claimed="", is_known=values.get("claimed") in COLORS,
        disagrees=claim != Claim.RIGHT, photo="", photo_bytes=0, photo_hash="", duplicate_of=None, status=Status.NEW,
        label="", reviewed=None,
    )  # fmt: skip
    return Correction(**usual | values)


@dataclass
class Kept:
    """The corrections of a folder, beside a site that has them open.

    :param database_url: of another database than the one in that folder.
    """

    folder: Path
    database_url: str = ""
    corrections: Corrections = field(init=False)

    def __post_init__(self) -> None:
        engine = open_database(self.database_url or f"sqlite:///{self.folder / 'feedback.db'}")
        self.corrections = Corrections(engine, FolderStore(self.folder / "photos"), tuple(COLORS))
        self._number = 0

    def add(self, *, jpeg: bytes | None = None, **values: Any) -> int:
        """Keep a correction; its id.

        :param jpeg: its photo.
        """
        self._number += 1
        if jpeg:
            values |= {"photo": f"{self._number:032x}", "photo_bytes": len(jpeg)}
            self.corrections.photos.write(values["photo"], jpeg)
        with Session(self.corrections.engine) as session, session.begin():
            row = correction(self._number, **values)
            session.add(row)
            session.flush()
            return row.id

    def decisions(self) -> dict[int, tuple[str, str]]:
        """The status and the label of each correction, by its id."""
        with Session(self.corrections.engine) as session:
            return {each.id: (each.status, each.label) for each in session.scalars(select(Correction))}
