"""Writes archive.keras and archive_answers.npy. Run it with TensorFlow 2.15.1; the app never does.

    python -m venv /tmp/keras2 && /tmp/keras2/bin/pip install tensorflow-cpu==2.15.1
    /tmp/keras2/bin/python make_archive.py

The network's layers are several of one class, one inside another model, and one of a class that Keras 3 no longer has.
"""

from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).parent
layers = keras.layers

keras.utils.set_random_seed(3)
scales = keras.initializers.RandomUniform(0.5, 2)
image = keras.Input((224, 224, 3))
x = layers.Conv2D(4, 8, strides=16)(image / 0.5)
x = layers.BatchNormalization(gamma_initializer=scales)(x)
x = layers.experimental.SyncBatchNormalization(gamma_initializer=scales)(x)
x = layers.BatchNormalization(gamma_initializer=scales, beta_initializer=scales)(x)
x = keras.Sequential([layers.Conv2D(4, 3, activation="relu")], name="body")(x)
x = layers.Add()([layers.Conv2D(4, 1)(x), layers.Conv2D(4, 1, activation="relu")(x)])
x = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
model = keras.Model(image, x)
model.save(HERE / "archive.keras")
pixels = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), dtype="uint8")
np.save(HERE / "archive_answers.npy", model.predict(pixels / np.float32(255), verbose=0))
