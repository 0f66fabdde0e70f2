"""Corrections come in, are looked up by their secret address, and go again."""

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Engine, delete, or_, select
from sqlalchemy.orm import Session

from inference.labels import is_label
from inference.names import species_names
from inference.sentences import Sentence
from inference.verdict import Verdict

from .duplicates import find_original, find_repeated, hash_of_part, pass_on_duplicates
from .errors import ClaimError, FeedbackError
from .limits import DEFAULTS, Limits, now
from .photo_store import PhotoStore
from .schema import Claim, Correction, RepeatToken, Status, StrayPhoto
from .sessions import reading, writing

log = logging.getLogger(__name__)

NO_ROOM = Sentence("There is no room for more photos at the moment, so your photo was not kept.")
NOT_KEPT = Sentence("Your photo could not be kept because of a problem on our side.")
STRAY_AFTER = timedelta(hours=1)  # by then a photo has its correction, or the process that was to write it is gone
SWEEP_EVERY = 3600  # seconds
SWEPT_AT_ONCE = 100  # corrections, and as many photos


def client_hash(secret_key: str, address_key: str) -> str:
    """A client's name in the table: the same for all its corrections, and no way back to its network address.

    :param secret_key: ``BIRD_SECRET_KEY``; with another one, every client gets another name.
    :param address_key: of the client, as the rate limit sees it.
    :return: 32 hexadecimal digits.
    """
    return hmac.new(secret_key.encode(), f"feedback {address_key}".encode(), hashlib.sha256).hexdigest()[:32]


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
    :param why_no_photo: why not, if the visitor had agreed to it.
    """

    token: str
    has_photo: bool
    why_no_photo: Sentence | None = None


class Corrections:
    """All corrections.

    :param engine: of the database, whose tables are there.
    :param photos: the photo store.
    :param labels: that the model knows.
    :param limits: how much is kept, and for how long.
    """

    def __init__(self, engine: Engine, photos: PhotoStore, labels: Sequence[str], limits: Limits = DEFAULTS) -> None:
        self.engine, self.photos, self.limits = engine, photos, limits
        self.labels = frozenset(labels)
        self._labels_by_name = {name.casefold(): label for label, name in species_names(labels).items()}
        self._labels_by_name |= {label.casefold(): label for label in labels}
        self._store_fails = False
        self._next_sweep = time.monotonic() + SWEEP_EVERY

    def check_client(self, client: str) -> None:
        """Find out whether a client may send a correction, before the work of copying its photo.

        :param client: as for ``add``.
        :raises TooManyError: it has sent too many.
        :raises FeedbackError: the database does not answer.
        """
        with reading(self.engine) as session:
            self.limits.check_client(session, client)

    def add(self, answer: Answer, claim: Claim, claimed: str, client: str, photo: bytes | None) -> Kept:
        """Keep a correction. If it was kept already, this visitor gets another address for it.

        :param claimed: the label or the name that the visitor gave, for ``Claim.SPECIES``.
        :param client: a keyed hash of the visitor's network address.
        :param photo: a JPEG file that the decoder process wrote, if the visitor agreed that it is kept.
        :raises TooManyError: this client has sent too many.
        :raises ClaimError: ``claimed`` is no name.
        :raises FeedbackError: the database does not answer.
        """
        correction = self._correction(answer, claim, claimed, client)
        why_no_photo = self._keep_photo(correction, photo) if photo else None
        token = secrets.token_urlsafe(24)
        with writing(self.engine) as session:
            self.limits.check_client(session, client)
            repeated = find_repeated(session, correction)
            if repeated:
                again = RepeatToken(token_sha256=_sha256(token), correction_id=repeated.id, created=correction.created)
                session.add(again)
            else:
                correction.token_sha256 = _sha256(token)
                correction.duplicate_of = find_original(session, correction)
                session.execute(delete(StrayPhoto).where(StrayPhoto.key == correction.photo))
                session.add(correction)
        if repeated:
            self._delete_strays([correction.photo])
        return Kept(token, bool(correction.photo), why_no_photo)

    def find(self, token: str) -> Correction | None:
        """The correction with a secret address; None if there is none (any more).

        :raises FeedbackError: the database does not answer.
        """
        with reading(self.engine) as session:
            return session.scalar(select(Correction).where(_has_token(token)))

    def get(self, number: int) -> Correction | None:
        """The correction with an id.

        :raises FeedbackError: the database does not answer.
        """
        with reading(self.engine) as session:
            return session.get(Correction, number)

    def delete(self, token: str) -> bool:
        """Delete a correction and its photo, and tell whether there was one.

        If the photo store does not answer, the photo is deleted as soon as it does; nothing refers to it any more.

        :raises FeedbackError: the database does not answer; nothing is deleted.
        """
        is_deleted = self._delete(_has_token(token))
        if is_deleted:
            log.info("A correction was deleted by its visitor.")
        return is_deleted

    def delete_ids(self, ids: Collection[int]) -> int:
        """Delete corrections and their photos, as ``delete`` does; ids of those that are gone already are ignored.

        :return: how many there were.
        :raises FeedbackError: the database does not answer. Those before are deleted, the rest stay.
        """
        deleted = sum(self._delete(Correction.id == number) for number in ids)
        log.info("%d corrections were deleted by a reviewer.", deleted)
        return deleted

    def label_of(self, name: str) -> str | None:
        """The label that somebody means by a name, or by the label itself; None if the model has none of that name."""
        by_name = self._labels_by_name
        return by_name.get(name.casefold()) or by_name.get(" ".join(name.split()).casefold())

    def is_sweep_due(self) -> bool:
        """Whether the last ``sweep`` was an hour ago, or has left something to the next one."""
        return time.monotonic() > self._next_sweep

    def sweep(self) -> None:
        """Delete what is too old, and photos that belong to no correction; if there are many, the rest next time."""
        self._next_sweep = time.monotonic() + SWEEP_EVERY
        try:
            with writing(self.engine) as session:
                expired = session.scalars(select(Correction).where(self.limits.is_expired()).limit(SWEPT_AT_ONCE)).all()
                for correction in expired:
                    _forget(session, correction)
                noted = select(StrayPhoto.key).where(StrayPhoto.created < now() - STRAY_AFTER)
                strays = session.scalars(noted.order_by(StrayPhoto.created).limit(SWEPT_AT_ONCE)).all()
            self._delete_strays([*strays, *(each.photo for each in expired)])
        except FeedbackError:
            return  # it was logged
        if len(expired) == SWEPT_AT_ONCE:
            self._next_sweep = time.monotonic()  # not because of photos: a store that fails would be asked all the time
        if expired:
            log.info("%d corrections were deleted because of their age.", len(expired))

    def _correction(self, answer: Answer, claim: Claim, claimed: str, client: str) -> Correction:
        """A correction without a photo, as the table is to have it."""
        named = "" if answer.verdict in (Verdict.UNKNOWN_BIRD, Verdict.NO_BIRD) else answer.predicted
        claimed = named if claim is Claim.RIGHT else self._name(claimed) if claim is Claim.SPECIES else ""
        if (claimed and claimed == named) or (claim is Claim.NO_BIRD and answer.verdict == Verdict.NO_BIRD):
            claim = Claim.RIGHT
        return Correction(
            created=now(), client=client, model=answer.model, predicted=answer.predicted,
            confidence=answer.confidence, verdict=answer.verdict, region=answer.region, claim=claim, claimed=claimed,
            is_known=claimed in self.labels, disagrees=claim is not Claim.RIGHT, photo="", photo_bytes=0,
            photo_hash="", duplicate_of=None, status=Status.NEW, label="", reviewed=None,
        )  # fmt: skip

    def _name(self, claimed: str) -> str:
        """The label that a visitor means, or the name that they give.

        :raises ClaimError: it is no name.
        """
        name = " ".join(claimed.split())
        if not name or not is_label(name):
            raise ClaimError(Sentence("Please give the name of the species, in at most 255 characters."))
        return self.label_of(claimed) or name

    def _keep_photo(self, correction: Correction, photo: bytes) -> Sentence | None:
        """Write a photo to the store and its key to the correction, or say why not.

        :raises FeedbackError: as ``add``.
        """
        try:
            photo_hash = hash_of_part(photo, correction.region)
            key = self._reserve(correction.client, len(photo))
            if not key:
                return NO_ROOM
            self.photos.write(key, photo)
        except OSError as error:
            self._store_failed(error)
            return NOT_KEPT
        self._store_fails = False
        correction.photo, correction.photo_bytes, correction.photo_hash = key, len(photo), photo_hash
        return None

    def _reserve(self, client: str, photo_bytes: int) -> str:
        """Note a photo that is about to be written, and give its key; an empty one if there is no room."""
        with writing(self.engine) as session:
            self.limits.check_client(session, client)
            if not self.limits.has_room(session, photo_bytes):
                return ""
            key = secrets.token_hex(16)
            session.add(StrayPhoto(key=key, photo_bytes=photo_bytes, created=now()))
            return key

    def _delete(self, which: ColumnElement[bool]) -> bool:
        with writing(self.engine) as session:
            correction = session.scalar(select(Correction).where(which))
            if correction is None:
                return False
            _forget(session, correction)
        self._delete_strays([correction.photo])
        return True

    def _delete_strays(self, keys: Sequence[str]) -> None:
        """Delete photos from the store as far as it answers; ``sweep`` deletes the others.

        :raises FeedbackError: the database does not answer.
        """
        deleted = []
        try:
            for key in filter(None, keys):
                self.photos.delete(key)
                deleted.append(key)
        except OSError as error:
            self._store_failed(error)
        if deleted:
            with writing(self.engine) as session:
                session.execute(delete(StrayPhoto).where(StrayPhoto.key.in_(deleted)))

    def _store_failed(self, error: OSError) -> None:
        if not self._store_fails:  # a full disk stays full for a while
            log.warning("The photo store of corrections fails: %s", error.strerror or error)
        self._store_fails = True


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _has_token(token: str) -> ColumnElement[bool]:
    again = select(RepeatToken.correction_id).where(RepeatToken.token_sha256 == _sha256(token))
    return or_(Correction.token_sha256 == _sha256(token), Correction.id.in_(again))


def _forget(session: Session, correction: Correction) -> None:
    """Delete a correction, and note its photo for being deleted."""
    if correction.photo:
        session.add(StrayPhoto(key=correction.photo, photo_bytes=correction.photo_bytes, created=now()))
    pass_on_duplicates(session, correction)
    session.execute(delete(RepeatToken).where(RepeatToken.correction_id == correction.id))
    session.delete(correction)
