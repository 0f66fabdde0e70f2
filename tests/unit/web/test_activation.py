"""web/activation.py: what the network looked at, as an image and in words."""

import io

import numpy as np
import pytest
from PIL import Image

from inference.regions import Region
from web.activation import AREAS, COLOR, OPACITY, area_of, in_words, overlay_png

SIZES = [(5, 5), (4, 4), (7, 7), (3, 8), (8, 3)]


def map_of(shape: tuple[int, int], *places: tuple[int, int], low: float = 0.0) -> list[list[float]]:
    """A map that is 1 at these places, (row, column), and low elsewhere."""
    shares = np.full(shape, low)
    for place in places:
        shares[place] = 1
    return shares.tolist()


@pytest.mark.parametrize("shape", SIZES)
def test_one_strong_place_is_named_by_the_area_in_which_its_middle_lies(shape):
    for row, column in np.ndindex(shape):
        area = AREAS[int((row + 0.5) / shape[0] * 3)][int((column + 0.5) / shape[1] * 3)]
        sentence = f"It looked mostly at the {area} of the photo."
        assert in_words(map_of(shape, (row, column))) == sentence
        assert in_words(map_of(shape, (row, column), low=0.05)) == sentence


def test_rows_go_from_top_to_bottom_and_columns_from_left_to_right():
    assert in_words([[1, 0, 0], [0, 0, 0], [0, 0, 0.8]]) == (
        "It looked mostly at the upper left and the lower right of the photo."
    )
    assert in_words([[0, 0, 1], [0, 0, 0], [0, 0, 0]]) == "It looked mostly at the upper right of the photo."
    assert in_words([[0, 0, 0], [0, 0, 0], [1, 0, 0]]) == "It looked mostly at the lower left of the photo."


def test_the_strongest_area_comes_first_and_weak_ones_are_not_named():
    assert in_words([[0.8, 0.2, 0], [0.6, 1, 0], [0, 0, 0.75]]) == (
        "It looked mostly at the middle, the upper left and the lower right of the photo."
    )


def test_areas_of_the_same_strength_come_as_one_reads():
    assert in_words([[1, 0, 0], [1, 0, 0], [1, 0, 0]]) == (
        "It looked mostly at the upper left, the left and the lower left of the photo."
    )


def test_many_strong_areas_are_most_of_the_photo():
    assert in_words([[1, 1, 1], [1, 1, 0], [0, 0, 0]]) == "It looked at most of the photo."
    assert in_words([[1, 1, 1], [1, 0, 0], [0, 0, 0]]).startswith("It looked mostly at the upper left, the top, ")


@pytest.mark.parametrize("shape", [*SIZES, (1, 1), (2, 2)])
def test_a_map_without_differences_is_all_or_nothing(shape):
    assert in_words(np.ones(shape).tolist()) == "It looked at all of the photo alike."
    assert in_words(np.zeros(shape).tolist()) == "No part of the photo stood out."


def test_what_lies_under_the_map_can_be_called_otherwise():
    assert in_words(map_of((5, 5), (0, 0)), "marked part") == "It looked mostly at the upper left of the marked part."


@pytest.mark.parametrize(
    ("region", "area"),
    [
        (Region(0, 0, 0.3, 0.3), "upper left"),
        (Region(0.4, 0, 0.2, 0.2), "top"),
        (Region(0.9, 0.9, 0.1, 0.1), "lower right"),
        (Region(0.7, 0.2, 0.3, 0.6), "right"),
        (Region(0, 0, 1, 1), "middle"),
    ],
)
def test_a_region_is_in_the_area_where_its_middle_lies(region, area):
    assert area_of(region) == area


def test_the_overlay_has_a_pixel_for_each_place_which_is_the_more_opaque_the_stronger_it_is():
    shares = [[0, 0.25, 0.5], [0.75, 1, 0]]
    with Image.open(io.BytesIO(overlay_png(shares))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (3, 2))
        pixels = np.asarray(image)
    assert (pixels[..., :3] == COLOR).all()
    np.testing.assert_allclose(pixels[..., 3] / 255, OPACITY * np.array(shares), atol=1 / 255)
