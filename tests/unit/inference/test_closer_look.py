"""inference/closer_look.py: birds are searched in a feature map, and looked at one by one."""

import itertools
import math
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest

from inference import IMAGE_SIZE
from inference.closer_look import (
    APART,
    LARGE_BIRD,
    MARGIN,
    MOST_BIRDS,
    SEARCH_SIDE,
    TEMPERATURE,
    WIDEST,
    WINDOWS,
    CloserLook,
    Look,
    Search,
    combined_region,
    combined_scores,
    read_region,
    search_size,
)
from inference.pooled_head import PooledHead
from inference.regions import Region

CHANNELS, SPECIES = 16, 5
NO_FEATURES = np.zeros((0, 0, 0), "float32")
SIZES = [(4000, 3000), (3000, 1000), (1000, 3000), (1200, 1200)]


BIRD, OTHER_BIRD = 3, 7  # channels


def random_head() -> PooledHead:
    """A head of random weights; two channels speak for a species each."""
    kernel = np.random.default_rng(5).normal(size=(CHANNELS, SPECIES)).astype("float32")
    kernel[BIRD], kernel[OTHER_BIRD] = np.eye(SPECIES, dtype="float32")[:2]
    return PooledHead(kernel, np.zeros(SPECIES, "float32"))


def map_of(width: int, height: int) -> np.ndarray:
    """The features of a photo of one kind of background, with a little noise."""
    wide, high = search_size(width, height)
    chance = np.random.default_rng(6)
    shape = (high // 32 - 1, wide // 32 - 1, CHANNELS)
    return (0.3 + 0.02 * chance.random(shape)).astype("float32")


def with_blob(features: np.ndarray, row: int, column: int, side: int, channel: int = BIRD) -> Region:
    """Make a square of places look different.

    :return: where it is.
    """
    rows, columns, _channels = features.shape
    features[row : row + side, column : column + side, channel] += 2
    return Region(column / columns, row / rows, side / columns, side / rows)


def best_overlap(regions: list[Region], blob: Region) -> float:
    return max(region.overlap(blob) for region in regions)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [1, 2, 4, 7])
def test_a_blob_is_found_wherever_it_is(size, side):
    rows, columns, _channels = map_of(*size).shape
    places = [
        *itertools.product((0, rows - side), (0, columns - side)),  # the corners
        ((rows - side) // 2, (columns - side) // 2),
        ((rows - side) // 3, 0),
    ]
    for row, column in places:
        features = map_of(*size)
        blob = with_blob(features, row, column, side)
        regions = Search(features, random_head(), *size).regions(WINDOWS, [])
        assert len(regions) == len(WINDOWS)
        assert best_overlap(regions, blob) >= 0.4


@pytest.mark.parametrize("size", SIZES)
def test_regions_are_squares_of_pixels_within_the_photo(size):
    features = map_of(*size)
    with_blob(features, 0, features.shape[1] - 2, 2)
    for region in Search(features, random_head(), *size).regions(WINDOWS, []):
        assert region.width * size[0] == pytest.approx(region.height * size[1])
        assert min(astuple(region)) >= 0
        assert region.x + region.width <= 1 + 1e-9
        assert region.y + region.height <= 1 + 1e-9


def test_what_has_been_found_is_not_found_again():
    features = map_of(1200, 1200)
    first = with_blob(features, 2, 2, 3)
    second = with_blob(features, 12, 13, 3, channel=OTHER_BIRD)
    features[12:15, 13:16, OTHER_BIRD] -= 0.5  # stands out less
    search = Search(features, random_head(), 1200, 1200)
    found = max(search.regions(WINDOWS, []), key=first.overlap)
    assert found.overlap(first) >= 0.4
    others = search.regions(WINDOWS, [found])
    assert all(region.shared(found) < APART for region in others)
    assert best_overlap(others, second) >= 0.4
    assert search.regions(WINDOWS, [Region(0, 0, 1, 1)]) == []


def test_later_birds_are_searched_in_windows_of_the_first_ones_size():
    search = Search(map_of(1200, 1200), random_head(), 1200, 1200)
    places = map_of(1200, 1200).shape[0]
    for index, (window, _weight) in enumerate(WINDOWS):
        side = (1.25 * window + 0.25) / places
        like = search.windows_like(Region(0, 0, side, side))
        assert like[0] == WINDOWS[index]
        assert abs(WINDOWS.index(like[1]) - index) == 1
    assert search.windows_like(Region(0, 0, 0.001, 0.001)) == list(WINDOWS[:2])
    assert search.windows_like(Region(0, 0, 1, 1)) == list(WINDOWS[:1:-1])


def look(region: Region | None, *scores: float) -> Look:
    return Look(region, np.array(scores, "float32"), NO_FEATURES)


def test_several_looks_count_by_their_evidence():
    sure, unsure = look(Region(0.2, 0.2, 0.2, 0.2), 8, 0, 0), look(Region(0.4, 0.4, 0.2, 0.2), 0, 6, 0)
    weight = 1 / (1 + math.exp(-2 / TEMPERATURE))
    np.testing.assert_allclose(combined_scores([sure, unsure]), [8 * weight, 6 * (1 - weight), 0], rtol=1e-5)
    region = combined_region([sure, unsure])
    assert astuple(region) == pytest.approx((*[0.4 - 0.2 * weight] * 2, 0.2, 0.2))


def test_the_size_of_several_regions_together_is_their_geometric_mean_and_the_whole_has_none():
    small, large = look(Region(0.45, 0.4, 0.1, 0.2), 5, 0), look(Region(0.3, 0.1, 0.4, 0.8), 5, 0)
    region = combined_region([look(None, 5, 0), small, large])
    assert astuple(region) == pytest.approx((0.4, 0.3, 0.2, 0.4))


def test_a_combined_region_lies_within_the_photo():
    corner = look(Region(0.9, 0.9, 0.1, 0.1), 5, 0)
    large = look(Region(0.2, 0.2, 0.8, 0.8), 5, 0)
    region = combined_region([corner, large])
    assert region.x + region.width <= 1 + 1e-9
    assert region.y + region.height <= 1 + 1e-9


def test_the_evidence_is_the_highest_score_and_confidence_its_softmax():
    one = look(None, 1, 3, 2)
    assert one.evidence == 3
    assert one.confidence == pytest.approx(math.exp(3) / (math.exp(1) + math.exp(2) + math.exp(3)))
    assert look(None, 1e4, -1e4).confidence == 1


@pytest.mark.parametrize("size", [(1792, 1344), (1792, 597), (400, 300), (300, 1792), (1792, 20), (1, 1)])
def test_a_photo_is_searched_at_its_aspect_and_at_a_size_that_is_limited(size):
    wide, high = search_size(*size)
    assert min(wide, high) >= IMAGE_SIZE
    assert wide * high <= max(WIDEST * SEARCH_SIDE**2 * 1.01, 1792 * IMAGE_SIZE)
    assert min(wide, high) <= SEARCH_SIDE
    if min(size) > IMAGE_SIZE:
        assert wide / high == pytest.approx(size[0] / size[1], rel=0.01)


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
GRAY = (100, 100, 100)


class ColorNetwork:
    """Knows a red, a green and a blue bird. Of one that the edge of an image cuts off it sees less.

    :ivar images: how many it has seen, apart from those that were searched.
    """

    head = PooledHead(np.eye(3, dtype="float32") * 20, np.zeros(3, "float32"))

    def __init__(self) -> None:
        self.images = 0

    def features(self, images: np.ndarray) -> np.ndarray:
        if images.shape[1:3] == (IMAGE_SIZE, IMAGE_SIZE):
            self.images += len(images)
        count, height, width, _channels = images.shape
        cropped = images[:, : height // 32 * 32, : width // 32 * 32].astype("float32") / 255
        colorful = cropped - cropped.min(axis=-1, keepdims=True)
        edges = (colorful[:, 0], colorful[:, -1], colorful[:, :, 0], colorful[:, :, -1])
        cut_off = np.mean([edge.mean(axis=1) for edge in edges], axis=0)
        places = colorful.reshape(count, height // 32, 32, width // 32, 32, 3).mean(axis=(2, 4))
        return (places * (1 - cut_off)[:, np.newaxis, np.newaxis]).astype("float32")

    def birds(self, picture: np.ndarray) -> list[Look]:
        whole = self.features(read_region(picture, Region(0, 0, 1, 1))[np.newaxis])[0]
        return CloserLook(self.features, self.head).birds(picture, whole)


def scene(*birds: tuple[Region, tuple[int, int, int]], size: tuple[int, int] = (1600, 1200)) -> np.ndarray:
    """A gray picture with patches of color."""
    picture = np.full((size[1], size[0], 3), GRAY, "uint8")
    picture += np.random.default_rng(0).integers(0, 5, picture.shape, dtype="uint8")
    for region, color in birds:
        left, upper, right, lower = region.box(*size)
        picture[upper:lower, left:right] = color
    return picture


def species(look: Look) -> int:
    return int(look.scores.argmax())


def test_a_small_bird_is_found_and_one_bird_is_one_look():
    for x, y in [(0.1, 0.1), (0.6, 0.3), (0.85, 0.8)]:
        place = Region(x, y, 0.15, 0.2)
        (bird,) = ColorNetwork().birds(scene((place, GREEN)))
        assert species(bird) == 1
        assert bird.region.overlap(place) >= 0.3
        assert bird.confidence > 0.9
        assert bird.features.shape == (7, 7, 3)


@pytest.mark.parametrize("size", [(1600, 1200), (1500, 500), (500, 1500)])
def test_two_birds_that_are_apart_are_two_looks(size):
    side = 0.16 * math.sqrt(size[0] * size[1])
    width, height = side / size[0], side / size[1]
    left, right = Region(0.05, 0.1, width, height), Region(0.95 - width, 0.9 - height, width, height)
    birds = ColorNetwork().birds(scene((left, RED), (right, BLUE), size=size))
    assert sorted(map(species, birds)) == [0, 2]
    for bird in birds:
        assert bird.region.overlap({0: left, 2: right}[species(bird)]) >= 0.3
    assert birds[0].region.shared(birds[1].region) < APART


def test_no_more_birds_are_looked_for_than_a_few():
    flock = [(Region(0.25 * x + 0.05, 0.25 * y + 0.05, 0.09, 0.12), GREEN) for x in range(4) for y in range(4)]
    network = ColorNetwork()
    birds = network.birds(scene(*flock))
    assert len(birds) == MOST_BIRDS
    for one, other in itertools.combinations(birds, 2):
        assert one.region.shared(other.region) < 0.5
    # The whole, a region for each window and one more look; for each further bird two windows and one more look.
    assert network.images <= 1 + len(WINDOWS) + 1 + (MOST_BIRDS - 1) * 3


def scored(*scores: float) -> Callable[[np.ndarray], np.ndarray]:
    """Features that have each image of a region say these scores, one after the other, and no more."""
    remaining = list(scores)

    def features(images: np.ndarray) -> np.ndarray:
        if images.shape[1:3] != (IMAGE_SIZE, IMAGE_SIZE):
            return map_of(images.shape[2], images.shape[1])[np.newaxis, ..., :2]
        return np.array([np.full((5, 5, 2), (remaining.pop(0), 0)) for _image in images], "float32")

    return features


TWO = PooledHead(np.eye(2, dtype="float32"), np.zeros(2, "float32"))
WHOLE_OF_5 = np.full((5, 5, 2), (5, 0), "float32")


@pytest.mark.parametrize("evidence", [2, 5, LARGE_BIRD * 5 + MARGIN - 0.1])
def test_the_whole_stands_unless_a_part_has_more_evidence_by_a_margin(evidence):
    looks = CloserLook(scored(*[evidence] * len(WINDOWS)), TWO).birds(scene(), WHOLE_OF_5)
    assert [look.region for look in looks] == [None]
    np.testing.assert_array_equal(looks[0].scores, [5, 0])
    np.testing.assert_array_equal(looks[0].features, WHOLE_OF_5)


def test_a_part_wins_that_has_more_evidence_by_the_margin():
    parts = [0.0] * (len(WINDOWS) - 1) + [LARGE_BIRD * 5 + MARGIN + 0.1]
    # The last but two is one more look at the bird; the others find no second bird.
    first, *others = CloserLook(scored(*parts, 7, 0, 0), TWO).birds(scene(), WHOLE_OF_5)
    assert first.region is not None
    assert first.evidence > 5
    np.testing.assert_array_equal(first.features, np.full((5, 5, 2), (7, 0)))
    assert others == []


def test_a_whole_without_a_bird_has_no_head_start_but_the_margin():
    first, *_others = CloserLook(scored(*[MARGIN - 4.9] * len(WINDOWS), *[-9] * 3), TWO).birds(scene(), WHOLE_OF_5 - 10)
    assert first.region is not None


def test_no_second_bird_is_one_of_which_the_network_is_not_sure():
    parts = [0.0] * (len(WINDOWS) - 1) + [9.0]
    unsure = [1.9, 1.9]  # a confidence of 0.87
    assert len(CloserLook(scored(*parts, 9, *unsure), TWO).birds(scene(), WHOLE_OF_5)) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (16, 16), (30, 1792), (1792, 16), (225, 224)])
def test_a_tiny_or_thin_picture_does_not_fail(size):
    for picture in (scene(size=size), scene((Region(0.4, 0.4, 0.2, 0.2), RED), size=size)):
        for bird in ColorNetwork().birds(picture):
            assert bird.region is None or min(astuple(bird.region)) >= 0


@pytest.mark.parametrize("color", [0, 90, 255])
def test_a_blank_picture_has_no_birds(color):
    picture = np.full((1200, 1600, 3), color, "uint8")
    assert [bird.region for bird in ColorNetwork().birds(picture)] == [None]


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["searched", "whole", "parts", "last looks", "everything", "one place"])
@pytest.mark.filterwarnings("error")
def test_features_that_are_no_numbers_do_no_harm(number, where):
    calls = itertools.count()
    network = ColorNetwork()

    def features(images: np.ndarray) -> np.ndarray:
        found = network.features(images)
        kind = ("searched", "parts", "last looks")[min(2, next(calls))]
        if where in (kind, "everything"):
            found[:] = number
        if where == "one place":
            found[:, 0, 0, 0] = number
        return found

    picture = scene((Region(0.1, 0.1, 0.15, 0.2), GREEN), (Region(0.7, 0.7, 0.15, 0.2), RED))
    whole = network.features(read_region(picture, Region(0, 0, 1, 1))[np.newaxis])[0]
    if where in ("whole", "everything"):
        whole[:] = number
    birds = CloserLook(features, network.head).birds(picture, whole)
    assert 1 <= len(birds) <= MOST_BIRDS
    assert all(np.isfinite(bird.scores).all() for bird in birds)
    assert all(np.isfinite(astuple(bird.region)).all() for bird in birds if bird.region)
