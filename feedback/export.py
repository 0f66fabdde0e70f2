"""Accepted photos, written as ``<label>/<key>.jpg`` for training; what was deleted since goes from there, too."""

import contextlib
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from sqlalchemy import select

from .corrections import Corrections
from .duplicates import part_of
from .errors import FeedbackError
from .labels import claimed_label, is_folder_name
from .schema import Correction, Status
from .sessions import reading

MANIFEST = ".feedback.json"  # the files that an export wrote; training reads no hidden files
NEW = ".feedback.new"  # the file that is being written
QUALITY = 92  # of a JPEG file that is cut out of another

_FILE = re.compile(r"[0-9a-f]+\.jpg")


@dataclass(frozen=True)
class Exported:
    """What an export did.

    :param written: photos that are new in the folder.
    :param unchanged: photos that an earlier export wrote.
    :param removed: photos that an earlier export wrote, and that were deleted, rejected or relabelled since.
    :param duplicates: photos left out because the folder has a near-duplicate.
    :param contradicting: photos left out because near-duplicates have different labels.
    :param unlabelled: photos left out because they have no label, or one that cannot be the name of a folder.
    :param lost: photos that are not in the photo store any more, or damaged there.
    """

    written: int
    unchanged: int
    removed: int
    duplicates: int
    contradicting: int
    unlabelled: int
    lost: int

    def in_words(self) -> list[str]:
        """The same for people, a line each."""
        reasons = {
            "near-duplicates of others": self.duplicates,
            "near-duplicates with different labels": self.contradicting,
            "without a label that can be the name of a folder": self.unlabelled,
            "missing or damaged in the photo store": self.lost,
        }
        return [
            f"Written: {self.written} photos. There already: {self.unchanged}. Removed: {self.removed}.",
            *(f"Left out: {number} {reason}." for reason, number in reasons.items() if number),
        ]


def export_accepted(corrections: Corrections, folder: Path, include_unreviewed: bool = False) -> Exported:
    """Write the accepted photos to a folder, and remove those that an earlier export wrote and that go.

    Files that no export wrote are not touched. If it is interrupted, the next one finishes it.

    :param include_unreviewed: whether to write those, too, that nobody has reviewed, as what their visitors claim.
    :raises FeedbackError: the database does not answer, the folder's list of files is damaged, or the folder holds
        something else.
    :raises OSError: the folder cannot be written to, or the photo store does not answer.
    """
    wanted, duplicates, contradicting, unlabelled = _choose(_find(corrections, include_unreviewed))
    folder.mkdir(parents=True, exist_ok=True)
    earlier = _read_manifest(folder)
    (folder / NEW).unlink(missing_ok=True)
    # What is on the list without being there does no harm; what is there without being on the list would stay for ever.
    _write_manifest(folder, earlier | set(wanted))
    stale = earlier - set(wanted)
    for name in stale:
        _remove(folder, name)
    missing = [name for name in wanted if not (folder / name).exists()]
    lost = {name for name in missing if not _write_photo(corrections, wanted[name], folder, name)}
    _write_manifest(folder, set(wanted) - lost)
    written, unchanged = len(missing) - len(lost), len(wanted) - len(missing)
    return Exported(written, unchanged, len(stale), duplicates, contradicting, unlabelled, len(lost))


def _find(corrections: Corrections, include_unreviewed: bool) -> list[tuple[Correction, str]]:
    """Corrections with a photo, by id, and the label of each."""
    statuses = [Status.ACCEPTED, Status.NEW] if include_unreviewed else [Status.ACCEPTED]
    query = select(Correction).where(Correction.status.in_(statuses), Correction.photo != "").order_by(Correction.id)
    with reading(corrections.engine) as session:
        found = session.scalars(query).all()
    return [(each, each.label if each.status == Status.ACCEPTED else claimed_label(each)) for each in found]


def _choose(found: Iterable[tuple[Correction, str]]) -> tuple[dict[str, Correction], int, int, int]:
    """Of near-duplicates the first, unless their labels differ. What a reviewer has decided goes before claims.

    :return: the corrections by their files; how many are left out as duplicates, as contradicting, and without a label.
    """
    groups: dict[int, list[tuple[Correction, str]]] = defaultdict(list)
    unlabelled = 0
    for correction, label in found:
        if is_folder_name(label):
            groups[correction.duplicate_of or correction.id].append((correction, label))
        else:
            unlabelled += 1
    wanted, duplicates, contradicting = {}, 0, 0
    for group in groups.values():
        reviewed = [pair for pair in group if pair[0].status == Status.ACCEPTED] or group
        (first, label), *_rest = reviewed
        if len({label for _correction, label in reviewed}) > 1:
            contradicting += len(group)
            continue
        wanted[f"{label}/{first.photo}.jpg"] = first
        duplicates += len(group) - 1
    return wanted, duplicates, contradicting, unlabelled


def _write_photo(corrections: Corrections, correction: Correction, folder: Path, name: str) -> bool:
    """Write a photo, or tell that the photo store does not have it whole."""
    jpeg = corrections.photos.read(correction.photo)
    content = _cut_out(jpeg, correction.region) if jpeg else None
    if content is None:
        return False
    (folder / name).parent.mkdir(exist_ok=True)
    _write(folder, name, content)
    return True


def _cut_out(jpeg: bytes, region: str) -> bytes | None:
    """The part of a photo that an answer is about, as a JPEG file; None if the photo is damaged."""
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            image.load()
            if not region:
                return jpeg
            part_of(image, region).save(buffer, "JPEG", quality=QUALITY)
    except OSError:
        return None
    return buffer.getvalue()


def _write(folder: Path, name: str, content: bytes) -> None:
    """Write a file at once, so that nobody finds half of it."""
    new = folder / NEW
    try:
        new.write_bytes(content)
        new.replace(folder / name)
    finally:
        new.unlink(missing_ok=True)


def _remove(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other files are in it, or it is gone
        (folder / name).parent.rmdir()


def _read_manifest(folder: Path) -> set[str]:
    """The files that earlier exports wrote.

    :raises FeedbackError: the list is damaged; it could name any file. Or it is not there, but other files are: they
        may be the photos that the model was trained or tested with.
    """
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if any(not each.name.startswith(".") for each in folder.iterdir()):
            raise FeedbackError(f"{folder} holds files that no export wrote. Export to a new folder.") from None
        return set()
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_ours(name) for name in names):
        raise FeedbackError(
            f"{folder / MANIFEST} is damaged, so nobody knows which photos an export wrote. Export to a new folder."
        )
    return set(names)


def _write_manifest(folder: Path, names: set[str]) -> None:
    _write(folder, MANIFEST, json.dumps(sorted(names), ensure_ascii=False, indent=0).encode())


def _is_ours(name: str) -> bool:
    label, _slash, file = name.partition("/")
    return is_folder_name(label) and _FILE.fullmatch(file) is not None
