"""What a training from an earlier model pair begins with: its backbone, and what its head knows of labels that stay."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt

from inference import LABELS_FILE
from inference.errors import PairError
from inference.pair import check_pair

from .data import Split
from .network import WeightsError, inception

LAST_OF_BACKBONE = "mixed10"  # Keras's name of the last layer of InceptionV3 before its pooling


@dataclass(frozen=True)
class Start:
    """An earlier model pair, to go on from.

    :param base: its InceptionV3 without its top, for images of any size.
    :param labels: of the species that it knows, in the order of its outputs.
    :param kernel: of its last layer, ``float32[features, labels]``.
    :param bias: likewise, ``float32[labels]``.
    """

    base: keras.Model
    labels: tuple[str, ...]
    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def knows_all(self, class_indices: dict[str, int]) -> bool:
        """Whether there is nothing new among these labels."""
        return set(class_indices) <= set(self.labels)

    def known(self, split: Split, class_indices: dict[str, int]) -> Split:
        """The photos of a split whose labels it knows."""
        of_known = np.isin(split.targets, [class_indices[label] for label in self.labels if label in class_indices])
        return Split(
            [path for path, known in zip(split.paths, of_known, strict=True) if known], split.targets[of_known]
        )

    def fill_head(self, network: keras.Model, class_indices: dict[str, int]) -> None:
        """Give the last layer of a network what this one knows of the labels that both have."""
        kernel, bias = (np.array(weights) for weights in network.layers[-1].get_weights())
        for number, label in enumerate(self.labels):
            if label in class_indices:
                kernel[:, class_indices[label]] = self.kernel[:, number]
                bias[class_indices[label]] = self.bias[number]
        network.layers[-1].set_weights([kernel, bias])


def is_model(weights: str) -> bool:
    """Whether a file holds a whole network, not only the weights of one."""
    try:
        with h5py.File(weights) as file:
            return "model_config" in file.attrs
    except OSError:
        return False


def read_start(model_file: Path) -> Start:
    """Read a model pair whose network is an InceptionV3 with one dense layer behind its pooling.

    :param model_file: its ``.h5``; the labels lie beside it.
    :raises WeightsError: there is no such pair.
    """
    # It imports TensorFlow; a training from other weights works with any backend of Keras.
    from inference.keras_files.network import load_network

    try:
        pair = check_pair(model_file, model_file.parent / LABELS_FILE)
        network = load_network(model_file)
    except PairError as error:
        raise WeightsError(str(error)) from error
    base = inception(None)
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    weights = _backbone_weights(network)
    shapes = [each.shape for each in weights]
    if shapes != [each.shape for each in base.get_weights()] or len(dense) != 1 or not dense[0].use_bias:
        raise WeightsError(
            f"{model_file} is not an InceptionV3 with global pooling and one dense layer, as this training makes them. "
            "Start from imagenet, or from the weights of an InceptionV3(include_top=False)."
        )
    base.set_weights(weights)
    return Start(base, pair.labels, *dense[0].get_weights())


def _backbone_weights(network: keras.Model) -> list[npt.NDArray[Any]]:
    """The weights up to ``LAST_OF_BACKBONE``, whether those layers are a model in the network or its own."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            return list(layer.get_weights())
    names = [layer.name for layer in network.layers]
    end = names.index(LAST_OF_BACKBONE) + 1 if LAST_OF_BACKBONE in names else 0
    return [weights for layer in network.layers[:end] for weights in layer.get_weights()]
