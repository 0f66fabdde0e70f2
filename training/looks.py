"""What a network makes of pictures before its last layer: pooled features and probabilities."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from inference.errors import PhotoError
from inference.photo import open_photo

from .evaluation import Floats, Ints
from .faults import printable

BATCH_SIZE = 8
OPENED_AT_ONCE = 32 * BATCH_SIZE  # pictures; they take 40 MB

Pixels = npt.NDArray[np.uint8]
#: ``uint8[n, 224, 224, 3]`` -> pooled features ``float32[n, channels]``, and probabilities ``float[n, labels]``; n is 1
#: to ``BATCH_SIZE``.
PooledNetwork = Callable[[Pixels], tuple[Floats, Floats]]

log = logging.getLogger(__name__)

_NONE: list[tuple[Floats, Floats]] = [(np.zeros((0, 1)), np.zeros((0, 1)))]


@dataclass(frozen=True, eq=False)
class Looks:
    """What a network makes of some pictures.

    :param paths: of the pictures.
    :param targets: the class index of each, ``int[n]``; -1 for pictures of none of the labels.
    :param features: pooled, ``float32[n, channels]``.
    :param probabilities: ``float[n, labels]``.
    """

    paths: list[Path]
    targets: Ints
    features: Floats
    probabilities: Floats

    def __len__(self) -> int:
        return len(self.paths)


def look_at(paths: Sequence[Path], targets: Ints, network: PooledNetwork, name: str) -> Looks:
    """Show pictures to a network. Those that cannot be read any more are left out, which is logged.

    :param targets: the class index of each, ``int[len(paths)]``.
    :param name: what the progress bar calls them.
    """
    kept: list[int] = []
    seen: list[tuple[Floats, Floats]] = []
    with ThreadPoolExecutor() as threads, tqdm(desc=name, total=len(paths), unit="photo", disable=None) as bar:
        for start in range(0, len(paths), OPENED_AT_ONCE):
            numbers = range(start, min(start + OPENED_AT_ONCE, len(paths)))
            opened = zip(numbers, threads.map(_pixels, (paths[number] for number in numbers)), strict=True)
            readable = [(number, pixels) for number, pixels in opened if pixels is not None]
            for batch in (readable[first : first + BATCH_SIZE] for first in range(0, len(readable), BATCH_SIZE)):
                seen.append(network(np.stack([pixels for _number, pixels in batch])))
                kept += [number for number, _pixels in batch]
            bar.update(len(numbers))
    # A training that diverged leaves a network that gives NaN.
    features, probabilities = (np.nan_to_num(np.concatenate(part)) for part in zip(*(seen or _NONE), strict=True))
    return Looks([paths[number] for number in kept], targets[kept], features, probabilities)


def _pixels(path: Path) -> Pixels | None:
    try:
        return open_photo(path).pixels()
    except (PhotoError, OSError) as error:
        log.warning("%s is left out: %s", printable(str(path)), error)
        return None
