"""What Keras stores in HDF5, the description of a network and its weights, checked without reading a number."""

import itertools
import json
import math
from collections.abc import Iterable

import h5py
import numpy as np

MAX_DESCRIPTION = 16 * 2**20  # characters of JSON; InceptionV3 takes 0.3 million, and no network takes this many
MAX_ITEMS = 50_000  # layers and weights; the deepest of keras.applications have about 5,000
MAX_WEIGHTS = 2**30  # numbers, 4 GiB as float32; the largest of keras.applications has 350 million

Items = dict[str, h5py.Group | h5py.Dataset]


class RefusedError(ValueError):
    """The file holds what no saved network needs; the message says what."""


def read_description(file: h5py.File) -> object:
    """The attribute ``model_config``, which describes the network, parsed.

    :raises ValueError: it is not JSON, or too much of it.
    """
    text = file.attrs["model_config"]
    if not isinstance(text, str | bytes):
        raise RefusedError("its description is not text")
    return parse_description(text)


def parse_description(text: str | bytes) -> object:
    """The description of a network, parsed and checked.

    :raises RefusedError: it is not JSON, is too much of it, or has a layer that keeps a state, for which Keras
        allocates as much memory as the layer says.
    """
    if len(text) > MAX_DESCRIPTION:
        raise RefusedError(f"its description is longer than {MAX_DESCRIPTION // 2**20} MB")
    try:
        config: object = json.loads(text)
    except RecursionError:
        raise RefusedError("its description is nested too deeply") from None
    except ValueError:
        raise RefusedError("its description is not JSON") from None
    pending = [config]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get("stateful"):
                raise RefusedError("a layer in it remembers the pictures before")
            pending += node.values()
        elif isinstance(node, list):
            pending += node
    return config


def check_model_weights(file: h5py.File) -> None:
    """Check everything in ``model_weights``, the only group of an ``.h5`` that will be loaded.

    :raises RefusedError: as ``check_arrays``, or it names a weight twice, or one that does not exist.
    """
    if "model_weights" in file:
        _check_names(check_arrays(file, ["model_weights"]))


def check_arrays(file: h5py.File, roots: Iterable[str]) -> Items:
    """Check everything in some groups, without reading a number of it.

    :param roots: the names of groups or arrays in the file's root. Only these will be loaded.
    :return: all groups and arrays that are in them, and themselves, by their paths.
    :raises RefusedError: something in them is not a plain group or an array of numbers stored right there, or they are
        too large.
    """
    found: Items = {}
    addresses = set()
    numbers = 0
    pending = [*roots]
    while pending:
        path = pending.pop()
        group, _, name = path.rpartition("/")
        item = found[path] = _own_item(found[group] if group else file, name, path)
        addresses.add(h5py.h5o.get_info(item.id).addr)
        if len(addresses) < len(found):  # two names of one object, which may contain itself
            raise RefusedError(f"{path!r:.80} in it is there under another name too")
        if isinstance(item, h5py.Group):
            if len(found) + len(pending) + len(item) > MAX_ITEMS:
                raise RefusedError(f"it holds more than {MAX_ITEMS} weights")
            pending += [f"{path}/{name}" for name in item]
        else:
            numbers += _count_numbers(path, item)
    if numbers > MAX_WEIGHTS:
        raise RefusedError(f"it holds {numbers} numbers, and {MAX_WEIGHTS} are the most that are loaded")
    return found


def _own_item(parent: h5py.Group, name: str, path: str) -> h5py.Group | h5py.Dataset:
    """The object that a group of the file contains under ``name``.

    :param path: the full name, for the message.
    :raises RefusedError: it is a link, which may refer to any file of this machine.
    """
    if name in ("", ".") or not isinstance(parent, h5py.Group):
        raise RefusedError(f"{path!r:.80} in it has no name of its own")
    if type(parent.get(name, getlink=True)) is not h5py.HardLink:
        raise RefusedError(f"{path!r:.80} in it is a link")
    item = parent[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise RefusedError(f"{path!r:.80} in it is neither a group nor an array")
    return item


def _count_numbers(path: str, dataset: h5py.Dataset) -> int:
    """How many numbers an array holds.

    :raises RefusedError: it holds something else, or its numbers are not stored in the file as Keras writes them.
    """
    if dataset.shape is None or not (dataset.dtype.kind in "fiub" or is_bfloat16(dataset)):
        raise RefusedError(f"{path!r:.80} in it does not hold numbers")
    if dataset.external or dataset.is_virtual:
        raise RefusedError(f"{path!r:.80} in it takes its numbers from another file")
    if dataset.id.get_create_plist().get_nfilters():  # a few bytes could become any number of them
        raise RefusedError(f"{path!r:.80} in it is compressed, which Keras does not do")
    numbers: int = math.prod(dataset.shape)
    declared, stored = numbers * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if declared > stored:  # the rest would be zeros, as many as it says
        raise RefusedError(f"{path!r:.80} in it is said to take {declared} bytes, and {stored} are there")
    return numbers


def is_bfloat16(dataset: h5py.Dataset) -> bool:
    """Whether an array holds numbers of a type that HDF5 does not have: Keras stores their bytes and says so."""
    return bool(dataset.dtype == np.dtype("V2")) and dataset.attrs.get("dtype") == "bfloat16"


def _check_names(found: Items) -> None:
    """Check the two kinds of attributes that name weights: Keras reads each weight as often as it is named.

    :param found: everything in ``model_weights``, that group included, by its path.
    :raises RefusedError: something is named twice, or does not exist.
    """
    weights = found["model_weights"]
    layers = [f"model_weights/{name}" for name in _names(weights, "layer_names")]
    if "model_weights/top_level_model_weights" in found:
        layers.append("model_weights/top_level_model_weights")
    arrays = []
    for layer in layers:
        if not isinstance(found.get(layer), h5py.Group):
            raise RefusedError(f"{layer!r:.80}, a layer that it names, is not there")
        arrays += [f"{layer}/{name}" for name in _names(found[layer], "weight_names")]
    for path in arrays:
        if not isinstance(found.get(path), h5py.Dataset):
            raise RefusedError(f"{path!r:.80}, a weight that it names, is not there")
    if len({*layers}) < len(layers) or len({*arrays}) < len(arrays):
        raise RefusedError("it names a weight twice")


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """The names in ``attribute``, or, if they were too many for one, in ``attribute`` 0, 1, 2..."""
    if attribute in group.attrs:
        attributes = [attribute]
    else:
        numbered = (f"{attribute}{number}" for number in itertools.count())
        attributes = list(itertools.takewhile(group.attrs.__contains__, numbered))
    names = [name for part in attributes for name in np.atleast_1d(group.attrs[part]).tolist()]
    if not all(isinstance(name, str | bytes) for name in names):
        raise RefusedError(f"its {attribute} are not text")
    return [name.decode(errors="replace") if isinstance(name, bytes) else name for name in names]
