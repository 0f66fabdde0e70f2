"""The ``.h5`` itself: checked, and put into words that this Keras understands, without TensorFlow.

Keras 3 reads most models that Keras 2 and earlier releases of Keras 3 saved. The rest fail on a few
things in the description of the network, which are rewritten here; the weights stay as they are.
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

from . import PairError

MAX_DESCRIPTION = 16 * 2**20  # characters of JSON; InceptionV3 takes 0.3 million, and no network many times that
MAX_ITEMS = 50_000  # layers and weights; the deepest of keras.applications have about 5,000
MAX_WEIGHTS = 2**30  # numbers, 4 GiB as float32; the largest of keras.applications has 350 million
MEMORY_LIMIT = 768 * 2**20  # bytes for looking at all of that: so much JSON can become half a gigabyte
PROCESSOR_LIMIT = 5  # seconds of processor time for it; an InceptionV3 takes 0.3
PATIENCE = 60  # seconds on the clock, for a machine that is busy with other things

# Arithmetic of a picture and a constant, as in ``inception_v3.preprocess_input``: the name that Keras 2
# (TensorFlow's function) or Keras 3 (its operation) gives it, and the scale and offset that do the same.
_ARITHMETIC = {
    "math.multiply": lambda constant: (constant, 0.0),
    "math.truediv": lambda constant: (1.0 / constant, 0.0),
    "math.subtract": lambda constant: (1.0, -constant),
    "__operators__.add": lambda constant: (1.0, constant),
}
_ARITHMETIC["Multiply"] = _ARITHMETIC["math.multiply"]
_ARITHMETIC["TrueDivide"] = _ARITHMETIC["Divide"] = _ARITHMETIC["math.truediv"]
_ARITHMETIC["Subtract"] = _ARITHMETIC["math.subtract"]
_ARITHMETIC["Add"] = _ARITHMETIC["math.add"] = _ARITHMETIC["__operators__.add"]
_COMMUTATIVE = ("math.multiply", "Multiply", "__operators__.add", "math.add", "Add")
_CASTS = ("cast", "Cast")  # from one float to another, of mixed precision: nothing to do in float32

_MODELS = ("Functional", "Model", "Sequential")


def check_model_file(path: Path) -> None:
    """Say what is wrong with a file that is plainly not a whole model, or is made to do harm.

    It is looked at in a process of its own: HDF5 believes the lengths in a file, and a damaged one can
    make it take gigabytes, or loop for ever. No more is read than the description, the names and the sizes.

    :raises PairError: it is missing, is not HDF5, holds weights without a network, or leads outside
        itself or into more memory than a network takes.
    """
    if not path.is_file():
        raise PairError(f"{path} is missing. Put your fine-tuned model there, or run python -m training DATA.")
    if not os.access(path, os.R_OK):
        raise PairError(f"{path} may not be read by this user. Change its permissions.")
    try:
        looked = subprocess.run(
            [sys.executable, "-m", __spec__.name, path.absolute()],
            capture_output=True,
            cwd=Path(__file__).parent.parent,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # each of its threads would take memory
            timeout=PATIENCE,
        )
        fault = json.loads(looked.stdout) if looked.returncode == 0 else _DAMAGED
    except subprocess.TimeoutExpired:
        fault = _DAMAGED
    if fault:
        raise PairError(f"{path} {fault}")


class _RefusedError(Exception):
    """The file holds what no saved network needs; the message says what."""


_HOW_TO_SAVE = "Save the network with model.save('name.h5')."
_DAMAGED = f"is damaged. {_HOW_TO_SAVE}"


def main() -> None:
    """Print what is wrong with the file that the command line names, as JSON, without taking much memory or time."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_LIMIT, PROCESSOR_LIMIT))
    print(json.dumps(_fault(Path(sys.argv[1]))))


def _fault(path: Path) -> str | None:
    """What is wrong with a file, in words that go behind its name; None if nothing is."""
    try:
        file = h5py.File(path)
    # For a damaged file, h5py has exceptions of many kinds, here and below.
    except Exception:
        return f"is not an HDF5 file, or is cut short. {_HOW_TO_SAVE}"
    try:
        with file:
            if "model_config" not in file.attrs:
                return "holds weights without the network. Save it with model.save, not save_weights."
            _check_layers(_description(file))
            _check_weights(file)
    except _RefusedError as error:
        return f"is refused: {error}. {_HOW_TO_SAVE}"
    except Exception:
        return _DAMAGED
    return None


def _description(file: h5py.File) -> object:
    """What ``model_config`` says, parsed.

    :raises _RefusedError: it is not JSON, or too much of it.
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
    """:raises _RefusedError: a layer keeps a state, for which Keras takes memory at once, as much as the layer says."""
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
    """Check everything in ``model_weights``, which is all of the file that will be read, and read nothing of it.

    :raises _RefusedError: something in it is not a plain group or array of numbers of its own, or is too large.
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
        if len(addresses) < len(found):  # two names of one thing, which may lie inside itself
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
    """What lies in the file itself under ``name``.

    :param path: the whole name, for the message.
    :raises _RefusedError: it is a link, which may lead to any file of this machine.
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

    :raises _RefusedError: it holds other things, or its numbers do not lie in the file as Keras writes them.
    """
    if dataset.shape is None or dataset.dtype.kind not in "fiub":
        raise _RefusedError(f"{path!r:.80} in it does not hold numbers")
    if dataset.external or dataset.is_virtual:
        raise _RefusedError(f"{path!r:.80} in it takes its numbers from another file")
    if dataset.id.get_create_plist().get_nfilters():  # a few bytes could become any number of them
        raise _RefusedError(f"{path!r:.80} in it is compressed, which Keras does not do")
    numbers = math.prod(dataset.shape)
    declared, stored = numbers * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if declared > stored:  # the rest would be zeros, as many as it says
        raise _RefusedError(f"{path!r:.80} in it is said to take {declared} bytes, and {stored} are there")
    return numbers


def _check_names(found: dict[str, h5py.Group | h5py.Dataset]) -> None:
    """Keras reads the weights that two kinds of attributes name, as often as they are named.

    :param found: everything in ``model_weights``, that group included, by its path.
    :raises _RefusedError: a name is there twice, or stands for nothing.
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
    """The names in ``attribute``, or, where they were too many for one, in ``attribute`` 0, 1, 2..."""
    if attribute in group.attrs:
        attributes = [attribute]
    else:
        numbered = (f"{attribute}{number}" for number in itertools.count())
        attributes = list(itertools.takewhile(group.attrs.__contains__, numbered))
    names = [name for part in attributes for name in np.atleast_1d(group.attrs[part]).tolist()]
    if not all(isinstance(name, str | bytes) for name in names):
        raise _RefusedError(f"its {attribute} are not text")
    return [name.decode(errors="replace") if isinstance(name, bytes) else name for name in names]


def write_modern_copy(model_file: Path, copy: Path) -> bool:
    """Copy a whole model, without its optimizer, so that this Keras can load it.

    :param model_file: an ``.h5`` with a ``model_config``.
    :param copy: is written only if the description had to be changed.
    :return: whether it was.
    """
    with h5py.File(model_file) as old:
        config = _description(old)
        modern = _modern(config)
        if modern == config:
            return False
        with h5py.File(copy, "w") as new:
            new.attrs["model_config"] = json.dumps(modern)
            for name in ("keras_version", "backend"):
                if name in old.attrs:
                    new.attrs[name] = old.attrs[name]
            old.copy("model_weights", new)
    return True


def _modern(node: object) -> object:
    """A part of ``model_config`` with every layer in it rewritten; the argument stays as it is."""
    if isinstance(node, list):
        return [_modern(item) for item in node]
    if not isinstance(node, dict):
        return node
    layer = {key: _modern(value) for key, value in node.items()}
    config, kind = layer.get("config"), layer.get("class_name")
    if not isinstance(config, dict):
        return layer
    if "mixed" in str(config.get("dtype")):
        config["dtype"] = "float32"  # what the weights of mixed precision are stored as
    if kind == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
    if kind == "DepthwiseConv2D":
        config.pop("groups", None)
    if kind in _MODELS and "output_layers" in config:
        _renumber_calls(config)
    if len(layer.get("inbound_nodes", [])) == 1:
        _replace_arithmetic(layer)
    return layer


def _renumber_calls(graph: dict) -> None:
    """Count the calls of a model inside a model from 0: Keras 2 took its making for the first call.

    :param graph: the ``config`` of a functional model.
    """
    for ends in ("input_layers", "output_layers"):
        if len(graph[ends]) == 1:  # a lone tensor, which would become a list of one
            (graph[ends],) = graph[ends]
    calls = [call for layer in graph["layers"] for call in layer["inbound_nodes"]]
    if any(isinstance(call, dict) for call in calls):  # Keras 3 counts from 0
        return
    references = [reference for call in calls for reference in _leaves(call)]
    _count_from_0(references, graph, _MODELS)
    # Here Keras 3 does the same itself, but for a Sequential.
    _count_from_0(_leaves(graph["output_layers"]), graph, ("Sequential",))


def _leaves(references: list) -> list[list]:
    """The references ``[layer, call, tensor, ...]`` in one of them, or in a list of them."""
    return [references] if isinstance(references[0], str) else references


def _count_from_0(references: list[list], graph: dict, kinds: tuple[str, ...]) -> None:
    names = {layer["name"] for layer in graph["layers"] if layer["class_name"] in kinds}
    for reference in references:
        if reference[0] in names:
            reference[1] = max(0, reference[1] - 1)


def _replace_arithmetic(layer: dict) -> None:
    """Make an operation on one picture and one constant a ``Rescaling`` layer; leave every other as it is."""
    (call,) = layer["inbound_nodes"]
    if isinstance(call, dict):  # Keras 3
        operation = layer["class_name"]
    elif layer["class_name"] == "TFOpLambda":
        operation = layer["config"].get("function")
    else:  # of Keras 2, a layer: its Add adds two pictures
        return
    if operation not in _ARITHMETIC and operation not in _CASTS:
        return
    operands = call["args"] if isinstance(call, dict) else _keras2_operands(call)
    if not operands:  # given by name
        return
    if operation in _COMMUTATIVE and isinstance(operands[0], int | float):
        operands = operands[::-1]
    picture, *constants = operands
    if operation in _CASTS:
        scale, offset = 1.0, 0.0
    elif [type(constant) in (int, float) for constant in constants] == [True]:
        scale, offset = _ARITHMETIC[operation](constants[0])
    else:
        return
    name = layer["config"].get("name", layer["name"]).replace(".", "_")
    layer["class_name"] = "Rescaling"
    layer["config"] = {"name": name, "scale": scale, "offset": offset}
    layer["inbound_nodes"] = [{"args": [picture], "kwargs": {}} if isinstance(call, dict) else [[*picture, {}]]]


def _keras2_operands(call: list) -> list:
    """The one or two operands of ``[layer, call, tensor, {"y": operand}]``; a constant in the first place is marked."""
    layer, index, tensor, keywords = call
    first = tensor if layer == "_CONSTANT_VALUE" else [layer, index, tensor]
    return [first, keywords["y"]] if "y" in keywords else [first]


if __name__ == "__main__":
    main()
