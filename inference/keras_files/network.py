"""The file of a network -> a Keras model that turns images into class scores."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..backend import keras
from ..errors import PairError
from ..graph import scores_shape
from .archive import is_archive
from .keras_config import write_modern_copy
from .keras_layers import CUSTOM_OBJECTS
from .load_errors import explain
from .modern_archive import unpack_archive

MAX_SIDE = 2048  # pixels of an image that a network takes; those of keras.applications take up to 600
MAX_RECURSION = 10_000  # calls inside one another; Keras follows a graph from layer to layer, and some have 2,000
MAX_QUOTED = 120  # characters of the shapes of several inputs


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
        raise PairError(f"{path} cannot be loaded by Keras {keras.__version__}: {explain(error)}") from error
    fault = _fault_of_input(inputs) or _fault_of_output(scores)
    if fault:
        raise PairError(f"{path} {fault}")
    return model


def _fault_of_input(shape: Any) -> str | None:
    """Why a network cannot take one RGB image, in words that follow its name; None if it can.

    :param shape: of its input, ``(None, height, width, 3)``; a list or a dictionary of such, if it has several.
    """
    if not isinstance(shape, tuple):
        return f"takes {len(shape)} inputs, not one image: {shape!r:.{MAX_QUOTED}}."
    if len(shape) != 4 or shape[3] != 3:
        fault = f"does not take RGB pictures: its input is {shape}, not (None, 224, 224, 3)."
        if len(shape) == 2:
            return f"{fault} If it is a head, save it together with its base."
        if len(shape) == 4 and shape[3] == 1:
            return f"{fault} It was trained on grey pictures: train it on colors."
        if len(shape) == 4 and shape[1] == 3:
            return f"{fault} Build it again with data_format='channels_last', copy the weights and save that."
        return fault
    if any(side is not None and not 0 < side <= MAX_SIDE for side in shape[1:3]):
        return f"takes pictures of {shape[1]}×{shape[2]} pixels, more than {MAX_SIDE} a side."
    return None


def _fault_of_output(shape: Any) -> str | None:
    """Why a network does not give one score for each class, in words that follow its name; None if it does.

    :param shape: of its output, ``(None, classes)``; a list or a dictionary of such, if it has several.
    """
    if not isinstance(shape, tuple):
        return f"gives {len(shape)} outputs, not one score for each class. Save a model of one of them."
    if len(shape) == 4:
        return (
            f"does not give one score for each class: its output is {shape}, as without a head (include_top=False). "
            "Add GlobalAveragePooling2D and Dense to it, train them, and save the whole network."
        )
    if len(shape) != 2 or shape[1] is None:
        return f"does not give one score for each class: its output is {shape}. Save it with its head."
    return None


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
