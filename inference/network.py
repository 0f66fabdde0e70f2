"""The file of a network -> a Keras model that turns images into class scores."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .archive import is_archive
from .backend import keras
from .errors import PairError
from .graph import scores_shape
from .keras_config import write_modern_copy
from .keras_layers import CUSTOM_OBJECTS
from .modern_archive import unpack_archive

MAX_SIDE = 2048  # pixels of an image that a network takes; those of keras.applications take up to 600
MAX_RECURSION = 10_000  # calls inside one another; Keras follows a graph from layer to layer, and some have 2,000
MAX_REASON = 300  # characters of an error message of Keras or TensorFlow


def load_network(path: Path) -> keras.Model:
    """Load an image classifier, without its optimizer and without running code from the file.

    :param path: an ``.h5`` or ``.keras`` file that ``check_model_file`` has accepted; its name does not matter.
    :raises PairError: Keras cannot load it, or it does not turn one RGB image into one row of class scores.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = load_lazily(_loadable(path, Path(folder)))
        inputs, scores = model.input_shape, scores_shape(model)
    # Keras has no exception class of its own: whatever it raises here, the file is the reason.
    except Exception as error:
        raise PairError(f"{path} cannot be loaded by Keras {keras.__version__}: {first_line(error)}") from error
    if not isinstance(inputs, tuple) or len(inputs) != 4 or inputs[3] != 3:
        raise PairError(f"{path} does not take RGB pictures: its input is {inputs}, not (None, 224, 224, 3).")
    if any(side is not None and not 0 < side <= MAX_SIDE for side in inputs[1:3]):
        raise PairError(f"{path} takes pictures of {inputs[1]}×{inputs[2]} pixels, more than {MAX_SIDE} a side.")
    if not isinstance(scores, tuple) or len(scores) != 2 or scores[1] is None:
        raise PairError(
            f"{path} does not give one score for each class: its output is {scores}. Save it with its head."
        )
    return model


def _loadable(path: Path, folder: Path) -> Path:
    """A file or folder that this Keras can load: the model file as it is, or what is made of it in ``folder``.

    :raises Exception: of any kind; the file is the reason.
    """
    if is_archive(path):
        unpack_archive(path, folder)
        return folder
    copy = folder / "model.h5"
    if write_modern_copy(path, copy):
        return copy
    if path.name.endswith((".h5", ".hdf5")):
        return path
    return shutil.copyfile(path, copy)  # Keras goes by the name


def load_lazily(path: Path) -> keras.Model:
    """Load a network like ``keras.models.load_model``, but allocate its weights only if they match those in the file.

    Keras allocates all the weights that the description asks for, however large, before it compares them with
    those in the file. In this scope it allocates none.

    :raises Exception: of any kind; the file is the reason.
    """
    scope = keras.StatelessScope(initialize_variables=False)
    try:
        with scope, _deep_recursion():
            model = keras.models.load_model(path, custom_objects=CUSTOM_OBJECTS, compile=False, safe_mode=True)
    except Exception:
        keras.utils.clear_session()  # or the next scope that ends would allocate those weights
        raise
    with keras.StatelessScope():
        pass  # when it ends, the weights are allocated
    for variable in model.variables:
        stored = scope.get_current_value(variable)
        if stored is not None:
            variable.assign(stored)
    return model


@contextlib.contextmanager
def _deep_recursion() -> Iterator[None]:
    """Allow functions to call one another more deeply than Python does by default."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, MAX_RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def first_line(error: Exception) -> str:
    """The first line of an error message. It may quote the file, so control characters are left out."""
    lines = ("".join(filter(str.isprintable, line)) for line in str(error).splitlines())
    return next((line[:MAX_REASON] for line in lines if line.strip()), type(error).__name__)
