"""ONNX Runtime: a compiled network, loaded, checked and warmed up. TensorFlow is not needed."""

import logging
from collections.abc import Callable

import numpy as np
import onnxruntime

from . import IMAGE_SIZE
from .compiled import CompiledError, CompiledFile
from .engine import BATCH_SIZE, EngineInfo, Numbers, Pixels, different_images, full_batch, one_by_one
from .errors import first_line
from .options import EngineName, Precision
from .processor import usable_cores

log = logging.getLogger(__name__)

ERRORS_ONLY = 3  # of what ONNX Runtime writes to stderr
TOLERANCE = 0.1  # of the scores, relative to the largest: how far they may be from those where it was compiled
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
            self._session = onnxruntime.InferenceSession(
                compiled.networks[precision], session_options(), providers=["CPUExecutionProvider"]
            )
            found = np.concatenate([self.run(image[np.newaxis])[0] for image in different_images()])
        except Exception as error:  # ONNX Runtime has exceptions of its own, without a common class
            raise CompiledError(f"ONNX Runtime cannot run it: {first_line(error)}") from error
        check_scores(found, compiled.expected[precision])

    def run(self, pixels: Pixels) -> tuple[Numbers, Numbers]:
        """The scores and the feature map of one image."""
        results = self._session.run(self._outputs, {PIXELS: pixels})
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
        (features,) = self._session.run([FEATURES], {PIXELS: images}, options)
        return np.asarray(features)


def session_options() -> onnxruntime.SessionOptions:
    """How ONNX Runtime runs a network here."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = usable_cores()
    options.inter_op_num_threads = 1
    # Threads that wait for work by turning round and round take the processor from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


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
