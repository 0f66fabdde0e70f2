"""Corrections come in, are looked up by their secret address, and go again."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from .photo_store import PhotoStore
from .schema import Claim, Correction, Status

log = logging.getLogger(__name__)


def client_hash(secret_key: str, address_key: str) -> str:
    """A client's name in the table: the same for all its corrections, and no way back to its network address.

    :param secret_key: ``BIRD_SECRET_KEY``; with another one, every client gets another name.
    :param address_key: of the client, as the rate limit sees it.
    :return: 32 hexadecimal digits.
    """
    return hmac.new(secret_key.encode(), f"feedback {address_key}".encode(), hashlib.sha256).hexdigest()[:32]


class FeedbackError(Exception):
    """A correction was not kept; the message is for the visitor."""


@dataclass(frozen=True)
class Answer:
    """The answer that a correction is about; see ``schema.Correction``."""

    predicted: str
    confidence: float
    verdict: str
    region: str
    model: str


@dataclass(frozen=True)
class Kept:
    """What was kept of a correction.

    :param token: the secret part of the address under which it can be deleted.
    :param has_photo: whether its photo was kept.
    :param why_no_photo: why not, as a sentence, if the visitor had agreed to it; empty otherwise.
    """

    token: str
    has_photo: bool
    why_no_photo: str = ""


class Corrections:
    """All corrections.

    :param engine: of the database, whose tables are there.
    :param photos: the photo store.
    :param labels: that the model knows.
    """

    def __init__(self, engine: Engine, photos: PhotoStore, labels: Sequence[str]) -> None:
        self.engine, self.photos, self.labels = engine, photos, frozenset(labels)

    def add(self, answer: Answer, claim: Claim, claimed: str, client: str, photo: bytes | None) -> Kept:
        """Keep a correction.

        :param claimed: the label or the name that the visitor gave, for ``Claim.SPECIES``.
        :param client: a keyed hash of the visitor's network address.
        :param photo: a JPEG file that the decoder process wrote, if the visitor agreed that it is kept.
        :raises FeedbackError: this client has sent too many, or the database does not answer.
        """
        token = secrets.token_urlsafe(24)
        claimed = answer.predicted if claim is Claim.RIGHT else claimed if claim is Claim.SPECIES else ""
        key = secrets.token_hex(16) if photo else ""
        if photo:
            self.photos.write(key, photo)
        with Session(self.engine) as session, session.begin():
            session.add(
                Correction(
                    token_sha256=_sha256(token), created=now(), client=client, model=answer.model,
                    predicted=answer.predicted, confidence=answer.confidence, verdict=answer.verdict,
                    region=answer.region, claim=claim, claimed=claimed, is_known=claimed in self.labels,
                    disagrees=claim is not Claim.RIGHT, photo=key, photo_bytes=len(photo or b""), photo_hash="",
                    duplicate_of=None, status=Status.NEW, label="", reviewed=None,
                )
            )  # fmt: skip
        return Kept(token, has_photo=bool(key))

    def find(self, token: str) -> Correction | None:
        """The correction with a secret address; None if there is none (any more)."""
        with Session(self.engine, expire_on_commit=False) as session:
            return session.scalar(select(Correction).where(Correction.token_sha256 == _sha256(token)))

    def delete(self, token: str) -> bool:
        """Delete a correction and its photo, and tell whether there was one."""
        with Session(self.engine) as session, session.begin():
            correction = session.scalar(select(Correction).where(Correction.token_sha256 == _sha256(token)))
            if correction is None:
                return False
            if correction.photo:
                self.photos.delete(correction.photo)
            session.delete(correction)
        log.info("A correction was deleted by its visitor.")
        return True


def now() -> datetime:
    """The time, UTC, as the database keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
