"""Scenes with a small bird, drawn from photos: a photo of a bird, shrunk and pasted into a photo without one."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from inference.regions import Region

EDGES = ("soft", "hard", "elliptical")
SOFTNESS = 0.06  # of the shorter side of what is pasted: the width of a soft edge
BLUR = 2  # pixels, of the background: as if the lens were focused on the bird


@dataclass(frozen=True)
class Scene:
    """A photo with a small bird.

    :param image: ``RGB``.
    :param label: the species.
    :param share: the longer side of the pasted photo, as a share of the image's shorter side.
    :param box: where the photo was pasted.
    :param edge: one of ``EDGES``.
    """

    image: Image.Image
    label: str
    share: float
    box: Region
    edge: str


def scenes(
    birds: Path, backgrounds: Path, count: int, shares: Sequence[float], size: tuple[int, int], seed: int
) -> Iterator[Scene]:
    """Draw scenes: for each of ``count`` photos of birds one scene for each share.

    The same arguments give the same scenes. The kinds of edges take turns.

    :param birds: a folder ``<label>/*.jpg``; no photo is used twice.
    :param backgrounds: a folder of photos without birds.
    :param count: of photos of birds; with fewer in the folder, all of them.
    :param size: width and height of the scenes in pixels.
    :param seed: chooses photos, backgrounds and places.
    """
    choices = random.Random(seed)
    photos, without_birds = sorted(birds.glob("*/*.jpg")), sorted(backgrounds.glob("*.jpg"))
    edges = itertools.cycle(EDGES)
    for photo in choices.sample(photos, min(count, len(photos))):
        for share in shares:
            edge = next(edges)
            image = _background(choices.choice(without_birds), size)
            with Image.open(photo) as bird:
                box = _paste(image, bird.convert("RGB"), share, edge, choices)
            yield Scene(image, photo.parent.name, share, box, edge)


def _background(path: Path, size: tuple[int, int]) -> Image.Image:
    """The upper left part of a photo, enlarged so that it fills an image."""
    with Image.open(path) as photo:
        scale = max(size[0] / photo.width, size[1] / photo.height)
        box = (0, 0, size[0] / scale, size[1] / scale)
        image = photo.convert("RGB").resize(size, Image.Resampling.BICUBIC, box=box)
    return image.filter(ImageFilter.GaussianBlur(BLUR))


def _paste(image: Image.Image, bird: Image.Image, share: float, edge: str, choices: random.Random) -> Region:
    """Paste a photo somewhere into an image.

    :return: where it is.
    """
    scale = share * min(image.size) / max(bird.size)
    width, height = (max(1, round(scale * side)) for side in bird.size)
    x, y = choices.randint(0, image.width - width), choices.randint(0, image.height - height)
    image.paste(bird.resize((width, height), Image.Resampling.LANCZOS), (x, y), _mask((width, height), edge))
    return Region(x / image.width, y / image.height, width / image.width, height / image.height)


def _mask(size: tuple[int, int], edge: str) -> Image.Image:
    """What is pasted of an image of this size, mode ``L``."""
    width, height = size
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    if edge == "elliptical":
        draw.ellipse((0, 0, width, height), fill=255)
        return mask
    margin = round(SOFTNESS * min(size)) if edge == "soft" else 0
    draw.rectangle((margin, margin, width - margin, height - margin), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(margin / 2)) if margin else mask
