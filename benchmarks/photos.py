"""The photos that are sent: drawn here, as large as those of phones, and screenshots."""

import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from tests.support.drawings import draw_goldfinch, encoded
from tests.support.scenes import SceneArtist

PHONE = (4032, 3024)  # pixels
BIRD = (50, 100, 1050, 850)  # left, upper, right and lower edge of the bird in the drawing of 1200×900 pixels
NOISE = 5  # standard deviation, of 255: a phone's sensor at dusk


def small_jpeg() -> bytes:
    """224×224 pixels, 10 kB or so."""
    return encoded(noisy_drawing(224, 224), "JPEG", quality=90)


def phone_jpeg() -> bytes:
    """12 megapixels, 3 MB or so."""
    return encoded(noisy_drawing(*PHONE), "JPEG", quality=90)


def png() -> bytes:
    """2 megapixels, 3 MB or so."""
    return encoded(noisy_drawing(1632, 1224), "PNG")


def small_birds() -> Iterator[bytes]:
    """Photos of 12 megapixels in which the bird is small. Not every model finds it in each of them."""
    bird = draw_goldfinch(1200, 900)
    with tempfile.TemporaryDirectory() as name:
        photo, background = Path(name, "goldfinch", "bird.jpg"), Path(name, "background.jpg")
        photo.parent.mkdir()
        bird.crop(BIRD).save(photo, quality=95)
        bird.filter(ImageFilter.GaussianBlur(80)).save(background)
        for share, seed in product((0.2, 0.35, 0.5), range(4)):
            for scene in SceneArtist([photo], [background], PHONE, seed).with_one_bird(1, [share]):
                yield encoded(with_noise(scene.image), "JPEG", quality=90)


def noisy_drawing(width: int, height: int) -> Image.Image:
    """The drawing with the noise of a camera."""
    return with_noise(draw_goldfinch(1200, 900).resize((width, height), Image.Resampling.BICUBIC))


def with_noise(drawing: Image.Image) -> Image.Image:
    """A drawing with the noise of a camera, without which files would be a tenth as large as those of a camera."""
    values = np.asarray(drawing)
    noise = np.random.default_rng(0).normal(0, NOISE, values.shape)
    return Image.fromarray((values + noise).clip(0, 255).astype("uint8"))


SMALL = "224×224 JPEG"
FILES = {SMALL: small_jpeg, "12-megapixel JPEG": phone_jpeg, "2-megapixel PNG": png}
