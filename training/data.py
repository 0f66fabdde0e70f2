"""From a folder of labelled photos to the splits to train, validate and test with."""

import random
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.labels import MAX_LABEL_LENGTH, is_label

from .faults import DataError, Fault, count_of, kinds_of, printable
from .folders import Folder, open_data
from .layout import SPLITS, find_layout, labels_in
from .near_duplicates import duplicate_groups
from .others import OTHER_FOLDER, Others, split_others
from .photos import LabeledPhoto, leave_out_duplicates, leave_out_unreadable

HELD_OUT = 0.1  # share of a label's photos for validation, and again for test, if the folder has none for them
MIN_PHOTOS = 5  # of a label, to learn from; fewer are too few
SEED = 0  # of the splitting, and of all randomness in training

#: Formats of photos that the app does not read.
_RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".pef", ".srw", ".raw")
_OTHER_PHOTOS = (".tif", ".tiff", ".bmp", ".jp2", ".jxl", ".psd", *_RAW)


@dataclass(frozen=True)
class Split:
    """The labelled photos of one split.

    :param paths: photo files.
    :param targets: ``int32[len(paths)]``, the class index of each.
    """

    paths: list[Path]
    targets: npt.NDArray[np.int32]


@dataclass(frozen=True)
class MorePhotos:
    """Photos from corrections of visitors.

    :param learned: those that are to be learned from, in ``train`` or in ``others``. Visitors have not agreed that
        anybody publishes them.
    :param held_out: those that decide whether the new network is better.
    """

    learned: frozenset[Path]
    held_out: Split


@dataclass(frozen=True)
class Dataset:
    """What a folder holds, ready to train on.

    :param class_indices: the index of each label, in alphabetical order.
    :param splits: ``train``, ``validation`` and, where there are photos for it, ``test``.
    :param faults: what was wrong with the folder.
    :param others: pictures of none of the labels.
    :param corrected: for ``test``, if decisions correct it: the class index of each photo, -1 for one to leave out.
    :param hashes: the perceptual hash of each photo that was read.
    :param more: photos from corrections; None if none were added.
    """

    class_indices: dict[str, int]
    splits: dict[str, Split]
    faults: list[Fault]
    others: Others = field(default_factory=Others)
    corrected: dict[str, npt.NDArray[np.int32]] = field(default_factory=dict)
    hashes: dict[Path, int] = field(default_factory=dict)
    more: MorePhotos | None = None


def read_dataset(data: Path) -> Dataset:
    """Find the photos, open each once, and decide which split each belongs to.

    :param data: holds ``<label>/*``, which is then split 80/10/10, or ``train/<label>/*``,
        ``validation/<label>/*`` and perhaps ``test/<label>/*``, also in a folder deeper or under other usual names.
        Beside them, ``_other/`` may hold pictures of none of the labels.
    :raises DataError: there is nothing to train on.
    """
    photos, faults = find_photos(data)
    for leave_out in (leave_out_unreadable, leave_out_duplicates, leave_out_small_labels):
        photos, found = leave_out(photos)
        faults += found
    labels = sorted({photo.label for photo in photos})
    check_labels(data, labels, faults)
    class_indices = {label: index for index, label in enumerate(labels)}
    photos, splits = split_photos(photos), {}
    for name in SPLITS:
        chosen = [photo for photo in photos if photo.split == name]
        if chosen:
            targets = np.array([class_indices[photo.label] for photo in chosen], dtype="int32")
            splits[name] = Split([photo.path for photo in chosen], targets)
    if "validation" not in splits:
        raise DataError(
            f"{data} leaves no photo to validate with: none of those in its folder for validation can be used, or, "
            "where there is no such folder, nearly all photos are copies of each other."
        )
    faults += labels_without_photos(class_indices, splits)
    pictures, found = find_others(data)
    others = split_others([picture.path for picture in pictures], SEED)
    hashes = {photo.path: photo.hash for photo in (*photos, *pictures)}
    return Dataset(class_indices, splits, faults + found, others, hashes=hashes)


def labels_without_photos(class_indices: dict[str, int], splits: dict[str, Split]) -> list[Fault]:
    """The labels without a photo in validation or test."""
    return [
        Fault(f"no photo in {name}", label, f"its metrics on {name} will be missing", "trained on anyway")
        for name, split in splits.items()
        for label, index in class_indices.items()
        if index not in split.targets
    ]


def find_others(data: Path) -> tuple[list[LabeledPhoto], list[Fault]]:
    """The pictures of none of the labels that can be opened, and the faults of the rest."""
    pictures = [
        LabeledPhoto(path, data, "", None)
        for folder in open_data(data).folders
        if folder.path.name == OTHER_FOLDER
        for path in folder.all_photos
    ]
    return leave_out_unreadable(pictures)


def find_photos(data: Path) -> tuple[list[LabeledPhoto], list[Fault]]:
    """List the labelled photo files in the folder, and the faults: what else is there, or not where it is looked for.

    :raises DataError: there are no photos, or not in folders of labels.
    """
    tree = open_data(data)
    tree = replace(tree, folders=[folder for folder in tree.folders if folder.path.name != OTHER_FOLDER])
    faults = [
        Fault("folders that cannot be opened", folder.name, folder.error, "left out")
        for folder in tree.walk()
        if folder.error
    ]
    layout, found = find_layout(tree)
    photos: list[LabeledPhoto] = []
    faults += found
    for split, root in layout.items():
        labels = labels_in(root)
        for folder in labels:
            # macOS decomposes accented letters in the names of files; the same label must be the same text.
            label = unicodedata.normalize("NFC", folder.path.name)
            photos += [LabeledPhoto(path, data, label, split) for path in folder.all_photos]
        for folder in root.folders:
            if folder in labels or not folder.all_photos:
                faults += faults_in(folder)
    return photos, faults


def faults_in(folder: Folder) -> list[Fault]:
    """What else than photos directly in it is in the folder of a label."""
    faults = []
    deeper = len(folder.all_photos) - len(folder.photos)
    others = folder.all_others
    unread = [name for name in others if name.lower().endswith(_OTHER_PHOTOS)]
    rest = [name for name in others if not name.lower().endswith(_OTHER_PHOTOS)]
    if not folder.all_photos and not folder.error:
        contents = kinds_of(others) or "empty"
        return [Fault("folders without photos", folder.name, contents, "left out")]
    if deeper:
        inside = [each.name.removeprefix(f"{folder.name}/") for each in folder.walk() if each.photos and each != folder]
        why = f"{count_of(deeper, 'photo')} in {', '.join(inside[:3])}{', …' if len(inside) > 3 else ''}"
        faults.append(Fault("folders inside the folder of a label", folder.name, why, "used for that label"))
    if unread:
        faults.append(Fault("photos of formats that are not read", folder.name, kinds_of(unread), "ignored"))
    if rest:
        faults.append(Fault("files of other kinds", folder.name, kinds_of(rest), "ignored"))
    return faults


def check_labels(data: Path, labels: list[str], faults: list[Fault]) -> None:
    """Check what is left to train on.

    :raises DataError: there are fewer than two labels, or the app would not accept one.
    """
    if len(labels) < 2:
        left_out = [fault for fault in faults if fault.remedy == "left out"]
        why = f" ({count_of(len(left_out), 'fault')}: {left_out[0].where}: {left_out[0].why}, …)" if left_out else ""
        raise DataError(
            f"{data} holds {count_of(len(labels), 'label')} to train on{why}; two or more are needed, "
            f"with {MIN_PHOTOS} photos or more of each in a folder of its name."
        )
    check_names(data, labels)


def check_names(data: Path, labels: list[str]) -> None:
    """:raises DataError: the app would not accept one of the labels."""
    for label in labels:
        if not is_label(label):
            raise DataError(
                f"{data} holds a folder named {label!r:.80}, which has more than {MAX_LABEL_LENGTH} characters or some "
                "that are not text. Name the species in words."
            )


def leave_out_small_labels(photos: list[LabeledPhoto]) -> tuple[list[LabeledPhoto], list[Fault]]:
    """Leave out the labels with fewer than ``MIN_PHOTOS`` photos to learn from, in every split."""
    counts = dict.fromkeys((photo.label for photo in photos), 0)
    for photo in photos:
        counts[photo.label] += photo.split in ("train", None)
    faults = [
        Fault(f"fewer than {MIN_PHOTOS} photos", printable(label), f"{count} to learn from", "left out")
        for label, count in sorted(counts.items())
        if count < MIN_PHOTOS
    ]
    return [photo for photo in photos if counts[photo.label] >= MIN_PHOTOS], faults


def split_photos(photos: list[LabeledPhoto]) -> list[LabeledPhoto]:
    """Give photos without a split one: of each label 80 % to train, 10 % to validation, 10 % to test.

    A split that has photos already gets none of them, and train so many more.

    The same photos are always split in the same way, and near-duplicates go into the same split.
    """
    unsplit = [photo for photo in photos if photo.split is None]
    placed = [photo for photo in photos if photo.split is not None]
    missing = {"test", "validation"} - {photo.split for photo in placed}
    counts = Counter(photo.label for photo in unsplit)
    wanted = {(split, label): max(1, round(HELD_OUT * count)) for split in missing for label, count in counts.items()}
    groups = duplicate_groups([photo.hash for photo in unsplit])
    random.Random(SEED).shuffle(groups)
    for group in groups:
        label = unsplit[group[0]].label
        split = next((name for name in ("test", "validation") if wanted.get((name, label), 0) >= len(group)), "train")
        if split != "train":
            wanted[split, label] -= len(group)
        placed += [replace(unsplit[index], split=split) for index in group]
    return sorted(placed, key=lambda photo: photo.path)
