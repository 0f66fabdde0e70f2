"""Which range of pixel values a network wants, told from what its first layers do to them."""

import math
from collections.abc import Iterable
from enum import StrEnum

AffineMap = tuple[float, float]  # scale and offset
TOLERANCE = 1e-2  # of both, where nothing is changed: gray is 0.9999 of the channels, and float16 has three digits


class InputRange(StrEnum):
    """A range of pixel values; the values of this enumeration are those of ``BIRD_INPUT_RANGE``."""

    ZERO_TO_ONE = "0-1"
    ZERO_TO_255 = "0-255"
    MINUS_ONE_TO_ONE = "-1-1"

    @property
    def limits(self) -> tuple[int, int]:
        """The values of black and of white."""
        match self:
            case InputRange.ZERO_TO_ONE:
                return 0, 1
            case InputRange.ZERO_TO_255:
                return 0, 255
        return -1, 1

    @property
    def in_words(self) -> str:
        """As in a sentence about values."""
        return "from {} to {}".format(*self.limits)


#: What the first convolutions of the usual networks see: the mean of the channels of a black and of a white image.
USUAL_INPUTS = (
    (0.0, 1.0),
    (-1.0, 1.0),  # the mode "tf" of Keras's preprocess_input
    (-0.5, 0.5),
    (-1.99, 2.44),  # its mode "torch": standardized with the mean and the standard deviation of ImageNet
    (-114.8, 140.2),  # its mode "caffe": the mean of ImageNet subtracted
    (0.0, 255.0),
    (-128.0, 127.0),
)


def choose_range(setting: InputRange | None, found: InputRange | None) -> tuple[InputRange, str]:
    """Choose the range of pixel values that a network is given.

    :param setting: the operator's choice, which wins.
    :param found: what the network's first layers ask for.
    :return: the range, and a sentence that says why.
    """
    if setting:
        return setting, f"The network is given pixel values {setting.in_words}, as BIRD_INPUT_RANGE says."
    if found:
        return found, f"The network is given pixel values {found.in_words}, as its first layers ask for."
    assumed = InputRange.ZERO_TO_ONE
    return assumed, (
        f"The network is given pixel values {assumed.in_words}: its first layers do not say what it wants. "
        "If it learned with another range, set BIRD_INPUT_RANGE."
    )


def nearest_range(maps: Iterable[AffineMap]) -> InputRange | None:
    """The range that first layers bring closest to what networks usually see; None if they change nothing.

    Two layers may cancel each other out, such as ``Rescaling(127.5, 127.5)`` and ``Rescaling(1 / 127.5, -1)``. So
    what the first of them makes of the range counts as much as what the last one does.

    :param maps: what the layers make of a pixel value, each together with those before it.
    """
    changes = {each for each in maps if math.dist(each, (1, 0)) > TOLERANCE}

    def total_distance(wanted: InputRange) -> float:
        black, white = wanted.limits
        return sum(_distance(scale * black + offset, scale * white + offset) for scale, offset in changes)

    return min(InputRange, key=total_distance) if changes else None


def _distance(black: float, white: float) -> float:
    """How far a range is from the nearest of ``USUAL_INPUTS``: how many times as wide, and how far off its middle."""
    low, high = sorted((black, white))
    width = high - low
    return min(
        abs(math.log(width / (usual_high - usual_low)))
        + abs((low + high) - (usual_low + usual_high)) / 2 / max(width, usual_high - usual_low)
        for usual_low, usual_high in USUAL_INPUTS
    )
