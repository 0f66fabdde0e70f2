"""Photos from visitors' corrections: most are learned from, and some decide whether the new pair is better."""

import hashlib
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .data import MIN_PHOTOS, Dataset, MorePhotos, Split, check_names, faults_in, labels_without_photos
from .faults import DataError, Fault, count_of, printable
from .folders import open_data
from .near_duplicates import duplicate_groups, near_duplicates
from .others import OTHER_FOLDER, Others
from .photos import LabeledPhoto, leave_out_duplicates, leave_out_unreadable

HELD_OUT = 0.2  # share of the photos that the network does not learn from: they decide about its promotion


def add_corrections(dataset: Dataset, export: Path) -> Dataset:
    """Add corrections to what is learned; validation, test and the pictures held out of ``_other/`` lose nothing.

    Left out are photos that the dataset has already, in whatever split, and new labels with too few photos.

    :param export: holds ``<label>/*``, and perhaps ``_other/*``.
    :raises DataError: there is nothing in it to learn from.
    """
    photos, faults = find_corrections(export)
    for leave_out in (leave_out_unreadable, leave_out_duplicates):
        photos, found = leave_out(photos)
        faults += found
    photos, found = leave_out_known(photos, dataset)
    faults += found
    others = [photo for photo in photos if photo.label == OTHER_FOLDER]
    learned, held_out = hold_out([photo for photo in photos if photo.label != OTHER_FOLDER])
    learned, held_out, found = leave_out_small_new_labels(learned, held_out, dataset)
    faults += found
    new_others = Others(*([photo.path for photo in part] for part in hold_out(others)))
    if not learned and not new_others.train:
        why = f": {faults[0].where}: {faults[0].why}" if faults else ""
        raise DataError(f"{export} holds no photo to learn from{why}")
    return merge(replace(dataset, faults=dataset.faults + faults), learned, held_out, new_others)


def find_corrections(export: Path) -> tuple[list[LabeledPhoto], list[Fault]]:
    """List the photo files in the folders of labels, and the faults: what else is there.

    :raises DataError: there are no photos in such folders, or the app would not accept one of their names as a label.
    """
    tree = open_data(export)
    photos: list[LabeledPhoto] = []
    faults: list[Fault] = []
    for folder in tree.folders:
        label = unicodedata.normalize("NFC", folder.path.name)
        photos += [LabeledPhoto(path, export.parent, label, None) for path in folder.all_photos]
        faults += faults_in(folder)
    if not photos:
        raise DataError(
            f"{export} holds no photos in folders of labels. flask --app application feedback export {export} writes "
            "the accepted corrections there."
        )
    check_names(export, sorted({photo.label for photo in photos}))
    if tree.photos:
        faults.append(
            Fault("photos in no folder of a label", export.name, count_of(len(tree.photos), "photo"), "ignored")
        )
    return photos, faults


def leave_out_known(photos: list[LabeledPhoto], dataset: Dataset) -> tuple[list[LabeledPhoto], list[Fault]]:
    """Leave out near-duplicates of photos that the dataset has.

    Nothing that validation or test holds may be learned, and a photo that was learned before proves nothing about
    corrections.
    """
    known = list(dataset.hashes)
    hashes = [*dataset.hashes.values(), *(photo.hash for photo in photos)]
    same: dict[int, Path] = {}
    for first, second in near_duplicates(hashes):
        if first < len(known) <= second:
            same.setdefault(second - len(known), known[first])
    what = "corrections on photos that are there already"
    faults = [
        Fault(what, str(photos[number]), f"the same as {printable('/'.join(path.parts[-2:]))}", "left out")
        for number, path in sorted(same.items())
    ]
    return [photo for number, photo in enumerate(photos) if number not in same], faults


def hold_out(photos: list[LabeledPhoto]) -> tuple[list[LabeledPhoto], list[LabeledPhoto]]:
    """Divide photos into those to learn from and the others, at least one each if there are two.

    The name of a file decides, so a photo stays on its side when more come. Near-duplicates are on the same side:
    if one of them is to be learned from, all are.
    """
    groups = duplicate_groups([photo.hash for photo in photos])
    ranked = sorted((max(_rank(photos[number]) for number in group), group) for group in groups)
    wanted = sum(rank < HELD_OUT for rank, _group in ranked)
    count = max(0, min(max(1, wanted), len(ranked) - 1))
    held_out = {number for _rank, group in ranked[:count] for number in group}
    return (
        [photo for number, photo in enumerate(photos) if number not in held_out],
        [photo for number, photo in enumerate(photos) if number in held_out],
    )


def _rank(photo: LabeledPhoto) -> float:
    """A number from 0 to 1 that looks random, and is always the same for a file of that name."""
    return int.from_bytes(hashlib.sha256(photo.path.name.encode(errors="surrogateescape")).digest()[:4]) / 2**32


def leave_out_small_new_labels(
    learned: list[LabeledPhoto], held_out: list[LabeledPhoto], dataset: Dataset
) -> tuple[list[LabeledPhoto], list[LabeledPhoto], list[Fault]]:
    """Leave out labels that the dataset does not have and that have fewer than ``MIN_PHOTOS`` photos to learn from."""
    counts = Counter(photo.label for photo in learned)
    labels = {photo.label for photo in (*learned, *held_out)} - dataset.class_indices.keys()
    small = sorted(label for label in labels if counts[label] < MIN_PHOTOS)
    what = f"new labels with fewer than {MIN_PHOTOS} photos"
    faults = [Fault(what, printable(label), f"{counts[label]} to learn from", "left out") for label in small]
    learned, held_out = ([photo for photo in part if photo.label not in small] for part in (learned, held_out))
    return learned, held_out, faults


def merge(dataset: Dataset, learned: list[LabeledPhoto], held_out: list[LabeledPhoto], others: Others) -> Dataset:
    """The dataset with photos to learn from added, and others set aside; class indices change if labels are new."""
    new_labels = {photo.label for photo in learned} - dataset.class_indices.keys()
    class_indices = {label: index for index, label in enumerate(sorted({*dataset.class_indices, *new_labels}))}
    new_index = np.array([class_indices[label] for label in dataset.class_indices], dtype="int32")

    def split_of(photos: list[LabeledPhoto]) -> Split:
        targets = np.array([class_indices[photo.label] for photo in photos], dtype="int32")
        return Split([photo.path for photo in photos], targets)

    def renumbered(targets: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        return np.where(targets < 0, targets, new_index[targets])

    splits = {name: Split(split.paths, renumbered(split.targets)) for name, split in dataset.splits.items()}
    train, more = splits["train"], split_of(learned)
    splits["train"] = Split([*train.paths, *more.paths], np.concatenate([train.targets, more.targets]))
    return replace(
        dataset,
        class_indices=class_indices,
        splits=splits,
        faults=dataset.faults + labels_without_photos({label: class_indices[label] for label in new_labels}, splits),
        others=Others(dataset.others.train + others.train, dataset.others.held_out + others.held_out),
        corrected={name: renumbered(targets) for name, targets in dataset.corrected.items()},
        more=MorePhotos(frozenset([*more.paths, *others.train]), split_of(held_out)),
    )
