"""The photos that are sent: drawn here, as large as those of phones, and screenshots."""

import numpy as np
from PIL import Image

from tests.support.drawings import draw_goldfinch, encoded

NOISE = 5  # standard deviation, of 255: a phone's sensor at dusk


def small_jpeg() -> bytes:
    """224×224 pixels, 10 kB or so."""
    return encoded(noisy_drawing(224, 224), "JPEG", quality=90)


def phone_jpeg() -> bytes:
    """12 megapixels, 3 MB or so."""
    return encoded(noisy_drawing(4032, 3024), "JPEG", quality=90)


def png() -> bytes:
    """2 megapixels, 3 MB or so."""
    return encoded(noisy_drawing(1632, 1224), "PNG")


def noisy_drawing(width: int, height: int) -> Image.Image:
    """The drawing with the noise of a camera, without which files would be a tenth as large as those of a camera."""
    drawing = np.asarray(draw_goldfinch(1200, 900).resize((width, height), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(0).normal(0, NOISE, drawing.shape)
    return Image.fromarray((drawing + noise).clip(0, 255).astype("uint8"))


FILES = {"224×224 JPEG": small_jpeg, "12-megapixel JPEG": phone_jpeg, "2-megapixel PNG": png}
