"""The label under which a correction is exported: what its claim comes to, and what may be the name of a folder."""

from inference import OTHER_FOLDER
from inference.labels import is_label
from inference.verdict import Verdict

from .schema import Claim, Correction

LONGEST = 255  # bytes of the name of a folder
_FORBIDDEN = frozenset('/\\:*?"<>|')  # in names of folders, here or on Windows


def claimed_label(correction: Correction) -> str:
    """The label that a visitor's claim comes to; empty if somebody has to choose one."""
    claim, verdict = correction.claim, correction.verdict
    if claim == Claim.NO_BIRD or (claim == Claim.RIGHT and verdict == Verdict.NO_BIRD):
        return OTHER_FOLDER
    if claim == Claim.RIGHT and verdict == Verdict.UNKNOWN_BIRD:
        return ""  # the visitor agrees that it is none of the species that the model knows
    return correction.claimed if correction.is_known else ""


def is_folder_name(label: str) -> bool:
    """Whether photos can be exported under a label: it becomes the name of a folder, and training skips hidden ones."""
    if label == OTHER_FOLDER:
        return True
    is_plain = label.isprintable() and is_label(label) and not _FORBIDDEN.intersection(label)
    fits = 0 < len(label.encode(errors="replace")) <= LONGEST
    return is_plain and fits and label.strip(" .") == label and not label.startswith("_")
