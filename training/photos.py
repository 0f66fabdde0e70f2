"""Labelled photo files, and those that training leaves out because of what is in them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from inference.errors import PhotoError
from inference.perceptual_hash import difference_hash
from inference.photo import open_photo

from .faults import Fault, printable
from .layout import SPLITS
from .near_duplicates import near_duplicates


@dataclass(frozen=True)
class LabeledPhoto:
    """A photo file and its label.

    :param data: the folder that was given to training.
    :param split: one of ``SPLITS``; None until it is decided.
    :param hash: perceptual, 64 bits; nearly the same for copies of a photo.
    """

    path: Path
    data: Path
    label: str
    split: str | None
    hash: int = 0

    def __str__(self) -> str:
        return printable(self.path.relative_to(self.data).as_posix())


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
