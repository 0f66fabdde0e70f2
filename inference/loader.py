"""A checked model pair -> a classifier, with the engine that suits. Engines are imported only when they are needed."""

import logging
import os
from typing import TYPE_CHECKING

from .compiled import CompiledError, CompiledFile, find_compiled
from .errors import PairError
from .options import EngineName, NetworkOptions, Precision
from .packages import INSTALL_ALL, INSTALL_TO_SERVE, is_installed
from .pair import Pair
from .processor import may_have_gpu

if TYPE_CHECKING:
    from .classifier import Classifier
    from .engine import Engine

log = logging.getLogger(__name__)

DEFAULT = NetworkOptions()
COMPILE = "flask --app application compile"


def load_classifier(pair: Pair, options: NetworkOptions = DEFAULT) -> "Classifier":
    """Load a pair, in a process that does not train.

    :raises PairError: the network cannot be used, the two files do not belong together, or one was replaced meanwhile.
    """
    from .classifier import Classifier

    try:
        return Classifier(pair, _load_engine(pair, options), options.strictness)
    finally:
        pair.check_unchanged()  # after a failure, too: a file that was half replaced is its likely reason


def _load_engine(pair: Pair, options: NetworkOptions) -> "Engine":
    """The engine that the options name, or the one that is faster: with a GPU TensorFlow, otherwise ONNX Runtime.

    :raises PairError: there is no network that it could run.
    """
    match options.engine:
        case EngineName.ONNX:
            return _compiled_engine(pair, options)
        case EngineName.TENSORFLOW:
            return _tensorflow_engine(pair, options)
    if options.precision is not Precision.BFLOAT16 and not (may_have_gpu() and _tensorflow_has_gpu()):
        try:
            return _compiled_engine(pair, options)
        except PairError as error:
            if options.precision is Precision.INT8 or not is_installed("tensorflow"):
                raise
            log.info("TensorFlow runs the network: %s", error)
    return _tensorflow_engine(pair, options)


def _compiled_engine(pair: Pair, options: NetworkOptions) -> "Engine":
    """ONNX Runtime with the compiled network beside the pair.

    :raises PairError: there is none that could be used. The message says what would help.
    """
    file = find_compiled(pair.model_file, pair.sha256)
    if file is None:
        raise PairError(f"{pair.model_file} is not compiled. {_how_to_compile()}")
    pair.check_outputs(file.about.outputs)
    if not is_installed("onnxruntime"):
        raise PairError(f"ONNX Runtime, which runs {file.path}, is not installed: {INSTALL_TO_SERVE}")
    if options.input_range not in (None, file.about.input_range):
        raise PairError(
            f"{file.path} was compiled for pixel values {file.about.input_range.in_words}, and BIRD_INPUT_RANGE asks "
            f"for others. {_how_to_compile()}"
        )
    return _first_that_runs(file, _wanted(file, options.precision))


def _how_to_compile() -> str:
    """A sentence that says what to do if a network is not compiled; compiling needs TensorFlow, too."""
    if is_installed("tensorflow"):
        return f"Compile it: {COMPILE}"
    return f"TensorFlow, which can run it as it is or compile it, is not installed: {INSTALL_ALL}"


def _wanted(file: CompiledFile, precision: Precision | None) -> list[Precision]:
    """The precisions to try, in this order.

    :raises PairError: the network was not compiled to the one that is wanted.
    """
    if precision is None:
        return file.precisions
    if precision not in file.precisions:
        to_compile = f", or compile it with photos ({COMPILE} --photos FOLDER)" if precision is Precision.INT8 else ""
        raise PairError(
            f"{file.path} holds no network in {precision}, only in {' and '.join(file.precisions)}. Choose another "
            f"BIRD_PRECISION{to_compile}."
        )
    return [precision]


def _first_that_runs(file: CompiledFile, precisions: list[Precision]) -> "Engine":
    """An engine in the first precision that can be used.

    :raises PairError: there is none.
    """
    from .onnx_engine import OnnxEngine

    problem = ""
    for precision in precisions:
        try:
            return OnnxEngine(file, precision)
        except CompiledError as error:
            problem = f"{file.path} cannot be used in {precision}: {error}"
            log.warning(problem)
    raise PairError(problem)


def _tensorflow_engine(pair: Pair, options: NetworkOptions) -> "Engine":
    """TensorFlow with the network as it was saved.

    :raises PairError: it is not installed, or the network cannot be used.
    """
    if options.precision is Precision.INT8:
        raise PairError(
            f"TensorFlow runs no network in int8. Compile it ({COMPILE} --photos FOLDER), with BIRD_ENGINE=onnx."
        )
    if not is_installed("tensorflow"):
        wish = "BIRD_ENGINE=tensorflow" if options.engine else "BIRD_PRECISION=bfloat16"
        raise PairError(f"TensorFlow, which {wish} asks for, is not installed: {INSTALL_ALL}")
    # oneDNN may then keep weights in the order that suits it: a fifth less processor time. In a process that trains,
    # or convolves outside of a traced network, the results would be wrong.
    os.environ.setdefault("TF_ONEDNN_ASSUME_FROZEN_WEIGHTS", "1")
    from .tensorflow_engine import TensorFlowEngine, faster_engine

    if options.precision is Precision.BFLOAT16:
        return faster_engine(pair, options.input_range)
    return TensorFlowEngine(pair, Precision.FLOAT32, options.input_range)


def _tensorflow_has_gpu() -> bool:
    """Whether TensorFlow is installed and finds a GPU; it is imported for that."""
    if not is_installed("tensorflow"):
        return False
    from .tensorflow_engine import let_gpu_memory_grow

    return let_gpu_memory_grow()
