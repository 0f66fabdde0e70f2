"""From a folder of labelled pictures to the splits to train, validate and test with."""

import random
import unicodedata
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from inference.labels import MAX_LABEL_LENGTH, is_label
from inference.photo import FORMATS, PhotoError, open_photo

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.1  # share of a label's pictures for validation, and again for test, if the folder is not split
MIN_PICTURES = 5  # of a label, of those to be split or those in train; fewer are too few to learn it
TWIN_DISTANCE = 4  # bits of 64 in which the hashes of two copies of a picture differ at most
SEED = 0  # of the splitting
SHOWN = 20  # faults of each kind that the table shows
_PAIRS_AT_A_TIME = 2**24  # of hashes that are compared
_NAMES = ", ".join(f"*{extension}" for extension in FORMATS)


class DataError(ValueError):
    """The folder cannot be trained on; the message says why and what to do."""


@dataclass(frozen=True)
class Picture:
    """A labelled picture file.

    :param split: one of ``SPLITS``; None as long as that is not settled.
    :param hash: perceptual, 64 bits; nearly the same for copies of a picture.
    """

    path: Path
    label: str
    split: str | None
    hash: int = 0

    def __str__(self) -> str:
        return readable("/".join(self.path.parts[-3 if self.split else -2 :]))


def readable(name: str) -> str:
    """The name of a file, in characters that can be printed and written: a name may hold any bytes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in name
    )


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with the folder.

    :param what: the kind of fault.
    :param where: the picture or label.
    :param why: what exactly.
    :param remedy: what is done about it.
    """

    what: str
    where: str
    why: str
    remedy: str


@dataclass(frozen=True)
class Split:
    """The labelled pictures of one split.

    :param paths: picture files.
    :param targets: ``int32[len(paths)]``, the class index of each.
    """

    paths: list[Path]
    targets: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """What a folder holds, ready to train on.

    :param class_indices: the number of each label, in alphabetical order.
    :param splits: ``train``, ``validation`` and, where there are pictures for it, ``test``.
    :param faults: what was wrong with the folder.
    """

    class_indices: dict[str, int]
    splits: dict[str, Split]
    faults: list[Fault]


def read_dataset(data: Path) -> Dataset:
    """Find the pictures, open each once, and settle which split each belongs to.

    :param data: holds ``<label>/*``, which is then split 80/10/10, or ``train/<label>/*``,
        ``validation/<label>/*`` and perhaps ``test/<label>/*``.
    :raises DataError: there is nothing to train on.
    """
    pictures, faults = find_pictures(data)
    for settle in (leave_out_unreadable, leave_out_twins, leave_out_small_labels):
        pictures, found = settle(pictures)
        faults += found
    labels = sorted({picture.label for picture in pictures})
    check_labels(data, labels, faults)
    class_indices = {label: index for index, label in enumerate(labels)}
    pictures, splits = split_pictures(pictures), {}
    for name in SPLITS:
        chosen = [picture for picture in pictures if picture.split == name]
        if chosen:
            targets = np.array([class_indices[picture.label] for picture in chosen], dtype="int32")
            splits[name] = Split([picture.path for picture in chosen], targets)
    if "validation" not in splits:
        raise DataError(
            f"{data} leaves no picture to validate with: none of those in its folder validation can be used, or, where "
            "there is no such folder, nearly all pictures are copies of each other."
        )
    return Dataset(class_indices, splits, faults + unjudged_labels(class_indices, splits))


def unjudged_labels(class_indices: dict[str, int], splits: dict[str, Split]) -> list[Fault]:
    """The labels of which validation or test holds no picture."""
    return [
        Fault(f"no picture in {name}", label, f"its figures in {name} will be missing", "trained on all the same")
        for name, split in splits.items()
        for label, index in class_indices.items()
        if index not in split.targets
    ]


def find_pictures(data: Path) -> tuple[list[Picture], list[Fault]]:
    """List the picture files in the folder, and what else is in the folders of the labels.

    :raises DataError: there are none, or it is not a folder of labels.
    """
    if not data.is_dir():
        raise DataError(f"{data} is not a folder. Put your pictures into {data}/<label>/.")
    names = SPLITS if (data / "train").is_dir() else (None,)
    if names == SPLITS and not (data / "validation").is_dir():
        raise DataError(
            f"{data} holds a folder train, but none named validation. Put pictures into {data}/validation/<label>/, "
            f"or put them all into {data}/<label>/ to have them split."
        )
    pictures, faults = [], []
    for name in names:
        for label in _folders(data / name if name else data):
            files = sorted(path for path in label.iterdir() if path.name[0] != ".")
            found = [path for path in files if path.suffix.lower() in FORMATS]
            # macOS takes accented letters apart in the names of files; the same label must be the same text.
            pictures += [Picture(path, unicodedata.normalize("NFC", label.name), name) for path in found]
            where = readable(f"{name}/{label.name}" if name else label.name)
            if not found:
                faults.append(Fault("folders without pictures", where, f"no file named {_NAMES}", "left out"))
            elif len(found) < len(files):
                others = len(files) - len(found)
                faults.append(Fault("files of other kinds", where, f"{others} not named {_NAMES}", "not looked at"))
    if not pictures:
        raise DataError(f"{data} holds no pictures. Put them into {data}/<label>/ ({_NAMES}).")
    return pictures, faults


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def check_labels(data: Path, labels: list[str], faults: list[Fault]) -> None:
    """:raises DataError: there are fewer than two labels, or the app would not accept one."""
    if len(labels) < 2:
        left_out = f" ({len(faults)} faults: {faults[0].where}: {faults[0].why}, …)" if faults else ""
        raise DataError(
            f"{data} holds {len(labels)} labels to train on{left_out}; two or more are needed, "
            f"with {MIN_PICTURES} pictures or more of each in a folder of its name."
        )
    for label in labels:
        if not is_label(label):
            raise DataError(
                f"{data} holds a folder named {label!r:.80}, which has more than {MAX_LABEL_LENGTH} characters or some "
                "that are not text. Name the species in words."
            )


def leave_out_unreadable(pictures: list[Picture]) -> tuple[list[Picture], list[Fault]]:
    """Open every picture once, as an upload is opened: better now than an hour into the training.

    :return: the readable ones, with their hashes.
    """
    readable, faults = [], []
    with ThreadPoolExecutor() as threads:
        looked_at = tqdm(threads.map(_look_at, pictures), "looking at the pictures", len(pictures), disable=None)
        for picture, result in zip(pictures, looked_at, strict=True):
            if isinstance(result, str):
                faults.append(Fault("cannot be read", str(picture), result, "left out"))
            else:
                readable.append(replace(picture, hash=result))
    return readable, faults


def _look_at(picture: Picture) -> int | str:
    """The picture's hash, or what is wrong with it."""
    try:
        return difference_hash(open_photo(picture.path).image)
    except PhotoError as error:
        return str(error)
    except OSError as error:
        return f"The file cannot be opened: {error.strerror}."


def difference_hash(image: Image.Image) -> int:
    """The perceptual hash dHash (N. Krawetz, 2013): whether each of 8 × 8 places is darker than its right neighbour.

    :return: 64 bits; copies of a picture differ in few of them, whatever their size and quality.
    """
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS))
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), "big")


def leave_out_twins(pictures: list[Picture]) -> tuple[list[Picture], list[Fault]]:
    """Leave out of training what validation or test holds as well, and out of validation what test holds.

    A network is not judged by pictures that it has learnt. Twins within a split stay; in a folder that is not
    split yet they come into the same split. A picture under two labels teaches neither: it is left out of both.
    """
    order = {name: place for place, name in enumerate((None, *SPLITS))}
    pairs = [
        sorted((pictures[first], pictures[second]), key=lambda picture: order[picture.split])
        for first, second in twins([picture.hash for picture in pictures])
    ]
    left_out = {}
    for pair in pairs:
        if pair[0].label != pair[1].label:
            for picture, other in (pair, pair[::-1]):
                left_out[picture] = Fault("one picture, two labels", str(picture), f"the same as {other}", "left out")
    for lower, higher in sorted(pairs, key=lambda pair: -order[pair[0].split]):
        if lower.split != higher.split and lower not in left_out and higher not in left_out:
            left_out[lower] = Fault("twins across splits", str(lower), f"the same picture as {higher}", "left out")
    return [picture for picture in pictures if picture not in left_out], list(left_out.values())


def twins(hashes: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs of places in the list whose hashes differ in at most ``TWIN_DISTANCE`` bits."""
    bits = np.array(hashes, dtype="uint64")
    rows = max(1, _PAIRS_AT_A_TIME // max(1, len(bits)))
    for start in range(0, len(bits), rows):
        distances = np.bitwise_count(bits[start : start + rows, np.newaxis] ^ bits)
        for first, second in np.argwhere(distances <= TWIN_DISTANCE):
            if start + first < second:
                yield int(start + first), int(second)


def leave_out_small_labels(pictures: list[Picture]) -> tuple[list[Picture], list[Fault]]:
    """Leave out the labels with fewer than ``MIN_PICTURES`` pictures to learn from, in every split."""
    counts = dict.fromkeys((picture.label for picture in pictures), 0)
    for picture in pictures:
        counts[picture.label] += picture.split in ("train", None)
    faults = [
        Fault(f"fewer than {MIN_PICTURES} pictures", readable(label), f"{count} to learn from", "left out")
        for label, count in sorted(counts.items())
        if count < MIN_PICTURES
    ]
    return [picture for picture in pictures if counts[picture.label] >= MIN_PICTURES], faults


def split_pictures(pictures: list[Picture]) -> list[Picture]:
    """Settle the split of pictures that have none: of each label 80 % to train, 10 % to validate, 10 % to test.

    The same pictures are always split alike, and twins come into the same split.
    """
    if all(picture.split for picture in pictures):
        return pictures
    counts = Counter(picture.label for picture in pictures)
    wanted = {
        (name, label): max(1, round(HELD_OUT * count))
        for name in ("test", "validation")
        for label, count in counts.items()
    }
    families = families_of_twins(pictures)
    random.Random(SEED).shuffle(families)
    settled = []
    for family in families:
        places = [(name, family[0].label) for name in ("test", "validation")]
        place = next((place for place in places if wanted[place] >= len(family)), None)
        if place:
            wanted[place] -= len(family)
        settled += [replace(picture, split=place[0] if place else "train") for picture in family]
    return sorted(settled, key=lambda picture: picture.path)


def families_of_twins(pictures: list[Picture]) -> list[list[Picture]]:
    """Each picture with its twins and the twins of these; most are alone."""
    family = {place: [place] for place in range(len(pictures))}
    for first, second in twins([picture.hash for picture in pictures]):
        if family[first] is not family[second]:
            family[first] += family[second]
            family.update(dict.fromkeys(family[second], family[first]))
    unique = {id(places): places for places in family.values()}
    return [[pictures[place] for place in places] for places in unique.values()]


def table(faults: list[Fault]) -> str:
    """The faults for people to read, a kind at a time, the first ``SHOWN`` of each."""
    lines = []
    for what, remedy in dict.fromkeys((fault.what, fault.remedy) for fault in faults):
        of_kind = [fault for fault in faults if (fault.what, fault.remedy) == (what, remedy)]
        width = max(len(fault.where) for fault in of_kind[:SHOWN])
        lines.append(f"{what}: {len(of_kind)}, {remedy}")
        lines += [f"    {fault.where:{width}}  {fault.why}" for fault in of_kind[:SHOWN]]
        if len(of_kind) > SHOWN:
            lines.append(f"    and {len(of_kind) - SHOWN} more, which the report lists")
    return "\n".join(lines)
