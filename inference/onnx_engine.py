"""ONNX Runtime: a compiled network, loaded, checked and warmed up. TensorFlow is not needed."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime

from . import IMAGE_SIZE
from .compiled import CompiledError, CompiledFile
from .engine import BATCH_SIZE, EngineInfo, Numbers, Pixels, different_images, full_batch, one_by_one
from .errors import first_line
from .memory import give_back_memory
from .options import EngineName, Precision
from .processor import usable_cores

log = logging.getLogger(__name__)

ERRORS_ONLY = 3  # of what ONNX Runtime writes to stderr
TOLERANCE = 0.1  # of the scores, relative to the largest: how far they may be from those where it was compiled
MOST_AT_A_TIME = 4  # networks; photos are read one at a time, and no faster than these are classified
#: Names of the inputs and outputs of a compiled network.
PIXELS, SCORES, FEATURES = "pixels", "scores", "features"


class OnnxEngine:
    """A network that ONNX Runtime runs on the CPU: an ``Engine``.

    :param file: the compiled network.
    :param precision: one of those in the file.
    :raises CompiledError: it cannot be run, or gives other scores on this processor than where it was compiled.
    """

    def __init__(self, file: CompiledFile, precision: Precision) -> None:
        compiled = file.read(precision)
        about = compiled.about
        self.info = EngineInfo(EngineName.ONNX, precision, "CPU", about.input_range)
        self.input_range_reason = about.input_range_reason
        self.meaning = about.scores_mean()
        self.head = compiled.head
        self._takes_batches, self._takes_any_size = about.takes_batches, about.takes_any_size
        self._outputs = [SCORES, FEATURES] if self.head else [SCORES]
        try:
            self._sessions = _Sessions(compiled.networks[precision], usable_cores())
            checks = [self._scores_of_different_images(session) for session in self._sessions]
        except Exception as error:  # ONNX Runtime has exceptions of its own, without a common class
            raise CompiledError(f"ONNX Runtime cannot run it: {first_line(error)}") from error
        for found in checks:
            check_scores(found, compiled.expected[precision])
        self.concurrency = self._sessions.concurrency
        give_back_memory()  # loading took and freed about the size of the network

    def run(self, pixels: Pixels) -> tuple[Numbers, Numbers]:
        """The scores and the feature map of one image."""
        with self._sessions.free() as session:
            results = session.run(self._outputs, {PIXELS: pixels})
        if self.head is None:
            results.append(np.zeros((len(pixels), 0, 0, 0), "float32"))
        scores, features = results
        return scores, features

    def run_batch(self, pixels: Pixels) -> tuple[Numbers, Numbers]:
        """The scores and the feature maps of up to ``BATCH_SIZE`` images."""
        if not self._takes_batches:
            return one_by_one(self.run, pixels)
        scores, features = self.run(full_batch(pixels))
        return scores[: len(pixels)], features[: len(pixels)]

    def features_of_any_size(self) -> Callable[[Pixels], Numbers] | None:
        """The network up to its pooling, for images of any size; None if it takes images of one size only."""
        if not self._takes_any_size:
            log.warning("There is no closer look at small birds: the network takes images of one size.")
            return None
        return self._features

    def _features(self, images: Pixels) -> Numbers:
        # What a large image takes is given back; otherwise ONNX Runtime keeps it for the next one.
        options = onnxruntime.RunOptions()
        if images[0].size > BATCH_SIZE * IMAGE_SIZE**2 * 3:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with self._sessions.free() as session:
            (features,) = session.run([FEATURES], {PIXELS: images}, options)
        return np.asarray(features)

    def _scores_of_different_images(self, session: onnxruntime.InferenceSession) -> Numbers:
        images = different_images()[:, np.newaxis]
        return np.concatenate([session.run([SCORES], {PIXELS: image})[0] for image in images])


class _Sessions:
    """A network twice: a single image is classified by all cores, several at a time by one core each.

    With all cores, one answer takes two thirds of the time; with one core each, there are a quarter more answers a
    second, because no core waits for another.

    :param network: in the format of ONNX.
    :param cores: that may be kept busy.
    """

    def __init__(self, network: bytes, cores: int) -> None:
        self.concurrency = min(cores, MOST_AT_A_TIME)
        self._with_all_cores = new_session(network, cores)
        self._with_one_core = new_session(network, 1) if cores > 1 else self._with_all_cores
        self._running = 0
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[onnxruntime.InferenceSession]:
        yield from {id(each): each for each in (self._with_all_cores, self._with_one_core)}.values()

    @contextlib.contextmanager
    def free(self) -> Iterator[onnxruntime.InferenceSession]:
        """The one that suits: is another image being classified?"""
        with self._lock:
            session = self._with_one_core if self._running else self._with_all_cores
            self._running += 1
        try:
            yield session
        finally:
            with self._lock:
                self._running -= 1


def new_session(network: bytes, threads: int) -> onnxruntime.InferenceSession:
    """A network, ready to be run on the CPU.

    :param network: in the format of ONNX.
    :param threads: that run it, the caller's among them.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread turns round and round until there is something to do: waking it would take as long as a convolution. It
    # stops with the last operation, so that it does not take the processor from the decoder.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def check_scores(found: Numbers, expected: Numbers) -> None:
    """Make sure that a processor computes what it should.

    Without instructions for products of 8-bit numbers (VNNI), some of the sums in an int8 network are cut off.

    :raises CompiledError: the scores differ.
    """
    if found.shape != expected.shape:
        raise CompiledError("its scores are not those that it had where it was compiled.")
    largest = max(float(np.abs(expected).max()), 1e-6)
    if not float(np.abs(found - expected).max()) <= TOLERANCE * largest:
        raise CompiledError("this processor computes other scores than the one on which it was compiled.")
