"""A perceptual hash of an image: nearly equal for copies of a photo, whatever their size and quality."""

import numpy as np
from PIL import Image

MAX_HASH_DISTANCE = 4  # bits of 64: the hashes of two copies of a photo differ in no more


def difference_hash(image: Image.Image) -> int:
    """The perceptual hash dHash (N. Krawetz, 2013): whether each of 8 × 8 cells is darker than the one to its right.

    :return: 64 bits; those of two copies of a photo differ in few of them.
    """
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS))
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), "big")
