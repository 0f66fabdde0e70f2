"""The model pair, loaded, checked, traced and warmed up: pixels in, ``Identification`` out."""

import logging
import os
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

# Both are read when Keras and TensorFlow are imported.
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no GPU is no error

import keras
import numpy as np
import tensorflow as tf

from . import CANDIDATES, IMAGE_SIZE, Candidate, Identification, PairError
from .card import sha256
from .folding import compute_in_bfloat16, fold_batch_normalization
from .labels import load_labels
from .model_file import check_model_file, write_modern_copy
from .processor import usable_cores

log = logging.getLogger(__name__)

MAX_SIDE = 2048  # pixels of a picture that a network takes; those of keras.applications take up to 600
MAX_TENSOR = 2**28  # numbers between two layers, 1 GiB: what VGG16 makes of MAX_SIDE × MAX_SIDE pixels
BATCH = 8  # pictures: at a time they take a sixth less processor time than one by one; more gain no more
MAX_REASON = 300  # characters of a reason that Keras or TensorFlow gives


class Classifier:
    """A fine-tuned network and its labels, ready to answer.

    :ivar labels: in the order of the network's outputs.
    :ivar sha256: of ``model_file``; every ``Identification`` carries it.
    :ivar batch: how many pictures ``classify_all`` takes.
    :param model_file: a whole Keras model, as Keras 2 or 3 saved it.
    :param labels_file: the ``.npy`` with its ``{label: index}``.
    :param precision: of the network: ``float32``, or ``bfloat16``, which is faster on a processor that
        ``has_bfloat16`` and moves confidences a little.
    :raises PairError: a file is missing or unusable, or the two do not belong together.
    """

    batch = BATCH

    def __init__(self, model_file: Path, labels_file: Path, precision: str = "float32") -> None:
        self.labels = load_labels(labels_file)
        use_threads(usable_cores())
        let_gpu_memory_grow()
        model = load_network(model_file)
        outputs = max(2, model.output_shape[-1])  # one sigmoid tells two classes apart
        if outputs != len(self.labels):
            raise PairError(
                f"{model_file} tells {outputs} classes apart, but {labels_file} holds {len(self.labels)} labels. "
                "Put in the two files of one training."
            )
        self.sha256 = sha256(model_file)
        try:
            fold_batch_normalization(model)
            if precision == "bfloat16":
                compute_in_bfloat16(model)
            self._model, self._probabilities = model, traced(model)
            check_tensors(self._probabilities.get_concrete_function().graph)
            # The first traced call takes about a second: make it before the first person waits for it.
            self.classify(np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8"))
        # A network can be well described and yet fail on a picture; the file is the reason here too.
        except Exception as error:
            raise PairError(f"{model_file} fails on a picture: {first_line(error)}") from error

    def classify(self, pixels: np.ndarray) -> Identification:
        """Name the species.

        :param pixels: ``uint8[224, 224, 3]``, RGB.
        """
        begun = time.perf_counter()
        probabilities = self._probabilities(pixels[np.newaxis]).numpy()[0]
        return self._identification(probabilities, time.perf_counter() - begun)

    def classify_all(self, pixels: np.ndarray) -> list[Identification]:
        """Name the species in several pictures: what ``classify`` says of each, in less time.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB; n is 1 to ``batch``.
        """
        if self._batch is None:
            return [self.classify(each) for each in pixels]
        begun = time.perf_counter()
        # It always sees as many: what it says of a picture is then the same to the last bit, whatever is beside it.
        filled = np.zeros((BATCH, *pixels.shape[1:]), dtype="uint8")
        filled[: len(pixels)] = pixels
        probabilities = self._batch(filled).numpy()[: len(pixels)]
        seconds = (time.perf_counter() - begun) / len(pixels)
        return [self._identification(each, seconds) for each in probabilities]

    @cached_property
    def _batch(self) -> tf.types.experimental.PolymorphicFunction | None:
        """The network for ``BATCH`` pictures, traced when it is first needed; None if it takes one at a time alone."""
        try:
            probabilities = traced(self._model, BATCH)
            check_tensors(probabilities.get_concrete_function().graph)
            probabilities(np.zeros((BATCH, IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8"))  # the first takes a second
        except Exception as error:  # as in __init__; here there is another way
            log.info("One picture at a time, for %s", first_line(error))
            return None
        return probabilities

    def _identification(self, probabilities: np.ndarray, seconds: float) -> Identification:
        best = np.argsort(probabilities)[::-1][:CANDIDATES]
        candidates = tuple(Candidate(self.labels[index], float(probabilities[index])) for index in best)
        return Identification(candidates[0].label, candidates[0].confidence, candidates, self.sha256, seconds)


def use_threads(cores: int) -> None:
    """Have TensorFlow keep so many cores busy. By itself it takes all that it sees, whatever the quota of time.

    Threads beyond a quota use it up together, and then all of them stand still until its next period.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
    except RuntimeError:
        log.warning("TensorFlow has been in use before: it keeps the threads that it has.")


def let_gpu_memory_grow() -> None:
    """Have TensorFlow take GPU memory as it needs it, not all of it at once (``allow_growth``)."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def load_network(path: Path) -> keras.Model:
    """Load a whole network for pictures, without its optimizer and without running code from the file.

    :raises PairError: the file is missing, is not a whole Keras model, needs code that is not here, or
        does not turn one RGB picture into one row of class scores.
    """
    check_model_file(path)
    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "modern.h5"
            model = load_described(copy if write_modern_copy(path, copy) else path)
        pictures, scores = model.input_shape, model.output_shape
    # Keras names no exception of its own: whatever it raises here, the file is the reason.
    except Exception as error:
        raise PairError(f"{path} cannot be loaded by Keras {keras.__version__}: {first_line(error)}") from error
    if not isinstance(pictures, tuple) or len(pictures) != 4 or pictures[3] != 3:
        raise PairError(f"{path} does not take RGB pictures: its input is {pictures}, not (None, 224, 224, 3).")
    if any(side is not None and not 0 < side <= MAX_SIDE for side in pictures[1:3]):
        raise PairError(f"{path} takes pictures of {pictures[1]}×{pictures[2]} pixels, more than {MAX_SIDE} a side.")
    if not isinstance(scores, tuple) or len(scores) != 2 or scores[1] is None:
        raise PairError(
            f"{path} does not give one score for each class: its output is {scores}. Save it with its head."
        )
    return model


def load_described(path: Path) -> keras.Model:
    """Load a network as ``keras.models.load_model`` does, but take memory for it only once it is known to be right.

    Keras makes all the weights that the description asks for, however large, before it compares them with
    those in the file. In this scope it makes none.

    :raises Exception: of any kind; the file is the reason.
    """
    scope = keras.StatelessScope(initialize_variables=False)
    try:
        with scope:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception:
        keras.utils.clear_session()  # or the next scope that ends would make those weights
        raise
    with keras.StatelessScope():
        pass  # when it ends, the weights are made
    for variable in model.variables:
        stored = scope.get_current_value(variable)
        if stored is not None:
            variable.assign(stored)
    return model


def check_tensors(graph: tf.Graph) -> None:
    """:raises ValueError: a picture would become more numbers than ``MAX_TENSOR`` on its way through the network."""
    for operation in graph.get_operations():
        for tensor in operation.outputs:
            if (tensor.shape.num_elements() or 0) > MAX_TENSOR:
                raise ValueError(f"{operation.name} makes {tensor.shape.num_elements()} numbers of it.")


def first_line(error: Exception) -> str:
    """The first line of what an exception says, which may be words of the file: no escape sequence gets through."""
    lines = ("".join(filter(str.isprintable, line)) for line in str(error).splitlines())
    return next((line[:MAX_REASON] for line in lines if line.strip()), type(error).__name__)


def traced(model: keras.Model, count: int = 1) -> tf.types.experimental.PolymorphicFunction:
    """The network as one graph: ``uint8[count, 224, 224, 3]`` -> ``float32[count, classes]``.

    Calling it takes less than half of ``model.predict``'s time on a CPU.
    """
    activation = last_activation(model)
    size = model.input_shape[1:3]
    if None not in size and size != (IMAGE_SIZE, IMAGE_SIZE):
        log.warning(
            "The network takes %d×%d pictures: the %d×%d pixels are resized for it.", *size, IMAGE_SIZE, IMAGE_SIZE
        )

    @tf.function(input_signature=[tf.TensorSpec((count, IMAGE_SIZE, IMAGE_SIZE, 3), tf.uint8)])
    def probabilities(pixels: tf.Tensor) -> tf.Tensor:
        rgb = tf.cast(pixels, tf.float32) / 255.0
        if None not in size:
            rgb = tf.image.resize(rgb, size)  # the same picture if it has that size already
        return as_probabilities(tf.cast(model(rgb, training=False), tf.float32), activation)

    return probabilities


def last_activation(model: keras.Model) -> Callable | None:
    """The activation function that the outputs went through; None if the last layer has none.

    The last layer may be inside an inner model, and a linear one behind it may only make float32 of float16.
    """
    *_, last = (layer for layer in model.layers if not is_linear_activation(layer))
    return last_activation(last) if isinstance(last, keras.Model) else getattr(last, "activation", None)


def is_linear_activation(layer: keras.Layer) -> bool:
    """Whether a layer passes on what it gets."""
    return isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear


def as_probabilities(scores: tf.Tensor, activation: Callable | None) -> tf.Tensor:
    """What a head says, as one probability a class.

    :param scores: ``float32[count, n]``; n is 1 for a head with one sigmoid, which speaks of the second of two classes.
    :param activation: of the network's last layer. A linear one was trained with ``from_logits=True``.
    :return: ``float32[count, classes]``.
    """
    logits = activation is keras.activations.linear
    if scores.shape[-1] == 1:
        second = tf.sigmoid(scores) if logits else scores
        return tf.concat([1 - second, second], axis=-1)
    return tf.nn.softmax(scores) if logits else scores
