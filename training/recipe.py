"""The two stages of fine-tuning."""

import logging
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from inference.photo import IMAGE_SIZE

from .data import Batches, Split, one_hot

log = logging.getLogger(__name__)

TRAIN_SIZE = 160  # pixels; a crop enlarges the bird, so that it is as large as at 224 in the whole picture
BATCH_SIZE = 32  # pictures a step
LABEL_SMOOTHING = 0.1
WEIGHT_DECAY = 0.02  # AdamW

HEAD_EPOCHS = 6
HEAD_BATCH_SIZE = 64
HEAD_LEARNING_RATE = 1e-3

FINE_TUNING_EPOCHS = 6
FINE_TUNING_LEARNING_RATE = 2e-4  # 3e-4 on every layer at once destroyed what ImageNet had taught
SCRATCH_LEARNING_RATE = 1e-3  # nothing to destroy
WARM_UP = 0.1  # share of a stage's steps in which the learning rate rises

# ImageNet's edges and textures serve birds as they are: leaving the layers up to this one alone
# makes a step 1.7 times as fast on a CPU (18.0 against 10.8 pictures/s at 160 px, two AMD cores).
FROZEN_IN_FINE_TUNING = "mixed2"


def train_head(base: keras.Model, head: Callable, frozen_through: str, train: Split, validation: Split) -> None:
    """Stage one: the head, and the layers of ``base`` after ``frozen_through``, with the rest frozen.

    What the frozen layers say of each picture is computed once and kept in memory.
    """
    frozen = keras.Model(base.input, base.get_layer(frozen_through).output)
    scaled = keras.Input((None, None, 3))
    extractor = keras.Model(scaled, frozen(keras.layers.Rescaling(2.0, offset=-1.0)(scaled)))
    classes = int(train.targets.max()) + 1
    log.info("Stage one: computing the features of %d pictures", len(train.paths) + len(validation.paths))
    features, validation_features = (
        extractor.predict(Batches(split, classes, TRAIN_SIZE, batch_size=BATCH_SIZE, augmented=False))
        for split in (train, validation)
    )

    inputs = keras.Input(features.shape[1:])
    rest = keras.Model(frozen.output, base.output)
    stage = keras.Model(inputs, head(rest(inputs, training=False)))
    log.info("Stage one: training the head on them")
    steps = -(-len(features) // HEAD_BATCH_SIZE) * HEAD_EPOCHS
    _compile(stage, HEAD_LEARNING_RATE, steps)
    stage.fit(
        features,
        one_hot(train.targets, classes),
        batch_size=HEAD_BATCH_SIZE,
        epochs=HEAD_EPOCHS,
        validation_data=(validation_features, one_hot(validation.targets, classes)),
    )


def fine_tune(
    network: keras.Model,
    learning_rate: float,
    train: Split,
    validation: Split,
    checkpoint: Path,
    epochs: int,
) -> None:
    """Stage two: every trainable layer on augmented pictures; ends with the best epoch's weights.

    :param network: takes pictures of any size. It is trained at ``TRAIN_SIZE`` and judged at ``IMAGE_SIZE``.
    :param checkpoint: weights file that holds the best epoch so far; removed at the end.
    """
    classes = network.output_shape[-1]
    batches = Batches(train, classes, TRAIN_SIZE, batch_size=BATCH_SIZE, augmented=True)
    judged = Batches(validation, classes, IMAGE_SIZE, batch_size=BATCH_SIZE, augmented=False)
    _compile(network, learning_rate, len(batches) * epochs)
    log.info("Stage two: fine-tuning")
    best = keras.callbacks.ModelCheckpoint(
        checkpoint, "val_top1", mode="max", save_best_only=True, save_weights_only=True
    )
    network.fit(batches, epochs=epochs, validation_data=judged, callbacks=[best])
    network.load_weights(checkpoint)
    checkpoint.unlink()


def accuracy(network: keras.Model, split: Split) -> tuple[float, float]:
    """Top-1 and top-5 accuracy, 0 to 1, on pictures as the app prepares them."""
    batches = Batches(split, network.output_shape[-1], IMAGE_SIZE, batch_size=BATCH_SIZE, augmented=False)
    best_five = np.argsort(network.predict(batches), axis=1)[:, :-6:-1]
    hits = best_five == split.targets[:, None]
    return float(hits[:, 0].mean()), float(hits.any(axis=1).mean())


def _compile(network: keras.Model, learning_rate: float, steps: int) -> None:
    warm_up = int(WARM_UP * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 100, steps - warm_up, warmup_target=learning_rate, warmup_steps=warm_up
    )
    network.compile(
        keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY),
        keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=[keras.metrics.CategoricalAccuracy(name="top1")],
        # Keras leaves XLA off on a CPU, where it makes a step 1.2 (whole network) to 2 times (head) as fast.
        jit_compile=True if keras.backend.backend() == "tensorflow" else "auto",
    )
