"""From a folder of labelled photos to the splits to train, validate and test with."""

import random
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from inference.errors import PhotoError
from inference.formats import FORMATS
from inference.labels import MAX_LABEL_LENGTH, is_label
from inference.photo import open_photo

from .near_duplicates import difference_hash, duplicate_groups, near_duplicates

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.1  # share of a label's photos for validation, and again for test, if the folder is not split
MIN_PHOTOS = 5  # of a label, in train or in a folder that is not split; too few to learn from otherwise
SEED = 0  # of the splitting, and of all randomness in training
FAULTS_SHOWN = 20  # of each kind, in the table
_NAMES = ", ".join(f"*{extension}" for extension in FORMATS)


class DataError(ValueError):
    """The folder cannot be trained on; the message says why and what to do."""


@dataclass(frozen=True)
class LabeledPhoto:
    """A photo file and its label.

    :param split: one of ``SPLITS``; None until it is decided.
    :param hash: perceptual, 64 bits; nearly the same for copies of a photo.
    """

    path: Path
    label: str
    split: str | None
    hash: int = 0

    def __str__(self) -> str:
        return printable("/".join(self.path.parts[-3 if self.split else -2 :]))


def printable(name: str) -> str:
    """The name of a file, in characters that can be printed and written: a name may hold any bytes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in name
    )


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with the folder.

    :param what: the kind of fault.
    :param where: the photo or label.
    :param why: what exactly.
    :param remedy: what is done about it.
    """

    what: str
    where: str
    why: str
    remedy: str


@dataclass(frozen=True)
class Split:
    """The labelled photos of one split.

    :param paths: photo files.
    :param targets: ``int32[len(paths)]``, the class index of each.
    """

    paths: list[Path]
    targets: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Dataset:
    """What a folder holds, ready to train on.

    :param class_indices: the index of each label, in alphabetical order.
    :param splits: ``train``, ``validation`` and, where there are photos for it, ``test``.
    :param faults: what was wrong with the folder.
    """

    class_indices: dict[str, int]
    splits: dict[str, Split]
    faults: list[Fault]


def read_dataset(data: Path) -> Dataset:
    """Find the photos, open each once, and decide which split each belongs to.

    :param data: holds ``<label>/*``, which is then split 80/10/10, or ``train/<label>/*``,
        ``validation/<label>/*`` and perhaps ``test/<label>/*``.
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
            f"{data} leaves no photo to validate with: none of those in its folder validation can be used, or, where "
            "there is no such folder, nearly all photos are copies of each other."
        )
    return Dataset(class_indices, splits, faults + labels_without_photos(class_indices, splits))


def labels_without_photos(class_indices: dict[str, int], splits: dict[str, Split]) -> list[Fault]:
    """The labels without a photo in validation or test."""
    return [
        Fault(f"no photo in {name}", label, f"its metrics on {name} will be missing", "trained on anyway")
        for name, split in splits.items()
        for label, index in class_indices.items()
        if index not in split.targets
    ]


def find_photos(data: Path) -> tuple[list[LabeledPhoto], list[Fault]]:
    """List the photo files in the folder, and the faults: what else is in the folders of the labels.

    :raises DataError: there are none, or it is not a folder of labels.
    """
    if not data.is_dir():
        raise DataError(f"{data} is not a folder. Put your photos into {data}/<label>/.")
    is_split = (data / "train").is_dir()
    if is_split and not (data / "validation").is_dir():
        raise DataError(
            f"{data} holds a folder train, but none named validation. Put photos into {data}/validation/<label>/, "
            f"or put them all into {data}/<label>/ to have them split."
        )
    photos: list[LabeledPhoto] = []
    faults: list[Fault] = []
    for split in SPLITS if is_split else (None,):
        for folder in _folders(data / split if split else data):
            files = sorted(path for path in folder.iterdir() if path.name[0] != ".")
            found = [path for path in files if path.suffix.lower() in FORMATS]
            # macOS decomposes accented letters in the names of files; the same label must be the same text.
            label = unicodedata.normalize("NFC", folder.name)
            photos += [LabeledPhoto(path, label, split) for path in found]
            where = printable(f"{split}/{folder.name}" if split else folder.name)
            if not found:
                faults.append(Fault("folders without photos", where, f"no file named {_NAMES}", "left out"))
            elif len(found) < len(files):
                others = len(files) - len(found)
                faults.append(Fault("files of other kinds", where, f"{others} not named {_NAMES}", "ignored"))
    if not photos:
        raise DataError(f"{data} holds no photos. Put them into {data}/<label>/ ({_NAMES}).")
    return photos, faults


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def check_labels(data: Path, labels: list[str], faults: list[Fault]) -> None:
    """Check what is left to train on.

    :raises DataError: there are fewer than two labels, or the app would not accept one.
    """
    if len(labels) < 2:
        left_out = f" ({len(faults)} faults: {faults[0].where}: {faults[0].why}, …)" if faults else ""
        raise DataError(
            f"{data} holds {len(labels)} labels to train on{left_out}; two or more are needed, "
            f"with {MIN_PHOTOS} photos or more of each in a folder of its name."
        )
    for label in labels:
        if not is_label(label):
            raise DataError(
                f"{data} holds a folder named {label!r:.80}, which has more than {MAX_LABEL_LENGTH} characters or some "
                "that are not text. Name the species in words."
            )


def leave_out_unreadable(photos: list[LabeledPhoto]) -> tuple[list[LabeledPhoto], list[Fault]]:
    """Open every photo once, as an upload is opened: better now than an hour into the training.

    :return: the readable ones, with their hashes.
    """
    readable, faults = [], []
    with ThreadPoolExecutor() as threads:
        results = tqdm(threads.map(_hash_or_fault, photos), "opening the photos", len(photos), disable=None)
        for photo, result in zip(photos, results, strict=True):
            if isinstance(result, str):
                faults.append(Fault("cannot be read", str(photo), result, "left out"))
            else:
                readable.append(replace(photo, hash=result))
    return readable, faults


def _hash_or_fault(photo: LabeledPhoto) -> int | str:
    """The photo's hash, or what is wrong with it."""
    try:
        return difference_hash(open_photo(photo.path).image)
    except PhotoError as error:
        return str(error)
    except OSError as error:
        return f"The file cannot be opened: {error.strerror}."


def leave_out_duplicates(photos: list[LabeledPhoto]) -> tuple[list[LabeledPhoto], list[Fault]]:
    """Leave out of train what validation or test also holds, and out of validation what test also holds.

    Otherwise a network would be evaluated on photos that it has learned. Near-duplicates within a split stay; in a
    folder that is not split yet they will be put into the same split. A photo under two labels teaches neither: both
    copies are left out.
    """
    rank = {split: number for number, split in enumerate((None, *SPLITS))}
    pairs = [
        sorted((photos[first], photos[second]), key=lambda photo: rank[photo.split])
        for first, second in near_duplicates([photo.hash for photo in photos])
    ]
    left_out = {}
    for pair in pairs:
        if pair[0].label != pair[1].label:
            for photo, other in (pair, pair[::-1]):
                left_out[photo] = Fault("one photo, two labels", str(photo), f"the same as {other}", "left out")
    for lower, higher in sorted(pairs, key=lambda pair: -rank[pair[0].split]):
        if lower.split != higher.split and lower not in left_out and higher not in left_out:
            left_out[lower] = Fault(
                "near-duplicates across splits", str(lower), f"the same photo as {higher}", "left out"
            )
    return [photo for photo in photos if photo not in left_out], list(left_out.values())


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

    The same photos are always split in the same way, and near-duplicates go into the same split.
    """
    if all(photo.split for photo in photos):
        return photos
    counts = Counter(photo.label for photo in photos)
    wanted = {
        (split, label): max(1, round(HELD_OUT * count))
        for split in ("test", "validation")
        for label, count in counts.items()
    }
    groups = duplicate_groups([photo.hash for photo in photos])
    random.Random(SEED).shuffle(groups)
    placed: list[LabeledPhoto] = []
    for group in groups:
        label = photos[group[0]].label
        split = next((name for name in ("test", "validation") if wanted[name, label] >= len(group)), "train")
        if split != "train":
            wanted[split, label] -= len(group)
        placed += [replace(photos[index], split=split) for index in group]
    return sorted(placed, key=lambda photo: photo.path)


def fault_table(faults: list[Fault]) -> str:
    """The faults for people to read, one kind after the other, the first ``FAULTS_SHOWN`` of each."""
    lines = []
    for what, remedy in dict.fromkeys((fault.what, fault.remedy) for fault in faults):
        of_kind = [fault for fault in faults if (fault.what, fault.remedy) == (what, remedy)]
        width = max(len(fault.where) for fault in of_kind[:FAULTS_SHOWN])
        lines.append(f"{what}: {len(of_kind)}, {remedy}")
        lines += [f"    {fault.where:{width}}  {fault.why}" for fault in of_kind[:FAULTS_SHOWN]]
        if len(of_kind) > FAULTS_SHOWN:
            lines.append(f"    and {len(of_kind) - FAULTS_SHOWN} more, which the report lists")
    return "\n".join(lines)
