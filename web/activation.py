"""What the network looked at: a class activation map as an image over the photo, and in words."""

import io
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.regions import Region
from inference.sentences import Sentence

Activation = Sequence[Sequence[float]]  # as in Identification

AREAS = (
    (Sentence("upper left"), Sentence("top"), Sentence("upper right")),
    (Sentence("left"), Sentence("middle"), Sentence("right")),
    (Sentence("lower left"), Sentence("bottom"), Sentence("lower right")),
)
#: What is said of maps over a photo and over a part of it: nothing, everything, most, or some areas stand out.
_SENTENCES = {
    "photo": (
        Sentence("No part of the photo stood out."),
        Sentence("It looked at all of the photo alike."),
        Sentence("It looked at most of the photo."),
        Sentence("It looked mostly at %(areas)s of the photo."),
    ),
    "marked part": (
        Sentence("No part of the marked part stood out."),
        Sentence("It looked at all of the marked part alike."),
        Sentence("It looked at most of the marked part."),
        Sentence("It looked mostly at %(areas)s of the marked part."),
    ),
}
THIRDS = 3  # an image has so many rows of areas, and so many areas in a row

#: An area is named if it has at least this share of what the strongest area has.
NAMED_FROM = 0.7
MOST = 5  # areas; if so many are to be named, they are most of the image

COLOR = (255, 0, 200)  # RGB; few birds have it
OPACITY = 0.6  # of the strongest place: the photo stays visible


def overlay_png(activation: Activation) -> bytes:
    """A PNG of one pixel for each place, the more opaque the more it adds; browsers smooth it when they stretch it."""
    shares = np.asarray(activation, dtype=float)
    pixels = np.empty((*shares.shape, 4), "uint8")
    pixels[..., :3] = COLOR
    pixels[..., 3] = np.round(255 * OPACITY * shares.clip(0, 1))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def in_words(activation: Activation, image: str = "photo") -> Sentence:
    """A sentence that says which areas of the image added the most to the answer, the strongest first.

    :param image: what the map lies over, ``photo`` or ``marked part``.
    """
    nothing, everything, most, some = _SENTENCES[image]
    strengths = _thirds(np.asarray(activation, dtype=float)).ravel()
    strongest = strengths.max()
    if strongest <= 0:
        return nothing
    names = [name for row in AREAS for name in row]
    order = np.argsort(-strengths, kind="stable")
    named = [Sentence("the %(area)s", area=names[i]) for i in order if strengths[i] >= NAMED_FROM * strongest]
    if len(named) == len(names):
        return everything
    if len(named) >= MOST:
        return most
    return some.given(areas=_listed(named))


def area_of(region: Region) -> Sentence:
    """The area of the photo in which the middle of a region lies, such as ``upper left``."""
    column, row = region.x + region.width / 2, region.y + region.height / 2
    return AREAS[_third(row)][_third(column)]


def _third(share: float) -> int:
    return min(int(THIRDS * share), THIRDS - 1)


def _thirds(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the map over each of the ``AREAS``; a place that lies in several counts by how much of it does."""
    rows, columns = (_weights(count) for count in shares.shape)
    return rows @ shares @ columns.T


def _weights(count: int) -> NDArray[np.float64]:
    """For each third of a side, the share of it that each of ``count`` equal pieces of the side covers."""
    pieces, thirds = np.arange(count) / count, np.arange(THIRDS)[:, np.newaxis] / THIRDS
    overlap = np.minimum(pieces + 1 / count, thirds + 1 / THIRDS) - np.maximum(pieces, thirds)
    weights: NDArray[np.float64] = THIRDS * overlap.clip(0)
    return weights


def _listed(names: list[Sentence]) -> Sentence:
    """``a``, ``a and b``, or ``a, b and c``."""
    *first, last = names
    if not first:
        return last
    return Sentence("%(areas)s and %(last)s", areas=reduce(_with_comma, first), last=last)


def _with_comma(areas: Sentence, further: Sentence) -> Sentence:
    return Sentence("%(areas)s, %(next_area)s", areas=areas, next_area=further)
