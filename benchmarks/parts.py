"""One part of an answer alone, in a process of its own: python -m benchmarks.parts PART [ARGUMENT …]

For each number on standard input, the part is run that many times, and each run's milliseconds are printed as JSON.
``start`` is run once: it prints the seconds that every program takes that starts TensorFlow with this network.
The model and how it runs are those of the app's settings (``BIRD_MODEL``, ``BIRD_ENGINE`` and so on).
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import settings
from inference.loader import load_classifier
from inference.options import EngineName, NetworkOptions, Precision
from inference.pair import Pair, check_pair
from tests.support.servers import ROOT

if TYPE_CHECKING:
    from inference.classifier import Classifier

PIXELS = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype="uint8")


def predict() -> Callable[[], object]:
    """``model.predict`` as the plain recipe calls it."""
    import keras

    model = keras.models.load_model(settings.from_environment().model, compile=False)
    pixels = PIXELS[np.newaxis] / np.float32(255)
    return lambda: model.predict(pixels, verbose=0)


def unfolded() -> Callable[[], object]:
    """The network in one traced graph of TensorFlow, as it is in the file."""
    return traced_network(fold=False)


def folded() -> Callable[[], object]:
    """The network as TensorFlow runs it in the app, and nothing around it."""
    return traced_network(fold=True)


def traced_network(*, fold: bool) -> Callable[[], object]:
    """The network in one traced graph, with float32 weights.

    :param fold: fold the batch normalization into the weights, as the app does.
    """
    assume_frozen_weights()  # as in the app, so that only folding makes a difference
    from inference.backend import tf
    from inference.feature_map import find_pooled_head
    from inference.folding import fold_batch_normalization
    from inference.graph import find_input_range
    from inference.input_range import choose_range
    from inference.keras_files.network import load_network
    from inference.tracing import traced

    model = load_network(checked_pair().model_file)
    if fold:
        fold_batch_normalization(model)
    input_range, _reason = choose_range(None, find_input_range(model))
    graph = traced(model, input_range, find_pooled_head(model)).get_concrete_function()
    pixels = tf.constant(PIXELS[np.newaxis])
    return lambda: [output.numpy() for output in graph(pixels)]


def network() -> Callable[[], object]:
    """The network as the app runs it, and nothing around it."""
    engine = classifier().engine
    return lambda: engine.run(PIXELS[np.newaxis])


def classify(*engine_and_precision: str) -> Callable[[], object]:
    """``Classifier.classify``, by default as the app runs it."""
    engine, precision = engine_and_precision or (None, None)
    ready = classifier_in(EngineName(engine), Precision(precision)) if engine else classifier()
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


def checked_pair() -> Pair:
    """The model of the app's settings."""
    chosen = settings.from_environment()
    return check_pair(chosen.model, chosen.labels)


def classifier() -> "Classifier":
    """That model as the app loads it."""
    return load_classifier(checked_pair(), settings.from_environment().network)


def classifier_in(engine: EngineName, precision: Precision) -> "Classifier":
    """That model with an engine and a precision. With bfloat16 the app may choose float32, because it is faster."""
    if precision is not Precision.BFLOAT16:
        return load_classifier(checked_pair(), NetworkOptions(engine, precision))
    assume_frozen_weights()
    from inference.classifier import Classifier
    from inference.tensorflow_engine import TensorFlowEngine

    pair = checked_pair()
    return Classifier(pair, TensorFlowEngine(pair, precision, None))


def assume_frozen_weights() -> None:
    """Have oneDNN keep weights in the order that suits it, as in the app."""
    os.environ.setdefault("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1")


def start() -> float:
    """TensorFlow's import, ``load_model``, and the first answer of a traced graph, in seconds."""
    begun = time.perf_counter()
    import keras
    import tensorflow as tf

    model = keras.models.load_model(settings.from_environment().model, compile=False)
    graph = tf.function(lambda pixels: model(tf.cast(pixels, tf.float32) / 255, training=False))
    graph(tf.constant(PIXELS[np.newaxis])).numpy()
    return time.perf_counter() - begun


PARTS = {part.__name__: part for part in (predict, unfolded, folded, network, classify, decode)}


@contextlib.contextmanager
def running(part: str, *arguments: str) -> Iterator[Callable[[int], list[float]]]:
    """Start the process of a part.

    :return: a function that runs the part a given number of times, and returns the milliseconds of each run.
    """
    with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
        [sys.executable, "-m", __spec__.name, part, *arguments],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
    ) as process:  # fmt: skip

        def times(count: int) -> list[float]:
            print(count, file=process.stdin, flush=True)
            if line := process.stdout.readline():
                return json.loads(line)
            errors.seek(0)
            raise RuntimeError(f"{part} failed:\n{errors.read()}")

        times(5)
        yield times


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
