"""Saving the model pair, so that a process that loads it meanwhile gets the old one, the new one or a clear refusal."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from inference.manifest import describe_pair, write_manifest

if TYPE_CHECKING:
    import keras


def save_pair(network: "keras.Model", class_indices: dict[str, int], model: Path, labels: Path) -> None:
    """Write the network (kernels as float16, half the size), ``{label: index}`` and the manifest of the two.

    :param model: the ``.h5`` to write; the manifest goes beside it.
    :param labels: the ``.npy`` to write.
    """
    full, half = model.with_suffix(".full.h5"), model.with_suffix(".half.h5")
    network.save(full)
    _halve_kernels(full, half)
    full.unlink()
    new_labels = labels.with_suffix(".new.npy")
    # NumPy's types know no dict; the app's file format is an object array around one.
    np.save(new_labels, class_indices)  # type: ignore[arg-type]
    replace_pair(half, new_labels, model, labels)


def replace_pair(
    new_model: Path, new_labels: Path, model: Path, labels: Path, beside: Iterable[tuple[Path, Path]] = ()
) -> None:
    """Replace the two files of a pair with new ones.

    The manifest comes first: until the ``.h5`` is renamed, it belongs to another model and is ignored; from then until
    the ``.npy`` is renamed, it names other labels, and loading the pair is refused. The ``.npy`` comes last.

    :param beside: other files of the new pair, and what to rename them to while loading is refused.
    """
    write_manifest(model.parent, describe_pair(new_model, new_labels))
    new_model.replace(model)
    for new, file in beside:
        new.replace(file)
    new_labels.replace(labels)


def _halve_kernels(source: Path, target: Path) -> None:
    """Copy a saved network with every kernel as float16; Keras casts them back when it loads the file."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        new.attrs.update(old.attrs)

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                copied = new.create_group(name)
            else:
                values = item[()]
                copied = new.create_dataset(name, data=values.astype("float16") if name.endswith("kernel") else values)
            copied.attrs.update(item.attrs)

        old.visititems(copy)
