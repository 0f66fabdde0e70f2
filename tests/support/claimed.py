"""Corrections as the web process hands them on, and photos for them."""

import io
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import update
from sqlalchemy.orm import Session

from feedback.corrections import Answer, Corrections, Kept
from feedback.schema import Claim, Correction, Status

MODEL = "5" * 64


def pattern(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture that looks unlike that of any other seed, in each of its quarters, too."""
    cells = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype="uint8")
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """An image as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def claim(corrections: Corrections, claimed: str | Claim = "Cardinal", **values: Any) -> Kept:
    """Send a correction: the answer was American_Goldfinch.

    :param claimed: the species, or what else the visitor says.
    :param values: ``client``, ``photo`` (a seed, or a JPEG file) and what is in an ``Answer``.
    """
    photo, client = values.pop("photo", None), values.pop("client", "one")
    answer = {"predicted": "American_Goldfinch", "confidence": 0.75, "verdict": "sure", "region": "", "model": MODEL}
    kind = claimed if isinstance(claimed, Claim) else Claim.SPECIES
    content = jpeg(pattern(photo)) if isinstance(photo, int) else photo
    return corrections.add(Answer(**answer | values), kind, claimed, client, content)


def decide(corrections: Corrections, kept: Kept, status: Status, label: str = "", **values: Any) -> None:
    """Review a correction."""
    with Session(corrections.engine) as session, session.begin():
        which = update(Correction).where(Correction.id == corrections.find(kept.token).id)
        session.execute(which.values(status=status, label=label, **values))
