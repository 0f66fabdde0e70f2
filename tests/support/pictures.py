"""Drawings to train on: clouds in colored light, no two alike."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(color: str, rng: np.random.Generator) -> Image.Image:
    """Clouds in the light of one color, 240×180 pixels."""
    clouds = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype="uint8")).resize(
        (240, 180), Image.Resampling.BICUBIC
    )
    return Image.blend(clouds, Image.new("RGB", clouds.size, color), 0.5)


def draw_pictures(folder: Path, count: int, color: str, seed: int = 0) -> None:
    """Write ``count`` files, ``0.jpg`` and so on.

    :param folder: is made.
    :param color: any that Pillow knows; each color and each seed gives other clouds.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, *color.encode()])
    for number in range(count):
        picture(color, rng).save(folder / f"{number}.jpg")
