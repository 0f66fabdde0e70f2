"""The tables of the database. A change here needs a migration in ``feedback/migrations/versions``."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import DateTime, ForeignKey, Index, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Claim(StrEnum):
    """What a visitor says of an answer."""

    RIGHT = "right"
    SPECIES = "species"  # it is another species, which the visitor names
    NO_BIRD = "no_bird"
    UNKNOWN = "unknown"  # the answer is wrong, or may be, and the visitor does not know better


class Status(StrEnum):
    """What the operator has decided about a correction."""

    NEW = "new"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Base(DeclarativeBase):
    """Gives every constraint and index a name, so that migrations can change it on each database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )


class Correction(Base):
    """A visitor's claim about an answer.

    :ivar token_sha256: of the secret address under which the visitor can delete it; the address itself is not kept.
    :ivar created: when it came in, UTC without a time zone.
    :ivar client: a keyed hash of the visitor's network address; equal for claims of one client.
    :ivar model: the SHA-256 of the ``.h5`` that gave the answer.
    :ivar predicted: the label that it gave.
    :ivar confidence: of that label, 0 to 1.
    :ivar verdict: as in an ``Identification``; empty if there was none.
    :ivar region: the part of the photo that the answer is about, as ``str(Region)``; empty for the whole photo.
    :ivar claim: what the visitor says.
    :ivar claimed: the label or the other name that the visitor gave; the predicted label for ``RIGHT``, unless the
        answer was that it is none that the model knows, or no bird; else empty.
    :ivar is_known: whether ``claimed`` is a label of the model.
    :ivar disagrees: whether the claim says that the answer was wrong.
    :ivar photo: the key of the photo in the photo store; empty if none is kept.
    :ivar photo_bytes: its size.
    :ivar photo_hash: the perceptual hash of the part that the answer is about, 16 hexadecimal digits; empty without a
        photo.
    :ivar duplicate_of: the id of the first correction with a near-duplicate of this photo; None if this is the first.
    :ivar status: what the operator decided.
    :ivar label: under which it is exported once it is accepted; ``OTHER_FOLDER`` for pictures of no bird.
    :ivar reviewed: when the operator decided, UTC.
    """

    __tablename__ = "corrections"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created: Mapped[datetime] = mapped_column(DateTime, index=True)
    client: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(64))
    predicted: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float]
    verdict: Mapped[str] = mapped_column(String(16))
    region: Mapped[str] = mapped_column(String(64))
    claim: Mapped[str] = mapped_column(String(16))
    claimed: Mapped[str] = mapped_column(Text)
    is_known: Mapped[bool]
    disagrees: Mapped[bool]
    photo: Mapped[str] = mapped_column(String(64))
    photo_bytes: Mapped[int]
    photo_hash: Mapped[str] = mapped_column(String(16))
    duplicate_of: Mapped[int | None] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(Text)
    reviewed: Mapped[datetime | None] = mapped_column(DateTime)

    __table_args__ = (
        Index("ix_corrections_review", "status", "disagrees", "confidence", "id"),
        Index("ix_corrections_client", "client", "created"),
        {"sqlite_autoincrement": True},  # otherwise SQLite gives the id of a deleted correction to another one
    )


class RepeatToken(Base):
    """The secret address that a visitor got for sending a correction again, which is kept only once.

    :ivar token_sha256: as in ``Correction``.
    :ivar correction_id: what can be deleted there.
    :ivar created: when it was sent again, UTC.
    """

    __tablename__ = "repeat_tokens"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    correction_id: Mapped[int] = mapped_column(ForeignKey("corrections.id", ondelete="CASCADE"), index=True)
    created: Mapped[datetime] = mapped_column(DateTime)


class StrayPhoto(Base):
    """A photo that may lie in the photo store, but belongs to no correction (yet, or any more).

    It is noted before the photo is written, and when its correction is deleted. So no photo is forgotten, whenever a
    process is killed and however long the store does not answer.

    :ivar key: of the photo.
    :ivar photo_bytes: its size.
    :ivar created: when it was noted, UTC.
    """

    __tablename__ = "stray_photos"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    photo_bytes: Mapped[int]
    created: Mapped[datetime] = mapped_column(DateTime, index=True)
