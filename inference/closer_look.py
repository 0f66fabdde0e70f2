"""A closer look at a photo in which birds may be small: where they are, and what several looks at each say together.

The numbers here were chosen by the measurements in ``docs/closer-look.md``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import IMAGE_SIZE
from .pooled_head import PooledHead, finite
from .regions import Region, region_around

Map = NDArray[np.float32]
Window = tuple[int, float]

SURE = 0.98  # confidence; a photo about which the network is as sure as that gets no closer look
SEARCH_SIDE = 3 * IMAGE_SIZE  # pixels, of the shorter side of the image that is searched
WIDEST = 4 / 3  # longer to shorter side; of a wider image no more pixels are searched than of one of this aspect
STRIDE = 32  # pixels between two places of InceptionV3's feature map, about

#: The windows in which birds are searched: the side in places, and how much the salience counts beside the scores. A
#: bird that covers only one or two places is seen rather than recognised.
WINDOWS: tuple[Window, ...] = ((1, 4.0), (2, 2.5), (4, 1.0), (7, 0.2))
MARGIN = 1.0  # logits by which a part of a photo must score more than the whole; it was chosen out of several
LARGE_BIRD = 1.5  # what a positive score of the whole is multiplied by, since parts of a large bird score more than it
TEMPERATURE = 2.0  # of the weights of several looks at one bird
SAME = 0.5  # of the smaller one of two regions; those that share more show the same bird
APART = 0.1  # of the smaller one of two regions; those that share less show different birds
SURROUNDINGS = 1.6  # times the side of a region: how far the bird in it may reach
OTHER_CONFIDENCE = 0.9  # of a further bird; what is no bird is often named with less
OTHER_EVIDENCE = 3.0  # of a further bird, in logits; likewise
MOST_BIRDS = 4  # that are looked for in a photo


@dataclass(frozen=True)
class Look:
    """What the network says about a part of a photo.

    :param region: None for the whole photo.
    :param scores: of the species before the softmax, ``float32[n]``.
    :param features: of the part, ``float32[rows, columns, channels]``.
    """

    region: Region | None
    scores: Map
    features: Map

    @property
    def evidence(self) -> float:
        """The highest score. It tells birds from backgrounds better than confidence, which is about which species."""
        return float(self.scores.max())

    @property
    def confidence(self) -> float:
        """The probability of the most likely species, 0 to 1."""
        return float(1 / np.exp(self.scores - self.scores.max()).sum())


class Search:
    """A photo in whose feature map birds are searched.

    Two things tell where one is: that a species scores more there than in the rest of the photo, and that the place
    looks different from the rest. The square root makes of features, which are never negative, ones whose differences
    are comparable.

    :param features: of the whole photo at a high resolution, ``float32[rows, columns, channels]``.
    :param width: of the photo in pixels.
    :param height: likewise.
    """

    def __init__(self, features: Map, head: PooledHead, width: int, height: int) -> None:
        scores = head.scores(features)
        roots = np.sqrt(np.maximum(features, 0))
        self._scores = scores - scores.mean(axis=(0, 1))
        self._salience = ((roots - roots.mean(axis=(0, 1))) ** 2).sum(axis=-1, keepdims=True)
        self._size = width, height

    def regions(self, windows: Sequence[Window], found: list[Region]) -> list[Region]:
        """For each of the windows the part of the photo that stands out most.

        :param found: birds that have been found, and are not to be found again.
        """
        return [region for window in windows if (region := self._most_prominent(*window, found))]

    def windows_like(self, region: Region) -> list[Window]:
        """The two of the windows whose size is nearest to that of a region: birds in a photo are of a size."""
        rows, columns, _species = self._scores.shape
        places = math.sqrt(region.area * rows * columns)
        return sorted(WINDOWS, key=lambda window: abs(math.log(_side(window[0]) / places)))[:2]

    def _most_prominent(self, window: int, weight: float, found: list[Region]) -> Region | None:
        """The part of the photo that stands out most among those of one size; None if there is none.

        :param window: the side in places.
        :param weight: of the salience.
        """
        window = min(window, *self._scores.shape[:2])
        prominence = _standardized(_means(self._scores, window).max(axis=-1))
        prominence += weight * _standardized(_means(self._salience, window)[..., 0])
        for place in np.argsort(prominence, axis=None)[::-1]:
            row, column = np.unravel_index(place, prominence.shape)
            region = self._square(row + window / 2, column + window / 2, _side(window))
            if all(region.shared(each) < APART for each in found):
                return region
        return None

    def _square(self, row: float, column: float, side: float) -> Region:
        """A square of pixels around a point, moved and shrunk so that it lies within the photo.

        :param row: of the point, in places; so are the others.
        """
        rows, columns, _species = self._scores.shape
        width, height = self._size
        pixels = side * math.sqrt(width / columns * height / rows)
        return region_around(column / columns, row / rows, pixels / width, pixels / height)


class CloserLook:
    """A network that looks closer at photos.

    :param features: the network up to its pooling: ``uint8[n, height, width, 3]`` -> ``float32[n, rows, columns, c]``.
    :param head: the rest of it.
    """

    def __init__(self, features: Callable[[NDArray[np.uint8]], Map], head: PooledHead) -> None:
        self._features, self._head = features, head

    def birds(self, picture: NDArray[np.uint8], whole: Map) -> list[Look]:
        """What the network says about the birds in a photo, the surest first; or about the whole if it finds none.

        :param picture: the photo, ``uint8[height, width, 3]``.
        :param whole: the features of the whole photo as the network usually sees it.
        """
        height, width, _channels = picture.shape
        # HAMMING takes a third of the time of LANCZOS, and birds are found as well in what it gives.
        image = Image.fromarray(picture).resize(search_size(width, height), Image.Resampling.HAMMING)
        (features,) = self._features(np.asarray(image)[np.newaxis])
        search = Search(finite(features), self._head, width, height)
        first = self._bird(picture, [self._look(None, whole), *self._looks(picture, search.regions(WINDOWS, []))])
        birds = [first]
        while first.region and len(birds) < MOST_BIRDS:
            found = [bird.region.enlarged(SURROUNDINGS) for bird in birds if bird.region]
            regions = search.regions(search.windows_like(first.region), found)
            if not regions:
                break
            looks = self._looks(picture, regions)
            if max(look.evidence for look in looks) < OTHER_EVIDENCE:
                break
            other = self._bird(picture, looks)
            if other.evidence < OTHER_EVIDENCE or other.confidence < OTHER_CONFIDENCE:
                break
            birds.append(other)
        return [first, *sorted(birds[1:], key=lambda bird: -bird.confidence)]

    def _bird(self, picture: NDArray[np.uint8], looks: list[Look]) -> Look:
        """What several looks say together about the bird that the best of them shows, after one more look at it."""
        best = max(looks, key=_claim)
        if best.region is None:
            return best
        looks = [look for look in looks if look.region is None or look.region.shared(best.region) > SAME]
        region = combined_region(looks)
        (last,) = self._looks(picture, [region])
        return Look(region, combined_scores([*looks, last]), last.features)

    def _looks(self, picture: NDArray[np.uint8], regions: list[Region]) -> list[Look]:
        images = np.stack([read_region(picture, region) for region in regions])
        return [self._look(*each) for each in zip(regions, self._features(images), strict=True)]

    def _look(self, region: Region | None, features: Map) -> Look:
        features = finite(features)
        return Look(region, self._head.scores(features.mean(axis=(0, 1))), features)


def search_size(width: int, height: int) -> tuple[int, int]:
    """Width and height in pixels at which a photo is searched: with its aspect, and not enlarged unless it is tiny."""
    scale = min(1.0, SEARCH_SIDE / min(width, height), SEARCH_SIDE * math.sqrt(WIDEST / (width * height)))
    wide, high = (max(IMAGE_SIZE, round(scale * side)) for side in (width, height))
    return wide, high


def read_region(picture: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    """A part of a picture as the network usually sees photos, ``uint8[224, 224, 3]``.

    :param picture: ``uint8[height, width, 3]``.
    """
    height, width, _channels = picture.shape
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, box=region.box(width, height)))


def combined_scores(looks: list[Look]) -> Map:
    """The scores of several looks at one bird together, ``float32[n]``: their mean, weighted by evidence."""
    return np.asarray(_weights(looks) @ np.stack([look.scores for look in looks]), dtype="float32")


def combined_region(looks: list[Look]) -> Region:
    """The region that several looks at one bird show together: the mean of middles and sizes, weighted by evidence."""
    regions = [look.region for look in looks if look.region]
    weights = _weights([look for look in looks if look.region])
    x = float(weights @ [each.x + each.width / 2 for each in regions])
    y = float(weights @ [each.y + each.height / 2 for each in regions])
    width = math.exp(weights @ np.log([each.width for each in regions]))
    height = math.exp(weights @ np.log([each.height for each in regions]))
    return region_around(x, y, width, height)


def _claim(look: Look) -> float:
    """The evidence with which a look competes; the whole photo has a head start."""
    if look.region:
        return look.evidence
    return max(look.evidence, LARGE_BIRD * look.evidence) + MARGIN


def _weights(looks: list[Look]) -> NDArray[np.float64]:
    evidence = np.array([look.evidence for look in looks])
    weights = np.exp((evidence - evidence.max()) / TEMPERATURE)
    return np.asarray(weights / weights.sum())


def _side(window: int) -> float:
    """The side of the region that is read for a window, in places: a place sees more of the photo than its share."""
    return 1.25 * window + 0.25


def _means(values: Map, window: int) -> Map:
    """The means over windows of ``window`` × ``window`` places: for n rows or columns, n + 1 - ``window`` of them."""
    sums = np.pad(values, ((1, 0), (1, 0), (0, 0))).cumsum(axis=0, dtype="float64").cumsum(axis=1)
    inner = sums[window:, window:] - sums[:-window, window:] - sums[window:, :-window] + sums[:-window, :-window]
    return np.asarray(inner / window**2, dtype="float32")


def _standardized(values: Map) -> Map:
    """Values less their mean, by their standard deviation."""
    return np.asarray((values - values.mean()) / (values.std() + 1e-6), dtype="float32")
