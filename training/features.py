"""Photos as the features of a network that stays as it is."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from inference import IMAGE_SIZE
from inference.errors import PairError
from inference.keras_files.model_file import check_model_file
from inference.perceptual_hash import difference_hash
from inference.photo import open_photo

from .evaluation import Floats
from .network import WeightsError, inception
from .start import is_model

#: Of the layers of an InceptionV3 that was trained on ImageNet, those whose features tell birds apart best. The last
#: ones are too much about ImageNet's own classes.
LAYERS = ("mixed7", "mixed8")
BATCH_SIZE = 32


def feature_extractor(weights: str) -> keras.Model:
    """A network without its last layer.

    :param weights: ``"imagenet"``, a weights file of ``InceptionV3(include_top=False)``, or the ``.h5`` of a pair that
        training saved.
    :return: ``float32[n, 224, 224, 3]``, RGB in [0, 1] -> ``float32[n, features]``.
    :raises WeightsError: it cannot be loaded.
    """
    if is_model(weights):
        # It imports TensorFlow; other weights work with any backend of Keras.
        from inference.keras_files.network import load_network

        try:
            check_model_file(Path(weights))  # nothing in the file is run
            network = load_network(Path(weights))
        except PairError as error:
            raise WeightsError(f"The network cannot be loaded: {error}") from error
        return keras.Model(network.inputs, network.layers[-1].input)
    base = inception(weights)
    pooled = [keras.layers.GlobalAveragePooling2D()(base.get_layer(name).output) for name in LAYERS]
    images = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    scaled = keras.layers.Rescaling(2.0, offset=-1.0)(images)  # InceptionV3 was trained on [-1, 1]
    return keras.Model(images, keras.layers.Concatenate()(keras.Model(base.input, pooled)(scaled)))


def pooled_features(extractor: keras.Model, paths: list[Path]) -> tuple[Floats, list[int]]:
    """The features of each photo, and its perceptual hash.

    :return: ``float64[photos, features]`` and ``photos`` hashes.
    """

    def read(path: Path) -> tuple[npt.NDArray[np.uint8], int]:
        photo = open_photo(path)
        return photo.pixels(), difference_hash(photo.image)

    parts, hashes = [], []
    batches = [paths[start : start + BATCH_SIZE] for start in range(0, len(paths), BATCH_SIZE)]
    with (
        ThreadPoolExecutor(os.cpu_count()) as threads,
        tqdm(desc="looking at the photos", total=len(paths), unit="photo", disable=None) as bar,
    ):
        coming = threads.map(read, batches[0]) if batches else iter(())
        for number, batch in enumerate(batches):
            photos = list(coming)
            if number + 1 < len(batches):  # read while the network works
                coming = threads.map(read, batches[number + 1])
            images = np.stack([pixels for pixels, _ in photos]).astype(np.float32) / np.float32(255)
            parts.append(np.asarray(keras.ops.convert_to_numpy(extractor.predict_on_batch(images)), dtype="float64"))
            hashes += [number for _, number in photos]
            bar.update(len(batch))
    return np.concatenate(parts), hashes
