"""Copies small photos of each species into ``examples/``, for the site to show."""

import re
from collections.abc import Callable, Container
from pathlib import Path

import numpy as np

from inference.examples import (
    EXAMPLES_FILE,
    EXAMPLES_FOLDER,
    EXAMPLES_OF_LABEL,
    ExampleList,
    example_file,
    write_example_list,
)
from inference.photo import open_photo

from .data import Dataset, Split
from .evaluation import Floats

EXAMPLE_SIZE = 200  # pixels, the longer side at most
_EXAMPLE = re.compile(r"[0-9a-f]{8}-[0-9]+-[0-9]\.jpg")


def choose_examples(
    dataset: Dataset, probabilities: dict[str, Floats], answers_for: Callable[[Split], Floats], sure_from: float
) -> list[list[Path]]:
    """For each label the photos to show: held-out ones, or some that the network learned from if it names none of them.

    Photos from corrections of visitors are not shown, so a label that only these have has no photo.

    :param probabilities: the network's answers for each split but ``train``, ``float[photos, classes]``.
    :param answers_for: gives its answers for other photos.
    :param sure_from: the least confidence, 0 to 1, of the answer for a photo that is shown.
    :return: paths by class index, the surest first.
    """
    splits = [dataset.splits[name] for name in probabilities]
    held_out = Split(
        [path for split in splits for path in split.paths], np.concatenate([split.targets for split in splits])
    )
    classes = len(dataset.class_indices)
    chosen = surest_photos(held_out, np.concatenate(list(probabilities.values())), classes, sure_from)
    train = dataset.splits["train"]
    without = [label for label, paths in enumerate(chosen) if not paths]
    private = dataset.more.learned if dataset.more else ()
    photos = [photo for photo in np.flatnonzero(np.isin(train.targets, without)) if train.paths[photo] not in private]
    if not photos:
        return chosen
    learned = Split([train.paths[photo] for photo in photos], train.targets[photos])
    fallback = surest_photos(learned, answers_for(learned), classes, sure_from)
    return [first or second for first, second in zip(chosen, fallback, strict=True)]


def surest_photos(split: Split, probabilities: Floats, classes: int, sure_from: float) -> list[list[Path]]:
    """For each label up to ``EXAMPLES_OF_LABEL`` photos that were named correctly, the surest first."""
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    chosen: list[list[Path]] = [[] for _ in range(classes)]
    for photo in np.argsort(-confidence, kind="stable"):
        of_label = chosen[split.targets[photo]]
        is_good = answers[photo] == split.targets[photo] and confidence[photo] >= sure_from
        if is_good and len(of_label) < EXAMPLES_OF_LABEL:
            of_label.append(split.paths[photo])
    return chosen


def write_examples(models: Path, model_sha256: str, photos: list[list[Path]]) -> None:
    """Write small copies without metadata, and last the list that makes the app show them.

    :param models: the folder of the ``.h5``.
    :param model_sha256: of the ``.h5``.
    :param photos: those of each label, by class index.
    """
    folder = models / EXAMPLES_FOLDER
    folder.mkdir(exist_ok=True)
    for index, paths in enumerate(photos):
        for number, path in enumerate(paths, start=1):
            name = example_file(model_sha256, index, number)
            (folder / name).write_bytes(open_photo(path).thumbnail(EXAMPLE_SIZE))
    write_example_list(folder, ExampleList(model_sha256, [len(paths) for paths in photos]))


def example_names(models: Path) -> set[str]:
    """The names of the files in ``examples/`` that training writes; without the list there are none.

    :param models: the folder of the ``.h5``.
    """
    folder = models / EXAMPLES_FOLDER
    if not (folder / EXAMPLES_FILE).is_file():
        return set()
    return {path.name for path in folder.iterdir() if path.name == EXAMPLES_FILE or _EXAMPLE.fullmatch(path.name)}


def remove_examples(models: Path, *, keep: Container[str] = ()) -> None:
    """Remove the examples of an earlier model, and nothing else that somebody may have put into their folder.

    :param models: the folder of the ``.h5``.
    :param keep: the names of files to leave there.
    """
    folder = models / EXAMPLES_FOLDER
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        is_example = path.name == EXAMPLES_FILE or _EXAMPLE.fullmatch(path.name)
        if is_example and path.name not in keep:
            path.unlink()
    if not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()
