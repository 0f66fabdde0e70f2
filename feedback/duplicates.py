"""Photos that were sent more than once, found by a perceptual hash of the part that the answer is about."""

import io

from PIL import Image
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from inference.perceptual_hash import MAX_HASH_DISTANCE, difference_hash
from inference.regions import Region, RegionError

from .schema import Correction

MARGIN = 1.2  # how much longer the sides of what is cut out are than those of the part that the answer is about


def part_of(image: Image.Image, region: str) -> Image.Image:
    """The part of a photo that an answer is about, with some margin; the whole photo if it is about that.

    :param region: as ``str(Region)``; empty for the whole photo.
    """
    if not region:
        return image
    try:
        return image.crop(Region.parse(region).enlarged(MARGIN).box(*image.size))
    except RegionError:
        return image


def hash_of_part(jpeg: bytes, region: str) -> str:
    """The perceptual hash of the part of a photo that an answer is about, as 16 hexadecimal digits.

    :raises OSError: it is not a JPEG file.
    """
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        return f"{difference_hash(part_of(image, region)):016x}"


def find_repeated(session: Session, correction: Correction) -> Correction | None:
    """What the same client has said of the same photo before, if it was the same."""
    if not correction.photo_hash:
        return None
    earlier = select(Correction).where(
        Correction.client == correction.client,
        Correction.claim == correction.claim,
        Correction.claimed == correction.claimed,
        Correction.photo_hash != "",
    )
    return next((each for each in session.scalars(earlier) if _are_near(each.photo_hash, correction.photo_hash)), None)


def find_original(session: Session, correction: Correction) -> int | None:
    """The id of the first correction with a near-duplicate of this photo."""
    if not correction.photo_hash:
        return None
    originals = select(Correction.id, Correction.photo_hash).where(
        Correction.photo_hash != "", Correction.duplicate_of.is_(None)
    )
    rows = session.execute(originals.order_by(Correction.id))
    return next((number for number, photo_hash in rows if _are_near(photo_hash, correction.photo_hash)), None)


def pass_on_duplicates(session: Session, correction: Correction) -> None:
    """Have the first of the duplicates of a correction, which is about to go, take its place."""
    duplicates = select(Correction.id).where(Correction.duplicate_of == correction.id).order_by(Correction.id)
    if first := session.scalar(duplicates.limit(1)):
        session.execute(update(Correction).where(Correction.duplicate_of == correction.id).values(duplicate_of=first))
        session.execute(update(Correction).where(Correction.id == first).values(duplicate_of=None))


def _are_near(one: str, other: str) -> bool:
    return (int(one, 16) ^ int(other, 16)).bit_count() <= MAX_HASH_DISTANCE
