"""How a folder of photos is laid out: which folders are splits, and which are labels."""

import re
from collections import Counter
from collections.abc import Container
from itertools import pairwise

from .faults import DataError, Fault, count_of, kinds_of, printable
from .folders import Folder

SPLITS = ("train", "validation", "test")

#: The folder whose folders are the labels, for each split; None is for photos that training has to split.
Layout = dict[str | None, Folder]

#: What people call the folder of a split, in any case, perhaps with an ending: ``Training``, ``val``, ``TestSet``.
_SPLIT_NAMES = {
    "train": ("train", "training", "训练集"),
    "validation": ("validation", "valid", "val", "dev", "eval", "验证集"),
    "test": ("test", "testing", "测试集"),
}
_ENDINGS = ("", "set", "data", "images")
_SPLIT_OF = {name + ending: split for split, names in _SPLIT_NAMES.items() for name in names for ending in _ENDINGS}

#: Folders that say what kind of thing they hold, not which species: photos, or what is drawn over photos.
_COLLECTIONS = {"archive", "data", "dataset", "images", "image", "img", "imgs", "jpegimages", "photos", "pictures"}
_DRAWINGS = {"annotations", "labels", "masks", "segmentations"}

_LISTS = (".csv", ".tsv", ".json", ".xlsx", ".parquet", ".txt")
_BOXES = ("_annotations.coco.json", "data.yaml", ".labels", ".xml")  # boxes in photos: COCO, YOLO, Darknet, Pascal VOC
_CUB_SPLIT = "train_test_split.txt"  # of CUB-200: train and test, no validation
_WHERE_SHOWN = 5  # folders that the sentence of a refusal lists


def find_layout(data: Folder) -> tuple[Layout, list[Fault]]:
    """Find the splits and the folders of labels, also in a folder deeper or under other names.

    :return: the layout; what is not where training looks for it, or not used.
    :raises DataError: there is no layout that makes sense, or more than one.
    """
    way = _way_to_labels(data)
    root = way[-1]
    if splits := _splits(root):
        layout, faults = _split_layout(splits)
        used = list(splits.values())
    else:
        used = labels_in(root)
        layout, faults = {None: root}, _deeper(way) + _unread_split(way) + _doubtful(used)
        if len(used) < 2:
            raise DataError(_refusal(data))
    return layout, _not_used_on(way) + _not_used(root, used) + faults


def _split_layout(splits: dict[str, Folder]) -> tuple[Layout, list[Fault]]:
    """The layout of a folder that is split.

    :param splits: the folder of each split.
    :raises DataError: there is nothing to learn from.
    """
    if "train" not in splits:
        found = " and ".join(folder.name for folder in splits.values())
        raise DataError(
            f"There are photos in folders of labels in {found}, but in no folder named train. "
            "Put those to learn from into train/<label>/ beside it."
        )
    layout: Layout = {}
    faults = []
    learned = {label.path.name for label in labels_in(_way_to_labels(splits["train"])[-1])}
    for split in (name for name in SPLITS if name in splits):
        folder = splits[split]
        if folder.path.name != split:
            faults.append(Fault("splits of other names", folder.name, f"read as {split}", "used"))
        way = _way_to_labels(folder, learned)
        faults += _not_used_on(way) + _not_used(way[-1], labels_in(way[-1])) + _deeper(way)
        layout[split] = way[-1]
    if "validation" in layout:
        return layout, faults
    layout = {None: layout.pop("train"), **layout}
    why = f"a tenth of each label's photos in {splits['train'].name}"
    for split in ("validation", "test"):
        if split not in layout:
            faults.append(Fault("splits without labelled photos", split, why, "taken from train"))
    return layout, faults


def labels_in(folder: Folder) -> list[Folder]:
    """The folders of labels in a folder: those that hold photos, and are not there for something else."""
    names = {each.path.name for each in folder.with_photos}
    return [
        each
        for each in folder.with_photos
        if _plain(each) not in (*_COLLECTIONS, *_DRAWINGS, *_SPLIT_OF)
        # An archive unpacked twice: birds/Robin, birds/Wren, birds/birds/Robin, birds/birds/Wren.
        and len(names & {inside.path.name for inside in each.with_photos}) < 2
    ]


def _way_to_labels(folder: Folder, labels: Container[str] = ()) -> list[Folder]:
    """The folder, and those further and further inside it up to the one that holds the splits, or the labels.

    :param labels: known ones; a folder of such a name holds photos, not labels.
    """
    way = [folder]
    while not _is_divided(way[-1]) and (inner := _only_way_in(way[-1])) and inner.path.name not in labels:
        way.append(inner)
    return way


def _only_way_in(folder: Folder) -> Folder | None:
    """The one folder in a folder that holds the labels; None if the labels are in the folder itself, or nowhere."""
    inside = [each for each in folder.with_photos if _plain(each) not in _DRAWINGS]
    collections = [each for each in inside if _plain(each) in _COLLECTIONS and len(labels_in(each)) > 1]
    if len(collections) == 1:
        return collections[0]
    divided = [each for each in inside if any(_is_divided(folder) for folder in _lone_way(each))]
    if len(divided) > 1:
        names = ", ".join(each.name for each in divided)
        raise DataError(f"There are several folders that are split: {names}. Give training one of them.")
    if divided:
        return divided[0]
    return inside[0] if len(inside) == 1 and not inside[0].photos else None


def _lone_way(folder: Folder) -> list[Folder]:
    """The folder, and those further and further inside it as long as there is only one, and no photo beside it."""
    way = [folder]
    while len(way[-1].with_photos) == 1 and not way[-1].photos:
        way += way[-1].with_photos
    return way


def _is_divided(folder: Folder) -> bool:
    """Whether a folder holds splits, rather than being the one split that it holds: ``train/train/<label>``."""
    splits = _splits(folder)
    return len(splits) > 1 or (bool(splits) and _split_of(folder) is None)


def _splits(folder: Folder) -> dict[str, Folder]:
    """The splits in a folder: those of its folders with the name of one, and with photos in folders of labels.

    :raises DataError: two of them mean the same.
    """
    named: dict[str, list[Folder]] = {}
    for each in folder.with_photos:
        if (split := _split_of(each)) and labels_in(_way_to_labels(each)[-1]):
            named.setdefault(split, []).append(each)
    splits = {}
    for split, folders in named.items():
        # "train" is the split, whatever "train_cropped" beside it may be.
        splits[split], *more = [each for each in folders if _plain(each) in _SPLIT_OF] or folders
        if more:
            raise DataError(
                f"{splits[split].name} and {more[0].name} both mean {split}. Merge the two folders, or remove one."
            )
    return splits


def _split_of(folder: Folder) -> str | None:
    """The split that one word in the name of a folder means: ``bird_train``, ``1. Test``, ``Training Dataset``.

    :return: None too for words of two splits, as in ``train_val``.
    """
    words = re.findall(r"[^\W\d_]+", folder.path.name.casefold())
    splits = {_SPLIT_OF[word] for word in words if word in _SPLIT_OF}
    return splits.pop() if len(splits) == 1 else None


def _plain(folder: Folder) -> str:
    """The name of a folder in small letters, without what separates words."""
    return re.sub(r"[\s_-]+", "", folder.path.name.casefold())


def _deeper(way: list[Folder]) -> list[Fault]:
    """That the labels are not in the folder where they should be, if so."""
    if len(way) == 1:
        return []
    return [Fault("labels in a deeper folder", way[-1].name, count_of(len(labels_in(way[-1])), "label"), "used")]


def _doubtful(labels: list[Folder]) -> list[Fault]:
    """The folders read as labels, if those in them look more like labels: ``fold1/<label>``, ``fold2/<label>``.

    Then more names come back in them than there are of them, unlike with ``<label>/male`` and ``<label>/female``.
    """
    times = Counter(inner.path.name for label in labels for inner in labels_in(_lone_way(label)[-1]))
    repeated = [name for name, number in times.items() if number > 1]
    if len(repeated) <= len(labels):
        return []
    example = printable(repeated[0])
    why = f"holds folders that others hold too, such as {example}; if those are the labels, merge these folders"
    return [Fault("folders that may not be labels", label.name, why, "used as labels") for label in labels]


def _not_used_on(way: list[Folder]) -> list[Fault]:
    return [fault for outer, inner in pairwise(way) for fault in _not_used(outer, [inner])]


def _not_used(folder: Folder, used: list[Folder]) -> list[Fault]:
    """The photos that lie in a folder, but in none of the folders that are used."""
    faults = [
        Fault("folders that are not used", each.name, count_of(len(each.all_photos), "photo"), "ignored")
        for each in folder.with_photos
        if each not in used
    ]
    if folder.photos:
        count = count_of(len(folder.photos), "photo")
        faults.append(Fault("photos in no folder of a label", folder.name or ".", count, "ignored"))
    return faults


def _unread_split(way: list[Folder]) -> list[Fault]:
    why = "the photos are split at random instead"
    return [
        Fault("lists that are not read", folder.name_of(_CUB_SPLIT), why, "ignored")
        for folder in way
        if _CUB_SPLIT in folder.others
    ]


def _refusal(data: Folder) -> str:
    """Why a folder cannot be trained on: what was found where, and where it should be."""
    where = data.path
    closed = "".join(f" {folder.name} cannot be opened." for folder in data.walk() if folder.error)
    if not data.all_photos:
        found = f", only other files: {kinds_of(data.all_others)}" if data.all_others else ""
        return f"{where} holds no photos{found}.{closed} Put photos (JPEG, PNG, …) into {where}/<label>/."
    folders = [folder for folder in data.walk() if folder.photos]
    found = ", ".join(f"{len(folder.photos)} in {folder.name or where}" for folder in folders[:_WHERE_SHOWN])
    if len(folders) > _WHERE_SHOWN:
        found += f", and others in {count_of(len(folders) - _WHERE_SHOWN, 'more folder')}"
    return (
        f"{where} holds {count_of(len(data.all_photos), 'photo')}, but not in folders of two labels or more: {found}. "
        f"Put them into {where}/<label>/, a folder for each species, or, if they are split already, into "
        f"{where}/train/<label>/ and {where}/validation/<label>/.{closed}{_unread_labels(data)}"
    )


def _unread_labels(data: Folder) -> str:
    """A sentence on the file that may say what the photos show, if there is one."""
    files = [(folder, name) for folder in data.walk() for name in folder.others]
    for folder, name in files:
        if name.lower().endswith(_BOXES) or "labels" in folder.name.split("/"):
            return f" Training does not read {folder.name_of(name)}, which says where in a photo something is."
    for folder, name in files:
        if name.lower().endswith(_LISTS) and not name.lower().startswith("readme"):
            return f" Training does not read {folder.name_of(name)}, which may be a list of labels."
    return ""
