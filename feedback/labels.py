"""The label under which a correction is exported: what its claim comes to, and what may be the name of a folder."""

from inference import OTHER_FOLDER
from inference.labels import is_label
from inference.verdict import Verdict

from .schema import Claim, Correction

LONGEST = 255  # bytes of the name of a folder
_FORBIDDEN = frozenset('/\\:*?"<>|')  # in names of folders, here or on Windows


def claimed_label(correction: Correction) -> str:
    """The label that a visitor's claim comes to; empty if somebody has to choose one."""
    agrees_on_no_bird = correction.claim == Claim.RIGHT and correction.verdict == Verdict.NO_BIRD
    if correction.claim == Claim.NO_BIRD or agrees_on_no_bird:
        return OTHER_FOLDER
    return correction.claimed if correction.is_known else ""


def is_folder_name(label: str) -> bool:
    """Whether photos can be exported under a label: it becomes the name of a folder, and training skips hidden ones."""
    if label == OTHER_FOLDER:
        return True
    is_plain = label.isprintable() and is_label(label) and not _FORBIDDEN.intersection(label)
    fits = 0 < len(label.encode(errors="replace")) <= LONGEST
    return is_plain and fits and label.strip(" .") == label and not label.startswith("_")
