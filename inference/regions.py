"""Parts of a photo: where in it something is."""

from dataclasses import astuple, dataclass
from typing import Self

from .sentences import Sentence

SMALLEST = 0.02  # of a side of the photo; less shows no bird
_CHARACTERS = frozenset("0123456789.+-eE, ")  # float() would also take digits of other scripts, and underscores


class RegionError(ValueError):
    """A text or numbers name no part of a photo; the message is a sentence."""


@dataclass(frozen=True)
class Region:
    """A rectangle in an upright photo. All numbers are shares of the photo's width or height, from 0 to 1.

    :param x: of the left edge.
    :param y: of the upper edge.
    """

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``x,y,width,height``.

        :raises RegionError: that is not what it is, or the rectangle is not within the photo, or very small.
        """
        try:
            x, y, width, height = map(float, text.split(",") if _CHARACTERS.issuperset(text) else ())
        except ValueError as error:
            raise RegionError(
                Sentence("crop must be four numbers: x,y,width,height, as in crop=0.25,0.1,0.5,0.4.")
            ) from error
        # A client's sum may exceed 1 by what rounding adds.
        if not (x >= 0 and y >= 0 and x + width <= 1.001 and y + height <= 1.001):
            raise RegionError(
                Sentence(
                    "crop must lie within the photo: its numbers are shares of the width and the height, from 0 to 1."
                )
            )
        width, height = min(width, 1 - x), min(height, 1 - y)
        if not (width >= SMALLEST and height >= SMALLEST):
            raise RegionError(Sentence("crop must be at least %(side)s wide and %(side)s high.", side=SMALLEST))
        return cls(abs(x), abs(y), width, height)  # -0.0 would be written with its sign

    def __str__(self) -> str:
        """As ``parse`` reads it, to the ten thousandth."""
        return ",".join(f"{number:.4f}" for number in astuple(self))

    @property
    def area(self) -> float:
        """Its share of the photo."""
        return self.width * self.height

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Its left, upper, right and lower edge in an image of so many pixels; at least one pixel lies within."""
        left, upper = min(round(self.x * width), width - 1), min(round(self.y * height), height - 1)
        right, lower = round((self.x + self.width) * width), round((self.y + self.height) * height)
        return left, upper, max(left + 1, min(right, width)), max(upper + 1, min(lower, height))

    def overlap(self, other: Self) -> float:
        """The area that both cover, as a share of what either covers (intersection over union)."""
        common = self._common(other)
        return common / (self.area + other.area - common)

    def shared(self, other: Self) -> float:
        """The area that both cover, as a share of the smaller one's."""
        return self._common(other) / min(self.area, other.area)

    def enlarged(self, factor: float) -> "Region":
        """The region around the same point with sides that are so many times as long, as far as the photo goes."""
        x, y = self.x + self.width / 2, self.y + self.height / 2
        return region_around(x, y, factor * self.width, factor * self.height)

    def _common(self, other: Self) -> float:
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0.0, width) * max(0.0, height)


def region_around(x: float, y: float, width: float, height: float) -> Region:
    """The region of this size around a point, shrunk and moved so that it lies within the photo."""
    width, height = min(1.0, width), min(1.0, height)
    return Region(min(max(0.0, x - width / 2), 1 - width), min(max(0.0, y - height / 2), 1 - height), width, height)


WHOLE = Region(0.0, 0.0, 1.0, 1.0)
