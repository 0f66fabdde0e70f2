"""Batches of photos for Keras, augmented where the network learns from them."""

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from inference import IMAGE_SIZE
from inference.errors import PhotoError
from inference.photo import Photo, open_photo

from .data import SEED, Split
from .faults import BrokenOffError, printable

# The keys appear in model_card.json and in the fingerprint of a checkpoint. Lengths in pixels are those at IMAGE_SIZE.
AUGMENTATION: dict[str, Any] = {
    "crop_area": (0.35, 1.0),  # share of the image that a crop keeps
    "aspect": (3 / 4, 4 / 3),  # width to height of what is shown, relative to the image's own
    "small": 0.35,  # share of images that are shown small in the frame instead of cropped
    "smallest": 0.4,  # least share of the frame's side that a small image takes (before its aspect is changed)
    "smallest_pixels": 80,  # and least side in pixels at any frame size: fewer show too little to learn from
    "surroundings_blur": 8,  # pixels at most
    "mirrored": 0.5,  # share of images
    "colour": 0.3,  # brightness, contrast and saturation change by at most this factor,
    "tint": 0.1,  # and red, green and blue each by this one
    "blurred": 0.25,  # share of images
    "blur": 2.0,  # pixels at most
}

OTHERS = 1 / 8  # pictures of none of the labels in a batch, for each photo in it


#: Images, targets and, where the network learns from them, weights in the loss.
Batch = tuple[npt.NDArray[np.float32], ...]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no type annotations
    """Batches of ``(float32[n, size, size, 3] in [0, 1], float32[n, classes])``; to learn from, also ``float32[n]``.

    Photos are opened by the code that opens uploads, so that the network learns from what it will be shown.

    :param split: the photos.
    :param classes: number of labels.
    :param size: width and height of an image in pixels.
    :param augmented: shuffle each epoch, augment, and drop the last batch if it is not full
        (a second shape would be compiled a second time).
    :param weights: of the labels in the loss, ``float32[classes]``; by default all weigh the same.
    :param others: pictures of none of the labels; some are added to each batch that is augmented. For those all labels
        are equally right (outlier exposure: Hendrycks et al. 2019, arXiv:1812.04606).
    :param seed: of the shuffling and the augmentation.
    :param epoch: the epoch to begin with; each has its own order and its own augmentation.
    """

    def __init__(
        self,
        split: Split,
        classes: int,
        size: int,
        *,
        batch_size: int,
        augmented: bool,
        weights: npt.NDArray[np.float32] | None = None,
        others: Sequence[Path] = (),
        seed: int = SEED,
        epoch: int = 0,
    ) -> None:
        super().__init__(workers=os.cpu_count() or 2, max_queue_size=8)
        self.split, self.classes, self.size = split, classes, size
        self.batch_size, self.augmented, self.seed = batch_size, augmented, seed
        self.weights = np.ones(classes, "float32") if weights is None else weights
        self.paths = [*split.paths, *(others if augmented else ())]
        self.epoch = epoch
        self.failure: BrokenOffError | None = None
        self.order = np.arange(len(split.paths))
        self.others_order = np.arange(len(split.paths), len(self.paths))
        self._shuffle()

    def __len__(self) -> int:
        whole, rest = divmod(len(self.order), self.batch_size)
        return max(1, whole) if self.augmented else whole + (rest > 0)

    def __getitem__(self, index: int) -> Batch:
        """Batch ``index`` of the current epoch."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        images, targets = self._images(chosen), one_hot(self.split.targets[chosen], self.classes)
        if not self.augmented:
            return images, targets
        weights = targets @ self.weights
        others = self._others(index)
        if len(others):
            images = np.concatenate([images, self._images(others)])
            uniform = np.full((len(others), self.classes), 1 / self.classes, "float32")
            targets, weights = np.concatenate([targets, uniform]), np.append(weights, np.ones(len(others), "float32"))
        return images, targets, weights

    def on_epoch_end(self) -> None:
        """Go on to the next epoch; Keras calls this."""
        self.epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        if self.augmented:
            rng = np.random.default_rng((self.seed, self.epoch))
            self.order = rng.permutation(len(self.order))
            self.others_order = rng.permutation(np.sort(self.others_order))

    def _others(self, index: int) -> npt.NDArray[np.int_]:
        """The pictures of none of the labels in a batch; they take turns."""
        count = max(1, round(OTHERS * self.batch_size)) if len(self.others_order) else 0
        return np.take(self.others_order, range(index * count, (index + 1) * count), mode="wrap")

    def _images(self, numbers: npt.NDArray[np.int_]) -> npt.NDArray[np.float32]:
        pixels = np.stack([self._pixels(number) for number in numbers])
        return pixels.astype(np.float32) / np.float32(255)

    def _pixels(self, number: int) -> npt.NDArray[np.uint8]:
        photo = self._open(self.paths[number])
        if not self.augmented:
            return photo.pixels(self.size)
        # Each photo and epoch has a generator of its own: the result does not depend on threads.
        rng = random.Random(f"{self.seed} {self.epoch} {number}")
        return np.asarray(augment(photo, self.size, rng))

    def _open(self, path: Path) -> Photo:
        """Open a photo, which could be opened when the training started.

        :raises BrokenOffError: it cannot be any more. It is kept in ``failure``, too: not every backend of Keras
            passes on what is raised here.
        """
        try:
            return open_photo(path)
        except (PhotoError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            self.failure = BrokenOffError(f"{printable(str(path))} can no longer be read ({reason})")
            raise self.failure from error


def one_hot(targets: npt.NDArray[np.int32], classes: int) -> npt.NDArray[np.float32]:
    """One-hot targets: ``int[n]`` -> ``float32[n, classes]``."""
    hot = np.zeros((len(targets), classes), dtype="float32")
    hot[np.arange(len(targets)), targets] = 1
    return hot


def augment(photo: Photo, size: int, rng: random.Random) -> Image.Image:
    """The photo as another snapshot of the same bird might show it.

    :param size: width and height of the result in pixels.
    """
    show = shown_small if rng.random() < AUGMENTATION["small"] else cropped
    image = show(photo.image, size, rng)
    if rng.random() < AUGMENTATION["mirrored"]:
        image = ImageOps.mirror(image)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(1 + rng.uniform(-1, 1) * AUGMENTATION["colour"])
    image = tinted(image, rng)
    if rng.random() < AUGMENTATION["blurred"]:
        image = blurred(image, AUGMENTATION["blur"], rng)
    return image


def cropped(image: Image.Image, size: int, rng: random.Random) -> Image.Image:
    """A random part of the image, enlarged or reduced to fill the frame."""
    area, aspect = rng.uniform(*AUGMENTATION["crop_area"]), rng.uniform(*AUGMENTATION["aspect"])
    width = image.width * min(1.0, (area * aspect) ** 0.5)
    height = image.height * min(1.0, (area / aspect) ** 0.5)
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    return image.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + width, top + height))


def shown_small(image: Image.Image, size: int, rng: random.Random) -> Image.Image:
    """The whole image somewhere in a larger frame, which is filled with its edges or reflections, out of focus."""
    smallest = max(AUGMENTATION["smallest"], AUGMENTATION["smallest_pixels"] / size)
    side, aspect = size * rng.uniform(min(1.0, smallest), 1.0), rng.uniform(*AUGMENTATION["aspect"])
    width, height = (min(size, round(side * stretch**0.5)) for stretch in (aspect, 1 / aspect))
    left, top = rng.randint(0, size - width), rng.randint(0, size - height)
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    around = ((top, size - height - top), (left, size - width - left), (0, 0))
    surroundings = np.pad(np.asarray(small), around, rng.choice(("edge", "symmetric")))
    frame = blurred(Image.fromarray(surroundings), AUGMENTATION["surroundings_blur"], rng)
    frame.paste(small, (left, top))
    return frame


def blurred(image: Image.Image, radius: float, rng: random.Random) -> Image.Image:
    """The image out of focus.

    :param radius: the largest, in pixels of an image of ``IMAGE_SIZE``.
    """
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, radius * image.width / IMAGE_SIZE)))


def tinted(image: Image.Image, rng: random.Random) -> Image.Image:
    """The image in light of another color."""
    gains = [1 + rng.uniform(-1, 1) * AUGMENTATION["tint"] for _ in "RGB"]
    return image.point([min(255, round(level * gain)) for gain in gains for level in range(256)])
