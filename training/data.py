"""Labelled photographs on disk, and batches of them for Keras."""

import random
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from inference.photo import FORMATS, Photo, PhotoError, open_photo

CROP_AREA = (0.35, 1.0)  # share of the picture that an augmented crop keeps
CROP_ASPECT = (3 / 4, 4 / 3)  # its width to height, relative to the picture's own
COLOUR_JITTER = 0.3  # brightness, contrast and saturation change by at most this factor


class DataError(ValueError):
    """The folder cannot be trained on; the message says why."""


@dataclass(frozen=True)
class Split:
    """The labelled pictures of one split.

    :param paths: picture files.
    :param targets: ``int32[len(paths)]``, the class index of each.
    """

    paths: list[Path]
    targets: np.ndarray


def read_class_indices(data: Path) -> dict[str, int]:
    """Number the folders of ``data/train`` in alphabetical order.

    :raises DataError: there is no ``train`` folder, it holds fewer than two labels, or one has no picture.
    """
    train = data / "train"
    if not train.is_dir():
        raise DataError(f"{train} is not a folder. Put your pictures into {train}/<label>/.")
    labels = sorted(folder.name for folder in train.iterdir() if folder.is_dir())
    if len(labels) < 2:
        raise DataError(f"{train} holds {len(labels)} label folders; training needs two or more.")
    empty = [label for label in labels if not _pictures(train / label)]
    if empty:
        raise DataError(f"{train} holds labels without pictures: {', '.join(empty)}.")
    return {label: index for index, label in enumerate(labels)}


def read_split(folder: Path, class_indices: dict[str, int]) -> Split:
    """List the pictures in ``folder/<label>/*``.

    :raises DataError: there are none, or a label is not among ``class_indices``.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Put pictures into {folder}/<label>/.")
    labels = sorted(path for path in folder.iterdir() if path.is_dir())
    unknown = [label.name for label in labels if label.name not in class_indices]
    if unknown:
        raise DataError(f"{folder} holds labels that train does not: {', '.join(unknown)}.")
    pictures = [path for label in labels for path in _pictures(label)]
    if not pictures:
        raise DataError(f"{folder} holds no pictures. Put them into {folder}/<label>/.")
    targets = np.array([class_indices[path.parent.name] for path in pictures], dtype="int32")
    return Split(pictures, targets)


def _pictures(label: Path) -> list[Path]:
    return sorted(path for path in label.iterdir() if path.suffix.lower() in FORMATS)


def check_pictures(split: Split) -> None:
    """Open every picture once: TensorFlow would bury what is wrong with one in an error of its own.

    :raises DataError: a picture cannot be read.
    """
    for path in split.paths:
        _open(path)


def _open(path: Path) -> Photo:
    try:
        return open_photo(path)
    except PhotoError as error:
        raise DataError(f"{path}: {error}") from error


def one_hot(targets: np.ndarray, classes: int) -> np.ndarray:
    """``float32[n, classes]`` of ``int[n]``."""
    return np.eye(classes, dtype="float32")[targets]


def augment(image: Image.Image, size: int, rng: random.Random) -> Image.Image:
    """A random crop, mirror and change of light of a picture, resized to ``size`` × ``size``."""
    area, aspect = rng.uniform(*CROP_AREA), rng.uniform(*CROP_ASPECT)
    width = image.width * min(1.0, (area * aspect) ** 0.5)
    height = image.height * min(1.0, (area / aspect) ** 0.5)
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    image = image.resize((size, size), Image.Resampling.BICUBIC, box)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(rng.uniform(1 - COLOUR_JITTER, 1 + COLOUR_JITTER))
    return image


class Batches(keras.utils.PyDataset):
    """Batches of ``(float32[n, size, size, 3] in [0, 1], float32[n, classes])``.

    Pictures go through the code that opens uploads, so that the network learns what it will be shown.

    :param split: the pictures.
    :param classes: number of labels.
    :param size: width and height of a picture in pixels.
    :param augmented: shuffle each epoch, augment, and drop the last batch if it is not full
        (a second shape would be compiled a second time).
    :param seed: of the shuffling and the augmentation.
    """

    def __init__(self, split: Split, classes: int, size: int, *, batch_size: int, augmented: bool, seed: int = 0):
        super().__init__(workers=2, max_queue_size=4)
        self.split, self.classes, self.size = split, classes, size
        self.batch_size, self.augmented, self.seed = batch_size, augmented, seed
        self.epoch = 0
        self.order = np.arange(len(split.paths))
        self._shuffle()

    def __len__(self) -> int:
        whole, rest = divmod(len(self.order), self.batch_size)
        return max(1, whole) if self.augmented else whole + (rest > 0)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Batch ``index`` of the current epoch.

        :raises DataError: a picture cannot be read.
        """
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        pictures = np.stack([self._pixels(number) for number in chosen])
        return pictures.astype("float32") / 255, one_hot(self.split.targets[chosen], self.classes)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        if self.augmented:
            np.random.default_rng((self.seed, self.epoch)).shuffle(self.order)

    def _pixels(self, number: int) -> np.ndarray:
        photo = _open(self.split.paths[number])
        if not self.augmented:
            return photo.pixels(self.size)
        # A generator of its own for each picture and epoch: the result does not depend on threads.
        rng = random.Random(f"{self.seed} {self.epoch} {number}")
        return np.asarray(augment(photo.image, self.size, rng))
