"""Images that say which job they are of, and get an answer that no other job gets."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

COLORS = 2**24
STEP = 0x9E3779B1 % COLORS  # odd, so that the colour of each number is another; the golden ratio spreads them
DEADLY = 255  # the first number of the second pixel of an image that kills the process working on it


def image_of(number: int, *, is_deadly: bool = False) -> Pixels:
    """The image of a job, ``uint8[224, 224, 3]``, of one colour.

    :param number: of the job, from 0.
    :param is_deadly: whether it kills each process that works on it.
    """
    color = number * STEP % COLORS
    image = np.full((224, 224, 3), (color >> 16, color >> 8 & 255, color & 255), dtype="uint8")
    image[0, 1] = DEADLY if is_deadly else 0
    return image


def number_of(image: Pixels) -> int:
    """The number of the job that an image is of."""
    red, green, blue = (int(value) for value in image[0, 0])
    return ((red << 16) + (green << 8) + blue) * pow(STEP, -1, COLORS) % COLORS


def is_deadly(image: Pixels) -> bool:
    """Whether an image kills each process that works on it."""
    return int(image[0, 1, 0]) == DEADLY
