"""One part of an answer alone, in a process of its own: python -m benchmarks.parts PART [FILE]

For each number on standard input, the part is run that many times, and each run's milliseconds are printed as JSON.
``start`` is run once: it prints the seconds that every program takes that starts TensorFlow with this network.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference import LABELS_FILE, MODEL_FILE
from inference.loader import load_classifier
from inference.pair import check_pair
from tests.support.servers import ROOT

if TYPE_CHECKING:
    from inference.classifier import Classifier

PIXELS = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype="uint8")
MODEL, LABELS = ROOT / "models" / MODEL_FILE, ROOT / "models" / LABELS_FILE


def predict() -> Callable[[], object]:
    """``model.predict`` as the plain recipe calls it."""
    import keras

    model = keras.models.load_model(MODEL, compile=False)
    pixels = PIXELS[np.newaxis] / np.float32(255)
    return lambda: model.predict(pixels, verbose=0)


def unfolded() -> Callable[[], object]:
    """The network in one traced graph, as it is in the file."""
    return traced_network(fold=False)


def network() -> Callable[[], object]:
    """The network as the app runs it, and nothing around it."""
    return traced_network(fold=True)


def traced_network(*, fold: bool) -> Callable[[], object]:
    """The network in one traced graph, with float32 weights.

    :param fold: fold the batch normalization into the weights, as the app does.
    """
    os.environ["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] = "1"  # as in the app, so that only folding makes a difference
    from inference.classifier import tf, traced
    from inference.folding import fold_batch_normalization
    from inference.keras_files.network import load_network

    model = load_network(MODEL)
    if fold:
        fold_batch_normalization(model)
    graph, pixels = traced(model).get_concrete_function(), tf.constant(PIXELS[np.newaxis])
    return lambda: graph(pixels).numpy()


def classify() -> Callable[[], object]:
    """``Classifier.classify``."""
    ready = classifier()
    return lambda: ready.classify(PIXELS)


def bfloat16() -> Callable[[], object]:
    """``Classifier.classify`` with ``BIRD_PRECISION=bfloat16``."""
    ready = classifier("bfloat16")
    return lambda: ready.classify(PIXELS)


def decode(file: str) -> Callable[[], object]:
    """A file decoded by the fastest decoder that is installed, at the scale that the app asks for."""
    import simplejpeg
    from PIL import Image

    from inference.photo import open_photo

    content = Path(file).read_bytes()
    if content.startswith(b"\xff\xd8"):
        width, height = open_photo(io.BytesIO(content)).image.size
        return lambda: simplejpeg.decode_jpeg(content, "RGB", min_width=width, min_height=height)
    return lambda: Image.open(io.BytesIO(content)).load()


def classifier(precision: str = "float32") -> "Classifier":
    """The model that ships, as the app loads it."""
    return load_classifier(check_pair(MODEL, LABELS), precision)


def start() -> float:
    """TensorFlow's import, ``load_model``, and the first answer of a traced graph, in seconds."""
    begun = time.perf_counter()
    import keras
    import tensorflow as tf

    model = keras.models.load_model(MODEL, compile=False)
    graph = tf.function(lambda pixels: model(tf.cast(pixels, tf.float32) / 255, training=False))
    graph(tf.constant(PIXELS[np.newaxis])).numpy()
    return time.perf_counter() - begun


PARTS = {part.__name__: part for part in (predict, unfolded, network, classify, bfloat16, decode)}


@contextlib.contextmanager
def running(part: str, *arguments: str) -> Iterator[Callable[[int], list[float]]]:
    """Start the process of a part.

    :return: a function that runs the part a given number of times, and returns the milliseconds of each run.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, part, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def times(count: int) -> list[float]:
        process.stdin.write(f"{count}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    try:
        times(5)
        yield times
    finally:
        process.communicate()


def main() -> None:
    part, *arguments = sys.argv[1:]
    if part == start.__name__:
        print(start())
        return
    do = PARTS[part](*arguments)
    for line in sys.stdin:
        milliseconds = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            do()
            milliseconds.append(1000 * (time.perf_counter() - begun))
        print(json.dumps(milliseconds), flush=True)


if __name__ == "__main__":
    main()
