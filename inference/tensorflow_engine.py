"""TensorFlow: the network loaded, optimized, traced and warmed up."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import IMAGE_SIZE
from .backend import keras, tf
from .closer_look import SEARCH_SIDE, WIDEST
from .engine import BATCH_SIZE, EngineInfo, Numbers, Pixels, different_images, full_batch, one_by_one
from .errors import PairError, first_line
from .feature_map import find_pooled_head
from .folding import compute_in_bfloat16, fold_batch_normalization
from .graph import find_input_range, last_activation, scores_shape
from .head import HeadError, Scores, meaning_in_training, meaning_of_scores
from .input_range import InputRange, choose_range
from .keras_files.network import load_network
from .options import EngineName, Precision
from .processor import usable_cores
from .tracing import check_tensors, traced, traced_features

if TYPE_CHECKING:
    from .pair import Pair

log = logging.getLogger(__name__)

TIMED_RUNS = 9  # of each precision, where the faster one is chosen


class TensorFlowEngine:
    """A network that TensorFlow runs: an ``Engine``.

    :param pair: the model pair, which has been checked.
    :param precision: ``FLOAT32``, or ``BFLOAT16``, which moves confidences a little.
    :param input_range: of the pixel values that it is given; by default the one that its first layers ask for.
    :raises PairError: Keras cannot load the model, the two files do not belong together, or the network does not score
        classes that exclude each other.
    """

    concurrency = 1  # one image keeps all cores busy

    def __init__(self, pair: "Pair", precision: Precision, input_range: InputRange | None) -> None:
        use_threads(usable_cores())
        has_gpu = let_gpu_memory_grow()
        model = load_network(pair.model_file)
        pair.check_outputs(max(2, scores_shape(model)[-1]))  # one sigmoid tells two classes apart
        chosen, self.input_range_reason = choose_range(input_range, find_input_range(model))
        self.info = EngineInfo(EngineName.TENSORFLOW, precision, "GPU" if has_gpu else "CPU", chosen)
        self._meaning_in_training = meaning_in_training(pair.model_file)
        try:
            fold_batch_normalization(model)
            if precision is Precision.BFLOAT16:
                compute_in_bfloat16(model)
            self._warm_up(model)
        except Exception as error:  # of any kind; the optimization may be at fault, so it is tried without
            self._load_as_saved(pair.model_file, error)

    def run(self, pixels: Pixels) -> tuple[Numbers, Numbers]:
        """The scores and the feature map of one image."""
        scores, features = self._one(pixels)
        return scores.numpy(), features.numpy()

    def run_batch(self, pixels: Pixels) -> tuple[Numbers, Numbers]:
        """The scores and the feature maps of up to ``BATCH_SIZE`` images."""
        if self._several is None:
            return one_by_one(self.run, pixels)
        scores, features = self._several(full_batch(pixels))
        return scores.numpy()[: len(pixels)], features.numpy()[: len(pixels)]

    @property
    def takes_batches(self) -> bool:
        """Whether it takes several images at once."""
        return self._several is not None

    def features_of_any_size(self) -> Callable[[Pixels], Numbers] | None:
        """The network up to its pooling, for images of any size; None if it takes images of one size only."""
        return self._features

    def _load_as_saved(self, model_file: Path, failure: Exception) -> None:
        """Run the network without optimization, because the optimized one fails.

        :raises PairError: it fails as well, so the file is the reason.
        """
        try:
            # Loaded again: some layers may be optimized already, and the others not.
            self._warm_up(load_network(model_file))
        except PairError:
            raise
        except HeadError as error:
            raise PairError(f"{model_file} {error}") from error
        except Exception as error:  # a valid description does not mean that the network can process an image
            raise PairError(f"{model_file} fails on a picture: {first_line(error)}") from error
        self.info = replace(self.info, precision=Precision.FLOAT32)
        log.warning(
            "The network runs as it was saved, which is slower: optimizing it failed (%s: %s).",
            type(failure).__name__,
            first_line(failure),
            exc_info=failure,
        )

    def _warm_up(self, model: keras.Model) -> None:
        """Trace a network and classify a few images, so that no person waits for the second that the first one takes.

        :raises Exception: of any kind; the network cannot be run, or its scores cannot be used.
        """
        self.model, self.head = model, find_pooled_head(model)
        self._one = traced(model, self.info.input_range, self.head)
        check_tensors(self._one.get_concrete_function().graph)
        scores = np.concatenate([self.run(image[np.newaxis])[0] for image in different_images()])
        activation = last_activation(model)
        self.meaning = meaning_of_scores(scores, activation, self._meaning_in_training)
        if self.head is None or (activation != "softmax" and self.meaning is not Scores.LOGITS):
            self.head = None

    @cached_property
    def _several(self) -> Any:
        """The network for ``BATCH_SIZE`` images, traced when first needed; None if it takes only one at a time."""
        try:
            scores = traced(self.model, self.info.input_range, self.head, BATCH_SIZE)
            check_tensors(scores.get_concrete_function().graph)
            scores(np.zeros((BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8"))  # the first takes a second
        except Exception as error:  # of any kind, as above; one at a time works as well
            log.info("The network takes one image at a time: %s", first_line(error))
            return None
        return scores

    @cached_property
    def _features(self) -> Callable[[Pixels], Numbers] | None:
        """Traced when first needed."""
        assert self.head is not None
        features = traced_features(self.model, self.info.input_range, self.head)
        try:
            # Its own graph cannot be checked: there the size of the image is open.
            check_tensors(self._one.get_concrete_function().graph, WIDEST * (SEARCH_SIDE / IMAGE_SIZE) ** 2)
            features(np.zeros((1, IMAGE_SIZE, SEARCH_SIDE, 3), dtype="uint8"))
        except Exception as error:  # of any kind, as above
            log.warning("There is no closer look at small birds: %s", first_line(error))
            return None
        return lambda images: features(images).numpy()


def faster_engine(pair: "Pair", input_range: InputRange | None) -> TensorFlowEngine:
    """The network in bfloat16 if this processor then answers faster, otherwise in float32.

    That it has the instructions proves nothing: they make the network 1.6 times as fast on one processor, and 0.7 times
    on another.

    :raises PairError: as above.
    """
    engines = [TensorFlowEngine(pair, precision, input_range) for precision in (Precision.BFLOAT16, Precision.FLOAT32)]
    seconds = [_seconds_per_image(engine) for engine in engines]
    log.info("An answer takes %.0f ms in bfloat16, and %.0f ms in float32.", *(1000 * each for each in seconds))
    return engines[int(np.argmin(seconds))]


def _seconds_per_image(engine: TensorFlowEngine) -> float:
    """The median of several runs."""
    image = different_images()[-1:]
    seconds = []
    for _ in range(TIMED_RUNS):
        started = time.perf_counter()
        engine.run(image)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def use_threads(cores: int) -> None:
    """Have TensorFlow use this many cores. By default it uses all that it sees, whatever the CPU quota.

    With more threads than the quota allows, they use it up together, and then all of them pause until its next period.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
    except RuntimeError:
        log.warning("TensorFlow has been used in this process already: it keeps the threads that it has.")


def let_gpu_memory_grow() -> bool:
    """Have TensorFlow take GPU memory as it needs it, not all of it at once (``allow_growth``).

    :return: whether there is a GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return bool(gpus)
