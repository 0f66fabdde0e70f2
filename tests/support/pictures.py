"""Labelled pictures to train on, drawn here: coloured clouds, no two alike."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(colour: str, rng: np.random.Generator) -> Image.Image:
    """Clouds of 240×180 pixels in the light of one colour."""
    clouds = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype="uint8")).resize(
        (240, 180), Image.Resampling.BICUBIC
    )
    return Image.blend(clouds, Image.new("RGB", clouds.size, colour), 0.5)


def draw_pictures(folder: Path, count: int, colour: str, seed: int = 0) -> None:
    """``folder/0.jpg`` and so on; another seed and another colour give other pictures."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, *colour.encode()])
    for number in range(count):
        picture(colour, rng).save(folder / f"{number}.jpg")
