"""inference/regions.py: which texts name a part of a photo."""

from dataclasses import astuple

import pytest

from inference.regions import SMALLEST, Region, RegionError

FOUR_NUMBERS = "crop must be four numbers: x,y,width,height, as in crop=0.25,0.1,0.5,0.4."
WITHIN = "crop must lie within the photo: its numbers are shares of the width and the height, from 0 to 1."
TOO_SMALL = f"crop must be at least {SMALLEST} wide and {SMALLEST} high."


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.25,0.1,0.5,0.4", (0.25, 0.1, 0.5, 0.4)),
        ("0,0,1,1", (0, 0, 1, 1)),
        ("0.0000,0.0000,1.0000,1.0000", (0, 0, 1, 1)),
        (" .25, +0.1 ,5e-1,4E-1", (0.25, 0.1, 0.5, 0.4)),
        ("1e-7,0,0.02,0.02", (1e-7, 0, 0.02, 0.02)),
        ("0.98,0.98,0.02,0.02", (0.98, 0.98, 0.02, 0.02)),
        ("0.3334,0.3334,0.6667,0.6667", (0.3334, 0.3334, 0.6666, 0.6666)),  # rounded up by who sent it
    ],
)
def test_four_shares_of_the_photo_are_a_region(text, numbers):
    region = Region.parse(text)
    assert astuple(region) == pytest.approx(numbers, abs=1e-12)
    assert region.x + region.width <= 1
    assert region.y + region.height <= 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",,,",
        "0,0,1",
        "0,0,1,1,",
        "0,0,1,1,1",
        "0;0;1;1",
        "0 0 1 1",
        "a,b,c,d",
        "nan,0,1,1",
        "0,0,nan,1",
        "0,0,inf,1",
        "0,0,1,-Infinity",
        "0,0,1,0x1",
        "0,0,1,1_0",
        "0,0,1,1\0",
        "0,0,1,1\n",
        "0,0,1,\ud800",
        "٠,٠,١,١",
        "0,0,1,１",
        "0,0,1,e",
        "0," * 500_000,
        "0,0,1," + "x" * 500_000,
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_not_four_numbers_is_refused_without_being_repeated(text):
    with pytest.raises(RegionError) as error:
        Region.parse(text)
    assert str(error.value) == FOUR_NUMBERS


@pytest.mark.parametrize(
    "text",
    [
        "-0.1,0,1,1",
        "0,-1e-9,1,1",
        "0.5,0,0.6,1",
        "0,0.5,1,0.6",
        "0,0,1.01,1",
        "0,0,1e400,1",
        "1e400,0,-1e400,1",  # whose sum is no number
        "25,10,50,40",
        "0,0,1," + "9" * 500_000,
    ],
    ids=lambda text: text[:20],
)
def test_what_is_not_within_the_photo_is_refused(text):
    with pytest.raises(RegionError) as error:
        Region.parse(text)
    assert str(error.value) == WITHIN


@pytest.mark.parametrize(
    "text",
    [
        "0,0,0,1",
        "0,0,1,0",
        "0,0,1,0.0199",
        "0.5,0.5,-0.1,0.1",
        "0,0,1,-1e400",
        "0,0,1e-400,1",
        "1,1,0,0",
        "2,0,-1,1",
        "0.9804,0,0.0205,1",  # of which only 0.0196 lies within the photo
    ],
)
def test_what_is_too_small_to_show_a_bird_is_refused(text):
    with pytest.raises(RegionError) as error:
        Region.parse(text)
    assert str(error.value) == TOO_SMALL


def test_a_region_is_written_as_it_is_read():
    for text in ("0.2500,0.1000,0.5000,0.4000", "0.0000,0.0000,1.0000,1.0000", "0.9800,0.9800,0.0200,0.0200"):
        assert str(Region.parse(text)) == text
    assert str(Region.parse("-0.0,-0,1,1")) == "0.0000,0.0000,1.0000,1.0000"


def test_a_region_that_was_read_and_written_can_be_read_again():
    for step in range(0, 10_000, 7):
        x = step / 10_003
        for width in (SMALLEST, 0.333333, 1 - x, 1.001 - x):
            try:
                region = Region.parse(f"{x},0,{width},1")
            except RegionError:
                continue
            assert astuple(Region.parse(str(region))) == pytest.approx(astuple(region), abs=1e-4)
