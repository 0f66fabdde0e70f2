"""Corrections for tests and benchmarks: sent as the web process hands them on, or written straight to the database."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from feedback.corrections import Answer, Corrections, Kept
from feedback.limits import now
from feedback.opening import open_database
from feedback.photo_store import FolderStore
from feedback.schema import Claim, Correction, Status

from .drawings import encoded
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


def pattern(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture that looks unlike that of any other seed, in each of its quarters, too."""
    cells = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype="uint8")
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """An image as a JPEG file."""
    return encoded(image, "JPEG", quality=quality)


def claim(corrections: Corrections, claimed: str | Claim = "Cardinal", **values: Any) -> Kept:
    """Send a correction: the answer was American_Goldfinch.

    :param claimed: the species, or what else the visitor says.
    :param values: ``client``, ``photo`` (a seed, or a JPEG file) and what is in an ``Answer``.
    """
    photo, client = values.pop("photo", None), values.pop("client", "one")
    answer = {"predicted": "American_Goldfinch", "confidence": 0.75, "verdict": "sure", "region": "", "model": SHA256}
    kind = claimed if isinstance(claimed, Claim) else Claim.SPECIES
    content = jpeg(pattern(photo)) if isinstance(photo, int) else photo
    return corrections.add(Answer(**answer | values), kind, claimed, client, content)


def decide(corrections: Corrections, kept: Kept, status: Status, label: str = "", **values: Any) -> None:
    """Review a correction."""
    with Session(corrections.engine) as session, session.begin():
        which = update(Correction).where(Correction.id == corrections.find(kept.token).id)
        session.execute(which.values(status=status, label=label, **values))


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
class CorrectionFolder:
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
