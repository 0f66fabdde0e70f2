"""What runs a network, as the classifier sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import IMAGE_SIZE
from .input_range import InputRange
from .options import EngineName, Precision

if TYPE_CHECKING:
    from .head import Scores  # it needs h5py, and the web process of a split deployment has none
    from .pooled_head import PooledHead

BATCH_SIZE = 8  # images; together they take a sixth less processor time than one by one; larger batches gain no more

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class EngineInfo:
    """How a network runs.

    :param engine: what runs it.
    :param precision: the numbers that it computes with.
    :param device: ``CPU`` or ``GPU``.
    :param input_range: of the pixel values that it is given.
    """

    engine: EngineName
    precision: Precision
    device: str
    input_range: InputRange

    def __str__(self) -> str:
        """As in a sentence: what runs the network."""
        return f"{self.engine.in_words} on the {self.device}, in {self.precision}"


def engine_json(info: EngineInfo) -> dict[str, str]:
    """How a network runs, as the API and ``/healthz`` say it."""
    return {"name": info.engine, "precision": info.precision, "device": info.device}


def read_engine_info(said: Any) -> EngineInfo | None:
    """What ``dataclasses.asdict`` made of an ``EngineInfo``; None if another release made it, and it cannot be read."""
    try:
        return EngineInfo(
            EngineName(said["engine"]), Precision(said["precision"]), said["device"], InputRange(said["input_range"])
        )
    except (TypeError, LookupError, ValueError):
        return None


class Engine(Protocol):
    """A loaded network, warmed up.

    :ivar info: how it runs.
    :ivar input_range_reason: a sentence that says why it is given pixel values in that range.
    :ivar meaning: what its scores mean.
    :ivar concurrency: how many images, each from a thread of its own, it classifies at a time without getting slower.
    """

    info: EngineInfo
    input_range_reason: str
    meaning: "Scores"
    concurrency: int

    @property
    def head(self) -> "PooledHead | None":
        """Its last layers, if they are global average pooling, one dense layer and a softmax."""

    def run(self, pixels: Pixels) -> tuple[Numbers, Numbers]:
        """The scores of an image, ``float32[1, n]``, and its feature map, ``float32[1, rows, columns, channels]``.

        The feature map has no rows if there is no ``head``.

        :param pixels: ``uint8[1, 224, 224, 3]``, RGB.
        """

    def run_batch(self, pixels: Pixels) -> tuple[Numbers, Numbers]:
        """The same for several images, in less time.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB; n is 1 to ``BATCH_SIZE``.
        """

    def features_of_any_size(self) -> Callable[[Pixels], Numbers] | None:
        """The network up to its pooling, for images of any size: ``uint8[n, height, width, 3]`` -> feature maps.

        :return: None if it takes images of one size only, which is logged.
        """


def in_words(engine: Engine) -> str:
    """What runs a network, and what it is given, in two sentences."""
    return f"The network is run by {engine.info}. {engine.input_range_reason}"


def full_batch(pixels: Pixels) -> Pixels:
    """Images as a batch that is full, the rest of it black.

    If every batch is full, an image gets the same answer to the last bit, whatever is beside it.

    :param pixels: ``uint8[n, height, width, 3]``; n is 1 to ``BATCH_SIZE``.
    """
    batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), dtype="uint8")
    batch[: len(pixels)] = pixels
    return batch


def one_by_one(run: Callable[[Pixels], tuple[Any, Any]], pixels: Pixels) -> tuple[Numbers, Numbers]:
    """Several images in turn through a network that takes one at a time."""
    scores, features = zip(*(run(image[np.newaxis]) for image in pixels), strict=True)
    return np.concatenate(scores), np.concatenate(features)


def different_images() -> Pixels:
    """Three images that have little in common, ``uint8[3, 224, 224, 3]``: blank, a gradient and noise."""
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    gradient = np.broadcast_to(np.linspace(0, 255, IMAGE_SIZE, dtype="uint8")[:, np.newaxis, np.newaxis], shape)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    return np.stack([np.zeros(shape, "uint8"), gradient, noise])
