"""The ``.h5``, checked without TensorFlow: is it a whole Keras model, and would loading it do any harm?

``python -m inference.model_file PATH`` is the process that checks it.
"""

import contextlib
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from .confinement import confine_process, minimal_environment
from .errors import PairError

MAX_DESCRIPTION = 16 * 2**20  # characters of JSON; InceptionV3 takes 0.3 million, and no network takes this many
MAX_ITEMS = 50_000  # layers and weights; the deepest of keras.applications have about 5,000
MAX_WEIGHTS = 2**30  # numbers, 4 GiB as float32; the largest of keras.applications has 350 million
MEMORY_LIMIT = 768 * 2**20  # bytes that the check may take: MAX_DESCRIPTION of JSON can become half a gigabyte
PROCESSOR_LIMIT = 5  # seconds of processor time for it; an InceptionV3 takes 0.3
CHECK_TIMEOUT = 60  # seconds on the clock, on a machine that is busy with other things


def check_model_file(path: Path) -> None:
    """Refuse a file that is plainly not a whole model, or is made to do harm.

    It is checked in a process of its own: HDF5 trusts the lengths in a file, and a damaged one can
    make it take gigabytes, or loop for ever. Only the description, the names and the sizes are read.

    :raises PairError: the file is missing, is not HDF5, holds weights without a network, or refers to
        other files or to more memory than a network takes.
    """
    if not path.is_file():
        raise PairError(f"{path} is missing. Put your fine-tuned model there, or run python -m training DATA.")
    if not os.access(path, os.R_OK):
        raise PairError(f"{path} may not be read by this user. Change its permissions.")
    try:
        checked = subprocess.run(
            [sys.executable, "-m", __spec__.name, path.absolute()],
            capture_output=True,
            cwd=Path(__file__).parent.parent,
            env=minimal_environment(),
            timeout=CHECK_TIMEOUT,
        )
        fault = json.loads(checked.stdout) if checked.returncode == 0 else _DAMAGED
    except subprocess.TimeoutExpired:
        fault = _DAMAGED
    if fault:
        raise PairError(f"{path} {fault}")


class _RefusedError(ValueError):
    """The file holds what no saved network needs; the message says what."""


_HOW_TO_SAVE = "Save the network with model.save('name.h5')."
_DAMAGED = f"is damaged. {_HOW_TO_SAVE}"


def main() -> None:
    """Print what is wrong with the file that the command line names, as JSON, within limits of memory and time."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_LIMIT, PROCESSOR_LIMIT))
    confine_process()
    print(json.dumps(_fault(Path(sys.argv[1]))))


def _fault(path: Path) -> str | None:
    """What is wrong with a file, in words that follow its name; None if nothing is."""
    try:
        file = h5py.File(path)
    # On a damaged file, h5py raises exceptions of many kinds, here and below.
    except Exception:
        return f"is not an HDF5 file, or is cut short. {_HOW_TO_SAVE}"
    try:
        with file:
            if "model_config" not in file.attrs:
                return "holds weights without the network. Save it with model.save, not save_weights."
            _check_layers(read_description(file))
            _check_weights(file)
    except _RefusedError as error:
        return f"is refused: {error}. {_HOW_TO_SAVE}"
    except Exception:
        return _DAMAGED
    return None


def read_description(file: h5py.File) -> object:
    """The attribute ``model_config``, which describes the network, parsed.

    :raises ValueError: it is not JSON, or too much of it.
    """
    text = file.attrs["model_config"]
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    if not isinstance(text, str):
        raise _RefusedError("its model_config is not text")
    if len(text) > MAX_DESCRIPTION:
        raise _RefusedError(f"its model_config is longer than {MAX_DESCRIPTION // 2**20} MB")
    try:
        return json.loads(text)
    except RecursionError:
        raise _RefusedError("its model_config is nested too deeply") from None
    except ValueError:
        raise _RefusedError("its model_config is not JSON") from None


def _check_layers(config: object) -> None:
    """Look for layers that keep a state, for which Keras allocates as much memory as the layer says.

    :raises _RefusedError: there is one.
    """
    pending = [config]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get("stateful"):
                raise _RefusedError("a layer in it remembers the pictures before")
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def _check_weights(file: h5py.File) -> None:
    """Check everything in ``model_weights``, the only group that will be loaded, without reading a number of it.

    :raises _RefusedError: something in it is not a plain group or array of numbers stored right there, or is too large.
    """
    found: dict[str, h5py.Group | h5py.Dataset] = {}
    addresses = set()
    numbers = 0
    pending = ["model_weights"] if "model_weights" in file else []
    while pending:
        path = pending.pop()
        group, _, name = path.rpartition("/")
        item = found[path] = _own_item(found[group] if group else file, name, path)
        addresses.add(h5py.h5o.get_info(item.id).addr)
        if len(addresses) < len(found):  # two names of one object, which may contain itself
            raise _RefusedError(f"{path!r:.80} in it is there under another name too")
        if isinstance(item, h5py.Group):
            if len(found) + len(pending) + len(item) > MAX_ITEMS:
                raise _RefusedError(f"it holds more than {MAX_ITEMS} weights")
            pending += [f"{path}/{name}" for name in item]
        else:
            numbers += _count_numbers(path, item)
    if numbers > MAX_WEIGHTS:
        raise _RefusedError(f"it holds {numbers} numbers, and {MAX_WEIGHTS} are the most that are loaded")
    if found:
        _check_names(found)


def _own_item(parent: h5py.Group, name: str, path: str) -> h5py.Group | h5py.Dataset:
    """The object that a group of the file contains under ``name``.

    :param path: the full name, for the message.
    :raises _RefusedError: it is a link, which may refer to any file of this machine.
    """
    if name in ("", ".") or not isinstance(parent, h5py.Group):
        raise _RefusedError(f"{path!r:.80} in it has no name of its own")
    if type(parent.get(name, getlink=True)) is not h5py.HardLink:
        raise _RefusedError(f"{path!r:.80} in it is a link")
    item = parent[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise _RefusedError(f"{path!r:.80} in it is neither a group nor an array")
    return item


def _count_numbers(path: str, dataset: h5py.Dataset) -> int:
    """How many numbers an array holds.

    :raises _RefusedError: it holds something else, or its numbers are not stored in the file as Keras writes them.
    """
    if dataset.shape is None or dataset.dtype.kind not in "fiub":
        raise _RefusedError(f"{path!r:.80} in it does not hold numbers")
    if dataset.external or dataset.is_virtual:
        raise _RefusedError(f"{path!r:.80} in it takes its numbers from another file")
    if dataset.id.get_create_plist().get_nfilters():  # a few bytes could become any number of them
        raise _RefusedError(f"{path!r:.80} in it is compressed, which Keras does not do")
    numbers: int = math.prod(dataset.shape)
    declared, stored = numbers * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if declared > stored:  # the rest would be zeros, as many as it says
        raise _RefusedError(f"{path!r:.80} in it is said to take {declared} bytes, and {stored} are there")
    return numbers


def _check_names(found: dict[str, h5py.Group | h5py.Dataset]) -> None:
    """Check the two kinds of attributes that name weights: Keras reads each weight as often as it is named.

    :param found: everything in ``model_weights``, that group included, by its path.
    :raises _RefusedError: something is named twice, or does not exist.
    """
    weights = found["model_weights"]
    layers = [f"model_weights/{name}" for name in _names(weights, "layer_names")]
    if "model_weights/top_level_model_weights" in found:
        layers.append("model_weights/top_level_model_weights")
    arrays = []
    for layer in layers:
        if not isinstance(found.get(layer), h5py.Group):
            raise _RefusedError(f"{layer!r:.80}, a layer that it names, is not there")
        arrays += [f"{layer}/{name}" for name in _names(found[layer], "weight_names")]
    for path in arrays:
        if not isinstance(found.get(path), h5py.Dataset):
            raise _RefusedError(f"{path!r:.80}, a weight that it names, is not there")
    if len({*layers}) < len(layers) or len({*arrays}) < len(arrays):
        raise _RefusedError("it names a weight twice")


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """The names in ``attribute``, or, if they were too many for one, in ``attribute`` 0, 1, 2..."""
    if attribute in group.attrs:
        attributes = [attribute]
    else:
        numbered = (f"{attribute}{number}" for number in itertools.count())
        attributes = list(itertools.takewhile(group.attrs.__contains__, numbered))
    names = [name for part in attributes for name in np.atleast_1d(group.attrs[part]).tolist()]
    if not all(isinstance(name, str | bytes) for name in names):
        raise _RefusedError(f"its {attribute} are not text")
    return [name.decode(errors="replace") if isinstance(name, bytes) else name for name in names]


if __name__ == "__main__":
    main()
