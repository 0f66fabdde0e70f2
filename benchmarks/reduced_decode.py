"""Whether decoding a large JPEG at reduced scale changes the answer of the network, and how much time it saves.

python -m benchmarks.reduced_decode DATA, where DATA holds <label>/*.jpg: every photo is enlarged to 12 megapixels and
saved as a JPEG, then read by ``open_photo`` and, for comparison, decoded at full scale.
"""

import io
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from inference import IMAGE_SIZE
from inference.photo import THUMBNAIL_SIZE, open_photo
from tests.support.drawings import encoded

from .parts import classifier

PIXELS = 12_000_000


def enlarged(path: Path) -> bytes:
    """A photo with 12 million pixels, as a JPEG file of quality 90."""
    with Image.open(path) as image:
        scale = (PIXELS / (image.width * image.height)) ** 0.5
        size = [round(scale * side) for side in image.size]
        return encoded(image.convert("RGB").resize(size, Image.Resampling.BICUBIC), "JPEG", quality=90)


def read_whole(content: bytes) -> tuple[np.ndarray, bytes]:
    """Pixels and thumbnail, each from the image decoded at full scale."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS))
        image.thumbnail((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.LANCZOS, reducing_gap=None)
        return pixels, encoded(image, "JPEG", quality=85)


def read_reduced(content: bytes) -> tuple[np.ndarray, bytes]:
    """Pixels and thumbnail as the app makes them."""
    photo = open_photo(io.BytesIO(content))
    return photo.pixels(), photo.thumbnail()


def main() -> None:
    paths, network = sorted(Path(sys.argv[1]).glob("*/*.jpg")), classifier()
    changed, shifts, correct = 0, [], 0
    times: dict[str, list[float]] = {"whole": [], "reduced": []}
    for path in paths:
        content = enlarged(path)
        answers = {}
        for name, read in (("whole", read_whole), ("reduced", read_reduced)):
            begun = time.perf_counter()
            pixels, _thumbnail = read(content)
            times[name].append(time.perf_counter() - begun)
            answers[name] = network.classify(pixels)
        whole, reduced = answers["whole"], answers["reduced"]
        correct += reduced.label == path.parent.name
        shifts.append(abs(whole.confidence - reduced.confidence))
        if whole.label != reduced.label:
            changed += 1
            print(f"{path}: {whole.candidates[0]} became {reduced.candidates[0]}", flush=True)
    ratio = statistics.median(times["reduced"]) / statistics.median(times["whole"])
    print(
        f"{len(paths)} photos of 12 megapixels: {changed} labels changed, {correct} named correctly; "
        f"confidence moved by {statistics.median(shifts):.5f} in the median and {max(shifts):.4f} at most; "
        f"reading took {ratio:.2f} of the time"
    )


if __name__ == "__main__":
    main()
