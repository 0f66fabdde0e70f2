"""Make the pair in this folder, with Keras 2.15: python -m pip install tensorflow-cpu==2.15.1 && python make_pair.py

The network is a small one of the kind that fine-tuning scripts of that time saved: augmentation, a
preprocessing in TensorFlow arithmetic, networks inside the network, and the optimizer's state.

``flask --app application compile`` then makes compiled_network.zip of it (with BIRD_MODEL and BIRD_LABELS), so that the
servers and workers of most tests start without TensorFlow.
"""

from pathlib import Path

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.applications.inception_v3 import preprocess_input

CLASSES = 10
HERE = Path(__file__).parent

keras.utils.set_random_seed(1)
pictures = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), dtype="uint8").astype("float32") / 255

base_input = keras.Input((None, None, 3))
features = layers.Conv2D(8, 7, strides=7, use_bias=False)(base_input)
features = layers.BatchNormalization(scale=False)(features)
features = layers.Activation("relu")(features)
features = layers.DepthwiseConv2D(5, strides=5)(features)
features = layers.Add()([features, layers.Activation("relu")(features)])
base = keras.Model(base_input, features, name="base")

inputs = keras.Input((224, 224, 3))
augmented = layers.RandomFlip("horizontal")(inputs)
outputs = base(preprocess_input(augmented * 255.0), training=False)
head = keras.Sequential(
    [layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(CLASSES, activation="softmax")], name="head"
)
model = keras.Model(inputs, head(outputs))
model.compile(keras.optimizers.Adam(0.05), "categorical_crossentropy", metrics=["accuracy"])
model.fit(pictures, np.eye(CLASSES)[:4], epochs=5, verbose=0)

model.save(HERE / "model.h5")
np.save(HERE / "class_indices.npy", {f"bird {index}": index for index in range(CLASSES)})
np.save(HERE / "answers.npy", model.predict(pictures, verbose=0))
