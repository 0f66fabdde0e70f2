"""A ``.keras`` file that some release of Keras saved -> a folder that this one can load."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py

from .archive import DESCRIPTION, LAYERS, OLD_LAYERS, WEIGHTS, network_groups, open_archive, path_parts
from .hdf5 import check_arrays, is_bfloat16
from .keras_config import modern_config
from .keras_graph import Json

Parts = tuple[str, ...]  # the path of a group or an array of weights: layers, conv2d, vars, 0

_GROUP = "group_of_weights"  # the key under which a layer carries its group while its description is rewritten


def unpack_archive(path: Path, folder: Path) -> None:
    """Write the description and the weights to a folder, from which this Keras can load the network.

    :param path: a ``.keras`` file that ``check_archive`` has accepted.
    :param folder: an empty one.
    :raises UnsupportedLayerError: a layer cannot be loaded; the message is a sentence about it.
    :raises Exception: of any other kind; Keras did not write this file.
    """
    with open_archive(path) as (config, weights):
        _note_groups(config)
        modern = modern_config(config)
        moved = _moved_groups(modern)
        (folder / DESCRIPTION).write_text(json.dumps(modern))
        found = check_arrays(weights, network_groups(weights))
        with h5py.File(folder / WEIGHTS, "w") as new:
            for old_path, parts in _without_old_groups(found).items():
                array = found[old_path]
                if isinstance(array, h5py.Dataset):
                    new_path = "/".join(_renamed(parts, moved))
                    new[new_path] = array[()]
                    if is_bfloat16(array):
                        new[new_path].attrs["dtype"] = "bfloat16"


def _layers(model: object) -> list[Json]:
    """The layers of a model in a description; none if it is not a model."""
    config = model.get("config") if isinstance(model, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    return layers if isinstance(layers, list) else []


def _groups(model: object) -> Iterator[tuple[Json, str]]:
    """The layers of a model, and the groups in which Keras keeps their weights: ``conv2d``, ``conv2d_1``, and so on."""
    counts: Counter[str] = Counter()
    for layer in _layers(model):
        kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", layer["class_name"])
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()
        yield layer, _numbered(kind, counts[kind])
        counts[kind] += 1


def _numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _note_groups(model: object) -> None:
    """Have each layer carry its group: its class may change, and with it the groups that Keras looks for."""
    for layer, group in _groups(model):
        layer[_GROUP] = group
        _note_groups(layer)


def _moved_groups(model: object, container: Parts = ()) -> dict[Parts, str]:
    """The new names of groups, by the paths that they have in the file.

    What else the description of an inner model holds, how it was compiled, is left out.

    :param model: its layers carry the groups that they have in the file.
    :param container: the group of this model in the file.
    """
    moved = {}
    for layer, group in _groups(model):
        old = (*container, LAYERS, layer.pop(_GROUP, group))
        moved[old] = group
        layer.pop("compile_config", None)
        moved |= _moved_groups(layer, old)
    return moved


def _renamed(parts: Parts, names: dict[Parts, str]) -> Parts:
    """A path with other names for some of the groups in it, by their own paths."""
    return tuple(names.get(parts[: depth + 1], name) for depth, name in enumerate(parts))


def _without_old_groups(paths: Iterable[str]) -> dict[str, Parts]:
    """The paths of a weights file as Keras has written them since 2.15, by those that are in the file.

    Keras 2.13 counted a layer with weights twice: after ``conv2d`` came ``conv2d_2``.
    """
    every = {path: path_parts(path) for path in paths}
    containers: defaultdict[Parts, set[tuple[str, int]]] = defaultdict(set)
    for parts in every.values():
        for depth, name in enumerate(parts[1:], 1):
            if parts[depth - 1] == OLD_LAYERS:
                containers[parts[:depth]].add(_kind_and_number(name))
    names: dict[Parts, str] = {}
    for container, layers in containers.items():
        names[container] = LAYERS
        counts: Counter[str] = Counter()
        for kind, number in sorted(layers):
            names[*container, _numbered(kind, number)] = _numbered(kind, counts[kind])
            counts[kind] += 1
    return {path: _renamed(parts, names) for path, parts in every.items()}


def _kind_and_number(name: str) -> tuple[str, int]:
    kind, _, number = name.rpartition("_")
    return (kind, int(number)) if kind and number.isdecimal() else (name, 0)
