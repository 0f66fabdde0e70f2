"""How well verdicts work: what becomes of photos of known species and of other pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.judge import STRICTNESS, Judge, VerdictRules
from inference.verdict import Verdict
from inference.verdicts_file import AnsweredGroup

from .looks import Looks

STRICTNESSES = tuple(round(0.005 * step, 3) for step in range(41))  # of the curve: 0 to 0.2


@dataclass(frozen=True)
class GroupResult:
    """What becomes of a group of pictures at the default strictness. Shares are from 0 to 1.

    :param name: as in ``AnsweredGroup``.
    :param shares: of the pictures, by verdict.
    :param right_if_sure: share of the sure answers that name the species; None without such answers.
    :param right_if_unsure: share of the unsure answers whose likely species include it; None without such answers.
    :param likely: mean number of likely species of the unsure answers; None without such answers.
    """

    name: str
    pictures: int
    shares: dict[Verdict, float]
    right_if_sure: float | None
    right_if_unsure: float | None
    likely: float | None


class JudgedGroup:
    """A group of pictures, and how familiar each is.

    :param name: as in ``AnsweredGroup``.
    """

    def __init__(self, name: str, looks: Looks, rules: VerdictRules) -> None:
        judge = Judge(rules)
        self._name, self._rules = name, rules
        self._familiarities = [
            judge.familiarity(*each) for each in zip(looks.features, looks.probabilities, strict=True)
        ]
        self._probabilities = looks.probabilities
        ranked = np.argsort(-self._probabilities, axis=1, kind="stable")
        is_right = ranked == looks.targets[:, np.newaxis]
        self._ranks = np.where(is_right.any(axis=1), is_right.argmax(axis=1), ranked.shape[1])

    def measured(self) -> GroupResult:
        """What becomes of them at the default strictness."""
        verdicts, likely = self._verdicts(STRICTNESS)
        sure, unsure = verdicts == Verdict.SURE, verdicts == Verdict.UNSURE
        return GroupResult(
            self._name,
            len(verdicts),
            {verdict: float((verdicts == verdict).mean()) for verdict in Verdict},
            _mean(self._ranks[sure] < likely[sure]),
            _mean(self._ranks[unsure] < likely[unsure]),
            _mean(likely[unsure]),
        )

    def answered(self) -> AnsweredGroup:
        """How many of them get an answer at which strictness."""
        at_each = [self._verdicts(strictness)[0] for strictness in STRICTNESSES]
        answered = [float(np.isin(verdicts, (Verdict.SURE, Verdict.UNSURE)).mean()) for verdicts in at_each]
        no_bird = [float((verdicts == Verdict.NO_BIRD).mean()) for verdicts in at_each]
        return AnsweredGroup(self._name, len(self._ranks), tuple(answered), tuple(no_bird))

    def _verdicts(self, strictness: float) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int_]]:
        """The verdict of each picture, and its number of likely species."""
        judge = Judge(self._rules, strictness)
        answers = [judge.verdict(*each) for each in zip(self._familiarities, self._probabilities, strict=True)]
        return np.array([verdict.value for verdict, _ in answers]), np.array([likely for _, likely in answers])


def results_table(results: Sequence[GroupResult]) -> str:
    """The results as lines of text."""
    rows = [("", "pictures", *(verdict.replace("_", " ") for verdict in Verdict), "right if sure", "if unsure", "of")]
    for result in results:
        shares = [_percent(result.shares[verdict]) for verdict in Verdict]
        likely = "" if result.likely is None else f"{result.likely:.1f}"
        is_known = result.name in ("validation", "test")
        right = [_percent(share) if is_known else "" for share in (result.right_if_sure, result.right_if_unsure)]
        rows.append((result.name, str(result.pictures), *shares, *right, likely))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    ]
    return "\n".join(map("  ".join, aligned))


def _mean(values: npt.NDArray[np.generic]) -> float | None:
    return float(values.mean()) if len(values) else None


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
