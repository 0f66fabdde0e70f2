"""Scenes with small birds, drawn from photos: photos of birds, shrunk and pasted into a photo without one."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from inference.regions import Region

STYLES = ("soft edge", "hard edge", "elliptical edge", "own background")
SOFTNESS = 0.06  # of the shorter side of what is pasted: the width of a soft edge
BLUR = 2  # pixels, of the background: as if the lens were focused on the bird
OWN_BLUR = 1 / 16  # of the shorter side, of a background that is the bird's own photo: no bird is left in it


@dataclass(frozen=True)
class Bird:
    """A bird in a scene.

    :param label: the species.
    :param box: where its photo was pasted.
    """

    label: str
    box: Region


@dataclass(frozen=True)
class Scene:
    """A photo with small birds.

    :param image: ``RGB``.
    :param share: the longer side of each pasted photo, as a share of the image's shorter side.
    :param style: of the pasting, one of ``STYLES``.
    """

    image: Image.Image
    birds: tuple[Bird, ...]
    share: float
    style: str


class SceneArtist:
    """Draws scenes. The same arguments and calls give the same scenes; the styles take turns.

    :param photos: of birds, ``<label>/*.jpg``.
    :param backgrounds: photos without birds.
    :param size: width and height of the scenes in pixels.
    :param seed: chooses backgrounds and places.
    """

    def __init__(self, photos: Sequence[Path], backgrounds: Sequence[Path], size: tuple[int, int], seed: int) -> None:
        self._photos, self._backgrounds, self._size = photos, backgrounds, size
        self._choices = random.Random(seed)
        self._styles = itertools.cycle(STYLES)

    def with_one_bird(self, count: int, shares: Sequence[float]) -> Iterator[Scene]:
        """For each of so many photos of birds, none of which is used twice, one scene for each share."""
        for photo in self._sample(count):
            for share in shares:
                yield self._draw([photo], share)

    def with_two_birds(self, count: int, share: float) -> Iterator[Scene]:
        """So many scenes, with one bird in the left half and one in the right.

        :param share: at most half of the scene's aspect.
        """
        photos = self._sample(2 * count)
        for each in zip(photos[::2], photos[1::2], strict=True):
            yield self._draw(each, share)

    def _sample(self, count: int) -> list[Path]:
        return self._choices.sample(self._photos, min(count, len(self._photos)))

    def _draw(self, photos: Sequence[Path], share: float) -> Scene:
        """A scene whose width the birds share."""
        style = next(self._styles)
        image = self._background(photos[0] if style == "own background" else None)
        width = image.width // len(photos)
        birds = []
        for index, photo in enumerate(photos):
            with Image.open(photo) as file:
                bird = _resized(file.convert("RGB"), share * min(image.size))
            x = index * width + self._choices.randint(0, width - bird.width)
            y = self._choices.randint(0, image.height - bird.height)
            image.paste(bird, (x, y), _mask(bird.size, style))
            box = Region(x / image.width, y / image.height, bird.width / image.width, bird.height / image.height)
            birds.append(Bird(photo.parent.name, box))
        return Scene(image, tuple(birds), share, style)

    def _background(self, own: Path | None) -> Image.Image:
        """The upper left part of a photo, enlarged so that it fills an image, and blurred.

        :param own: the photo of a bird, of which no bird is left; None for a photo without birds.
        """
        with Image.open(own or self._choices.choice(self._backgrounds)) as photo:
            scale = max(self._size[0] / photo.width, self._size[1] / photo.height)
            box = (0, 0, self._size[0] / scale, self._size[1] / scale)
            image = photo.convert("RGB").resize(self._size, Image.Resampling.BICUBIC, box=box)
        return image.filter(ImageFilter.GaussianBlur(OWN_BLUR * min(self._size) if own else BLUR))


def _resized(bird: Image.Image, longer_side: float) -> Image.Image:
    scale = longer_side / max(bird.size)
    width, height = (max(1, round(scale * side)) for side in bird.size)
    return bird.resize((width, height), Image.Resampling.LANCZOS)


def _mask(size: tuple[int, int], style: str) -> Image.Image:
    """What is pasted of an image of this size, mode ``L``."""
    width, height = size
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    if style == "elliptical edge":
        draw.ellipse((0, 0, width, height), fill=255)
        return mask
    margin = 0 if style == "hard edge" else round(SOFTNESS * min(size))
    draw.rectangle((margin, margin, width - margin, height - margin), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(margin / 2)) if margin else mask
