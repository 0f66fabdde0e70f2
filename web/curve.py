"""The curve of the verdicts as a table: how many pictures are answered at which strictness."""

from dataclasses import dataclass

import numpy as np

from inference.sentences import Sentence
from inference.verdicts_file import VerdictCurve

MAX_ROWS = 8  # besides the site's own

#: What the groups of pictures are called on the page.
GROUPS = {
    "validation": Sentence("Known birds, which set the thresholds"),
    "test": Sentence("Known birds, which did not"),
    "other birds": Sentence("Other birds"),
    "others": Sentence("Other things"),
}


@dataclass(frozen=True)
class CurveRow:
    """What happens to pictures at one strictness.

    :param strictness: the share of known birds that may be refused, 0 to 1.
    :param answered: the share that is answered of each group of pictures, in the order of the curve's groups; None
        where that was not measured.
    :param is_own: whether the site has this strictness.
    """

    strictness: float
    answered: tuple[float | None, ...]
    is_own: bool


def curve_rows(curve: VerdictCurve, own: float) -> list[CurveRow]:
    """Some of the strictnesses that were measured, and the site's own, in ascending order.

    :param own: the site's strictness. If it lies between two that were measured, so do its shares.
    """
    count = len(curve.strictness)
    measured = np.linspace(0, count - 1, min(count, MAX_ROWS)).round().astype(int)
    chosen = sorted({own, *(curve.strictness[index] for index in measured)})
    return [
        CurveRow(each, tuple(_share(each, curve.strictness, group.answered) for group in curve.groups), each == own)
        for each in chosen
    ]


def _share(at: float, strictness: tuple[float, ...], shares: tuple[float, ...]) -> float | None:
    if not strictness or not strictness[0] <= at <= strictness[-1]:
        return None
    return float(np.interp(at, strictness, shares))


def group_names(curve: VerdictCurve) -> list[str]:
    """The groups of pictures in words for people."""
    return [GROUPS.get(group.name, group.name) for group in curve.groups]
