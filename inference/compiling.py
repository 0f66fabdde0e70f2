"""Compiles the network of a model pair for ONNX Runtime, and measures how far it then agrees with TensorFlow."""

import contextlib
import logging
import random
from collections.abc import Callable, Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

from . import IMAGE_SIZE
from .compiled import COMPILED_FILE, About, Agreement, Compiled, write_compiled
from .engine import BATCH_SIZE, Numbers, Pixels, different_images
from .errors import PairError, PhotoError, first_line
from .exporting import export, store_kernels_as_saved
from .head import Scores, probabilities
from .input_range import InputRange
from .onnx_engine import PIXELS, SCORES, new_session
from .options import Precision
from .pair import Pair
from .photo import open_photo
from .processor import usable_cores
from .quantizing import quantize
from .tensorflow_engine import TensorFlowEngine

log = logging.getLogger(__name__)

PHOTOS = 500  # that are looked at, at most
CALIBRATION_PHOTOS = 300  # from which the ranges of int8 are taken, at most
FEWEST_PHOTOS = 50  # with fewer, the ranges would be those of these few photos
LARGEST_DIFFERENCE = 1e-3  # of the probability of a label in float32; what differs is the order of the sums
LABELS_CHANGED = 0.02  # share of the photos that may get another label in int8
PACKAGES = ("onnx", "onnxruntime", "tensorflow", "tf2onnx")

Classify = Callable[[Pixels], Numbers]


def compile_pair(pair: Pair, input_range: InputRange | None, photos: Pixels) -> About:
    """Compile the network of a pair, and write the file beside its model: float32, and int8 if there are photos.

    :param input_range: of the pixel values that the network is given; by default the one that its first layers ask for.
    :param photos: ``uint8[n, 224, 224, 3]``; with fewer than ``FEWEST_PHOTOS`` there is no int8.
    :return: what was written.
    :raises PairError: the network cannot be used, or not be compiled.
    :raises OSError: the file cannot be written.
    """
    engine = TensorFlowEngine(pair, Precision.FLOAT32, input_range)
    try:
        model = export(engine)
        networks = {Precision.FLOAT32: model}
        if len(photos) >= FEWEST_PHOTOS:
            networks[Precision.INT8] = quantize(model, photos[:CALIBRATION_PHOTOS])
        store_kernels_as_saved(model, engine, pair.model_file)
    except Exception as error:  # of any kind, depending on what the network is made of
        raise PairError(f"{pair.model_file} cannot be compiled: {first_line(error)}") from error
    checked = _checked(pair, networks, engine, photos)
    about = About(
        model_sha256=pair.sha256,
        date=date.today().isoformat(),
        versions={package: version(package) for package in PACKAGES},
        calibrated_on=min(len(photos), CALIBRATION_PHOTOS) if Precision.INT8 in checked else 0,
        input_range=engine.info.input_range,
        input_range_reason=engine.input_range_reason,
        meaning=engine.meaning.name,
        outputs=len(pair.labels),
        takes_batches=engine.takes_batches,
        takes_any_size=engine.head is not None and engine.features_of_any_size() is not None,
        agreement={precision: agreement for precision, (agreement, _content, _scores) in checked.items()},
    )
    write_compiled(
        pair.model_file.parent / COMPILED_FILE,
        Compiled(
            about,
            engine.head,
            {precision: content for precision, (_agreement, content, _scores) in checked.items()},
            {precision: scores for precision, (_agreement, _content, scores) in checked.items()},
        ),
    )
    return about


def read_photos(paths: Iterable[Path]) -> Pixels:
    """Some of many photos as the network sees them, ``uint8[n, 224, 224, 3]``, always the same ones.

    :param paths: of which up to ``PHOTOS`` are read; those that cannot be opened are left out.
    """
    shuffled = sorted(paths)
    random.Random(0).shuffle(shuffled)
    pixels: list[Pixels] = []
    for path in shuffled:
        if len(pixels) == PHOTOS:
            break
        with contextlib.suppress(PhotoError, OSError):
            pixels.append(open_photo(path).pixels())
    return np.stack(pixels) if pixels else np.zeros((0, IMAGE_SIZE, IMAGE_SIZE, 3), "uint8")


def _checked(
    pair: Pair, networks: dict[Precision, onnx.ModelProto], engine: TensorFlowEngine, photos: Pixels
) -> dict[Precision, tuple[Agreement, bytes, Numbers]]:
    """The compiled networks that agree with the engine, and what they give for ``different_images``.

    :raises PairError: the one in float32 does not.
    """
    images = np.concatenate([different_images(), photos])
    expected = _scores_of(lambda batch: engine.run_batch(batch)[0], images)
    checked = {}
    for precision, network in networks.items():
        content = network.SerializeToString()
        found = _scores_of(_classifying(content), images, 1 if not engine.takes_batches else BATCH_SIZE)
        agreement = agreement_of(found, expected, engine.meaning)
        if precision is Precision.FLOAT32:
            if agreement.largest_difference > LARGEST_DIFFERENCE:
                raise PairError(
                    f"{pair.model_file} cannot be compiled: ONNX Runtime gives probabilities that differ by "
                    f"{agreement.largest_difference:.3f} from TensorFlow's."
                )
        elif agreement.labels_changed > LABELS_CHANGED * len(images):
            log.warning(
                "There is no network in %s: it would change the labels of %d of %d photos, and at most %.0f %% may be.",
                precision, agreement.labels_changed, len(images), 100 * LABELS_CHANGED,
            )  # fmt: skip
            continue
        checked[precision] = agreement, content, found[: len(different_images())]
    return checked


def agreement_of(found: Numbers, expected: Numbers, meaning: Scores) -> Agreement:
    """How far the scores of two networks for the same images agree.

    :param found: ``float32[images, n]``.
    :param expected: likewise.
    """
    these, those = probabilities(found, meaning), probabilities(expected, meaning)
    return Agreement(
        photos=len(these),
        labels_changed=int((these.argmax(axis=1) != those.argmax(axis=1)).sum()),
        largest_difference=float(np.abs(these - those).max()),
    )


def _classifying(content: bytes) -> Classify:
    """A compiled network as a function."""
    session = new_session(content, usable_cores())

    def classify(pixels: Pixels) -> Numbers:
        (scores,) = session.run([SCORES], {PIXELS: pixels})
        return np.asarray(scores)

    return classify


def _scores_of(classify: Classify, images: Pixels, batch_size: int = BATCH_SIZE) -> Numbers:
    batches = range(0, len(images), batch_size)
    return np.concatenate([classify(images[start : start + batch_size]) for start in batches])
