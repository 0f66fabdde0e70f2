"""The network: InceptionV3 with a head for your labels, and the file that it is saved in."""

from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

DROPOUT = 0.3  # share of pooled features dropped in training


# Flags of processors that compute in bfloat16 (Linux, /proc/cpuinfo); others would emulate it, slowly.
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


class WeightsError(ValueError):
    """The weights to start from cannot be had; the message says why."""


def fastest_precision() -> str:
    """The dtype policy to train in: bfloat16 between the weights on a GPU or a processor that computes in it."""
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text().split() if processor.is_file() else []
    devices = keras.distribution.list_devices() if keras.backend.backend() in ("jax", "tensorflow") else []
    has_gpu = any(device.startswith("gpu") for device in devices)
    return "mixed_bfloat16" if has_gpu or any(flag in flags for flag in _BFLOAT16_FLAGS) else "float32"


def inception(weights: str | None) -> keras.Model:
    """InceptionV3 (Szegedy et al. 2015, arXiv:1512.00567) without its top, for pictures of any size.

    :param weights: ``"imagenet"``, None for a random start, or the path of a weights file.
    :raises WeightsError: they cannot be had.
    """
    try:
        return keras.applications.InceptionV3(weights=weights, include_top=False, input_shape=(None, None, 3))
    # Keras raises a plain Exception for a failed download, and whatever h5py does for a bad file.
    except Exception as error:
        raise WeightsError(f"The weights {weights} cannot be loaded: {error}") from error


def classification_head(classes: int) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """Global average pooling, dropout and softmax; every call shares the same weights."""
    layers = [
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dropout(DROPOUT, name="dropout"),
        # In float32 under any policy: the loss takes the logarithm of what comes out.
        keras.layers.Dense(classes, activation="softmax", dtype="float32", name="species"),
    ]

    def head(features: keras.KerasTensor) -> keras.KerasTensor:
        for layer in layers:
            features = layer(features)
        return features

    return head


def whole_network(base: keras.Model, head: Callable, size: int | None, *, normalise: bool = False) -> keras.Model:
    """Pictures in, probabilities out.

    :param base: what ``inception`` made.
    :param head: what ``classification_head`` made.
    :param size: width and height of a picture in pixels; None for any.
    :param normalise: let BatchNormalization learn in training. A network that starts random needs it; one that
        was trained before keeps what it knows of the pictures' statistics.
    :return: ``float32[n, size, size, 3]``, RGB in [0, 1] -> ``float32[n, classes]``.
    """
    pictures = keras.Input((size, size, 3), name="rgb")
    scaled = keras.layers.Rescaling(2.0, offset=-1.0)(pictures)  # InceptionV3 was trained on [-1, 1]
    return keras.Model(pictures, head(base(scaled, training=None if normalise else False)))


def divide_logits(network: keras.Model, temperature: float) -> None:
    """Build a temperature into the last layer: its answers stay, its confidence changes."""
    last = network.layers[-1]
    last.set_weights([weights / temperature for weights in last.get_weights()])


def save_pair(network: keras.Model, class_indices: dict[str, int], model: Path, labels: Path) -> None:
    """Write the network (kernels as float16, half the size) and ``{label: index}``."""
    full, half = model.with_suffix(".full.h5"), model.with_suffix(".half.h5")
    network.save(full)
    _halve_kernels(full, half)
    full.unlink()
    new_labels = labels.with_suffix(".new.npy")
    np.save(new_labels, class_indices)
    half.replace(model)  # whoever reads the pair now meets whole files
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
