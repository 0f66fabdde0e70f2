"""The network: loaded, checked, traced and warmed up. Pixels in, ``Identification`` out."""

import logging
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import CANDIDATES, IMAGE_SIZE, Candidate, Identification
from .backend import keras, tf
from .errors import PairError, first_line
from .folding import compute_in_bfloat16, fold_batch_normalization
from .graph import find_input_range, last_activation, row_of_scores, scores_shape
from .head import HeadError, meaning_in_training, meaning_of_scores, probabilities
from .input_range import InputRange, choose_range
from .keras_files.network import load_network
from .processor import usable_cores

if TYPE_CHECKING:
    from .pair import Pair

log = logging.getLogger(__name__)

MAX_TENSOR = 2**28  # numbers between two layers, 1 GiB: what VGG16 makes of MAX_SIDE × MAX_SIDE pixels
BATCH_SIZE = 8  # images; together they take a sixth less processor time than one by one; larger batches gain no more


class Classifier:
    """A fine-tuned network and its labels.

    :ivar labels: in the order of the network's outputs.
    :ivar sha256: of the ``.h5``; every ``Identification`` carries it.
    :ivar batch_size: how many images ``classify_batch`` takes.
    :ivar input_range: of the pixel values that the network is given.
    :ivar input_range_reason: a sentence that says why.
    :param pair: the model pair, which has been checked.
    :param precision: of the network: ``float32``, or ``bfloat16``, which is faster on a processor that
        ``has_bfloat16`` and moves confidences a little.
    :param input_range: of the pixel values that it is given; by default the one that its first layers ask for.
    :raises PairError: Keras cannot load the model, the two files do not belong together, or the network does not score
        classes that exclude each other.
    """

    batch_size = BATCH_SIZE

    def __init__(self, pair: "Pair", precision: str = "float32", input_range: InputRange | None = None) -> None:
        self.labels, self.sha256 = pair.labels, pair.sha256
        use_threads(usable_cores())
        let_gpu_memory_grow()
        model = load_network(pair.model_file)
        outputs = max(2, scores_shape(model)[-1])  # one sigmoid tells two classes apart
        if outputs != len(self.labels):
            raise PairError(
                f"{pair.model_file} tells {outputs} classes apart, but {pair.labels_file} holds {len(self.labels)} "
                "labels. Put in the two files of one training."
            )
        self.input_range, self.input_range_reason = choose_range(input_range, find_input_range(model))
        self._meaning_in_training = meaning_in_training(pair.model_file)
        try:
            fold_batch_normalization(model)
            if precision == "bfloat16":
                compute_in_bfloat16(model)
            self._warm_up(model)
        except Exception as error:  # of any kind; the optimization may be at fault, so it is tried without
            self._load_as_saved(pair.model_file, error)

    def classify(self, pixels: NDArray[np.uint8], picture: NDArray[np.uint8] | None = None) -> Identification:
        """Name the species in an image.

        :param pixels: ``uint8[224, 224, 3]``, RGB.
        :param picture: the same image with more pixels, ``uint8[height, width, 3]``.
        """
        started = time.perf_counter()
        (confidences,) = self._confidences(self._scores(pixels[np.newaxis]))
        return self._identification(confidences, time.perf_counter() - started)

    def classify_batch(self, pixels: NDArray[np.uint8]) -> list[Identification]:
        """Name the species in several images: the same answers as ``classify`` gives for each, in less time.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB; n is 1 to ``batch_size``.
        """
        if self._batch_scores is None:
            return [self.classify(image) for image in pixels]
        started = time.perf_counter()
        # The batch is always full: an image then gets the same answer to the last bit, whatever is beside it.
        batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), dtype="uint8")
        batch[: len(pixels)] = pixels
        confidences = self._confidences(self._batch_scores(batch))[: len(pixels)]
        seconds = (time.perf_counter() - started) / len(pixels)
        return [self._identification(each, seconds) for each in confidences]

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
        self._model, self._scores = model, traced(model, self.input_range)
        check_tensors(self._scores.get_concrete_function().graph)
        scores = np.concatenate([self._scores(image[np.newaxis]).numpy() for image in different_images()])
        self._meaning = meaning_of_scores(scores, last_activation(model), self._meaning_in_training)

    @cached_property
    def _batch_scores(self) -> Any:
        """The network for ``BATCH_SIZE`` images, traced when first needed; None if it takes only one at a time."""
        try:
            scores = traced(self._model, self.input_range, BATCH_SIZE)
            check_tensors(scores.get_concrete_function().graph)
            scores(np.zeros((BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8"))  # the first takes a second
        except Exception as error:  # of any kind, as above; one at a time works as well
            log.info("The network takes one image at a time: %s", first_line(error))
            return None
        return scores

    def _confidences(self, scores: tf.Tensor) -> NDArray[np.float64]:
        """The probabilities that scores stand for, ``[count, classes]``."""
        numbers = scores.numpy()
        if not np.isfinite(numbers).all():
            log.warning("The network gave NaN or infinity for an image; all species then count as equally likely.")
        return probabilities(numbers, self._meaning)

    def _identification(self, confidences: NDArray[np.float64], seconds: float) -> Identification:
        best = np.argsort(confidences)[::-1][:CANDIDATES]
        candidates = tuple(Candidate(self.labels[index], float(confidences[index])) for index in best)
        return Identification(candidates[0].label, candidates[0].confidence, candidates, self.sha256, seconds)


def use_threads(cores: int) -> None:
    """Have TensorFlow use this many cores. By default it uses all that it sees, whatever the CPU quota.

    With more threads than the quota allows, they use it up together, and then all of them pause until its next period.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
    except RuntimeError:
        log.warning("TensorFlow has been used in this process already: it keeps the threads that it has.")


def let_gpu_memory_grow() -> None:
    """Have TensorFlow take GPU memory as it needs it, not all of it at once (``allow_growth``)."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def check_tensors(graph: tf.Graph) -> None:
    """Refuse a network that would take too much memory.

    :raises ValueError: a tensor in it holds more numbers than ``MAX_TENSOR``.
    """
    for operation in graph.get_operations():
        for tensor in operation.outputs:
            if (tensor.shape.num_elements() or 0) > MAX_TENSOR:
                raise ValueError(f"{operation.name} makes {tensor.shape.num_elements()} numbers of it.")


def traced(model: keras.Model, input_range: InputRange, count: int = 1) -> Any:
    """The network as one ``tf.function``: ``uint8[count, 224, 224, 3]`` -> scores, ``float32[count, n]``.

    Calling it takes less than half of ``model.predict``'s time on a CPU.

    :param input_range: of the pixel values that it is given.
    """
    size = model.input_shape[1:3]
    if None not in size and size != (IMAGE_SIZE, IMAGE_SIZE):
        log.warning(
            "The network takes %d×%d images: the %d×%d pixels are resized for it.", *size, IMAGE_SIZE, IMAGE_SIZE
        )

    black, white = input_range.limits

    def scores(pixels: tf.Tensor) -> tf.Tensor:
        rgb = tf.cast(pixels, tf.float32) / (255 / (white - black)) + black
        if None not in size:
            rgb = tf.image.resize(rgb, size)  # changes nothing if it has that size already
        return row_of_scores(model(rgb, training=False))

    signature = [tf.TensorSpec((count, IMAGE_SIZE, IMAGE_SIZE, 3), tf.uint8)]
    return tf.function(scores, input_signature=signature)


def different_images() -> NDArray[np.uint8]:
    """Three images that have little in common, ``uint8[3, 224, 224, 3]``: blank, a gradient and noise."""
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    gradient = np.broadcast_to(np.linspace(0, 255, IMAGE_SIZE, dtype="uint8")[:, np.newaxis, np.newaxis], shape)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    return np.stack([np.zeros(shape, "uint8"), gradient, noise])
