"""The network: loaded, checked, traced and warmed up. Pixels in, ``Identification`` out."""

import logging
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import CANDIDATES, IMAGE_SIZE, Candidate, Identification
from .backend import keras, tf
from .errors import PairError
from .folding import compute_in_bfloat16, fold_batch_normalization
from .load_errors import first_line
from .network import load_network
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
    :param pair: the model pair, which has been checked.
    :param precision: of the network: ``float32``, or ``bfloat16``, which is faster on a processor that
        ``has_bfloat16`` and moves confidences a little.
    :raises PairError: Keras cannot load the model, or the two files do not belong together.
    """

    batch_size = BATCH_SIZE

    def __init__(self, pair: "Pair", precision: str = "float32") -> None:
        self.labels, self.sha256 = pair.labels, pair.sha256
        use_threads(usable_cores())
        let_gpu_memory_grow()
        model = load_network(pair.model_file)
        outputs = max(2, model.output_shape[-1])  # one sigmoid tells two classes apart
        if outputs != len(self.labels):
            raise PairError(
                f"{pair.model_file} tells {outputs} classes apart, but {pair.labels_file} holds {len(self.labels)} "
                "labels. Put in the two files of one training."
            )
        try:
            fold_batch_normalization(model)
            if precision == "bfloat16":
                compute_in_bfloat16(model)
            self._warm_up(model)
        except Exception as error:  # of any kind; the optimization may be at fault, so it is tried without
            self._load_as_saved(pair.model_file, error)

    def classify(self, pixels: NDArray[np.uint8]) -> Identification:
        """Name the species in an image.

        :param pixels: ``uint8[224, 224, 3]``, RGB.
        """
        started = time.perf_counter()
        probabilities = self._probabilities(pixels[np.newaxis]).numpy()[0]
        return self._identification(probabilities, time.perf_counter() - started)

    def classify_batch(self, pixels: NDArray[np.uint8]) -> list[Identification]:
        """Name the species in several images: the same answers as ``classify`` gives for each, in less time.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB; n is 1 to ``batch_size``.
        """
        if self._batch_probabilities is None:
            return [self.classify(image) for image in pixels]
        started = time.perf_counter()
        # The batch is always full: an image then gets the same answer to the last bit, whatever is beside it.
        batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), dtype="uint8")
        batch[: len(pixels)] = pixels
        probabilities = self._batch_probabilities(batch).numpy()[: len(pixels)]
        seconds = (time.perf_counter() - started) / len(pixels)
        return [self._identification(each, seconds) for each in probabilities]

    def _load_as_saved(self, model_file: Path, failure: Exception) -> None:
        """Run the network without optimization, because the optimized one fails.

        :raises PairError: it fails as well, so the file is the reason.
        """
        try:
            # Loaded again: some layers may be optimized already, and the others not.
            self._warm_up(load_network(model_file))
        except PairError:
            raise
        except Exception as error:  # a valid description does not mean that the network can process an image
            raise PairError(f"{model_file} fails on a picture: {first_line(error)}") from error
        log.warning(
            "The network runs as it was saved, which is slower: optimizing it failed (%s: %s).",
            type(failure).__name__,
            first_line(failure),
            exc_info=failure,
        )

    def _warm_up(self, model: keras.Model) -> None:
        """Trace a network and classify a blank image, so that no person waits for the second that the first one takes.

        :raises Exception: of any kind; the network cannot be run.
        """
        self._model, self._probabilities = model, traced(model)
        check_tensors(self._probabilities.get_concrete_function().graph)
        self.classify(np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8"))

    @cached_property
    def _batch_probabilities(self) -> Any:
        """The network for ``BATCH_SIZE`` images, traced when first needed; None if it takes only one at a time."""
        try:
            probabilities = traced(self._model, BATCH_SIZE)
            check_tensors(probabilities.get_concrete_function().graph)
            probabilities(np.zeros((BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8"))  # the first takes a second
        except Exception as error:  # of any kind, as above; one at a time works as well
            log.info("The network takes one image at a time: %s", first_line(error))
            return None
        return probabilities

    def _identification(self, probabilities: NDArray[np.float32], seconds: float) -> Identification:
        best = np.argsort(probabilities)[::-1][:CANDIDATES]
        candidates = tuple(Candidate(self.labels[index], float(probabilities[index])) for index in best)
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


def traced(model: keras.Model, count: int = 1) -> Any:
    """The network as one ``tf.function``: ``uint8[count, 224, 224, 3]`` -> ``float32[count, classes]``.

    Calling it takes less than half of ``model.predict``'s time on a CPU.
    """
    activation = last_activation(model)
    size = model.input_shape[1:3]
    if None not in size and size != (IMAGE_SIZE, IMAGE_SIZE):
        log.warning(
            "The network takes %d×%d images: the %d×%d pixels are resized for it.", *size, IMAGE_SIZE, IMAGE_SIZE
        )

    def probabilities(pixels: tf.Tensor) -> tf.Tensor:
        rgb = tf.cast(pixels, tf.float32) / 255.0
        if None not in size:
            rgb = tf.image.resize(rgb, size)  # changes nothing if it has that size already
        return as_probabilities(tf.cast(model(rgb, training=False), tf.float32), activation)

    signature = [tf.TensorSpec((count, IMAGE_SIZE, IMAGE_SIZE, 3), tf.uint8)]
    return tf.function(probabilities, input_signature=signature)


def last_activation(model: keras.Model) -> Callable[..., tf.Tensor] | None:
    """The activation function of a network's last layer; None if it has no such attribute.

    The last layer may be inside an inner model, and a linear activation after it may only convert float16 to float32.
    """
    *_, last = (layer for layer in model.layers if not is_linear_activation(layer))
    return last_activation(last) if isinstance(last, keras.Model) else getattr(last, "activation", None)


def is_linear_activation(layer: keras.Layer) -> bool:
    """Whether a layer passes its input on as it is."""
    return isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear


def as_probabilities(scores: tf.Tensor, activation: Callable[..., tf.Tensor] | None) -> tf.Tensor:
    """A network's outputs as one probability for each class.

    :param scores: ``float32[count, n]``; n is 1 for a head with one sigmoid, the score of the second of two classes.
    :param activation: of the network's last layer. A linear one was trained with ``from_logits=True``.
    :return: ``float32[count, classes]``.
    """
    are_logits = activation is keras.activations.linear
    if scores.shape[-1] == 1:
        second = tf.sigmoid(scores) if are_logits else scores
        return tf.concat([1 - second, second], axis=-1)
    return tf.nn.softmax(scores) if are_logits else scores
