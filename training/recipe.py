"""The recipe: two stages of fine-tuning, with a checkpoint after each epoch from which a killed training continues."""

import math
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from inference import IMAGE_SIZE

from .batches import AUGMENTATION, OTHERS, Batches
from .callbacks import BestCheckpoint, ProgressBar
from .checkpoint import Checkpoint, State
from .data import Split
from .evaluation import fit_temperature
from .network import divide_logits
from .stages import Stage

# Each of these was chosen by the comparison in training/README.md.
SIZES = (128, 160, 192, IMAGE_SIZE)  # pixels; the second stage grows through them
BATCH_SIZE = 32  # photos a step
LABEL_SMOOTHING = 0.1
WEIGHT_DECAY = 0.02  # AdamW
WARM_UP = 0.1  # share of a stage's steps in which the learning rate rises
CLASS_WEIGHT = 0.5  # exponent of a label's rarity: 0 weights all photos equally, 1 all labels
AVERAGED_EPOCHS = 1.0  # the weights that are evaluated and saved are a running mean over about this many
PATIENCE = 6  # epochs without a better score on validation before a stage ends

HEAD_EPOCHS = 3
HEAD_SIZE = 160  # pixels
HEAD_LEARNING_RATE = 1e-3

FINE_TUNING_EPOCHS = 16
FINE_TUNING_LEARNING_RATE = 2e-4  # 3e-4 on every layer at once destroyed what ImageNet had taught
SCRATCH_LEARNING_RATE = 1e-3  # there is nothing to destroy
FURTHER_EPOCHS = 3  # of a training that goes on from an earlier model pair
FURTHER_LEARNING_RATE = 1e-4

# ImageNet's edges and textures serve birds as they are: freezing the layers up to this one makes a step 1.6 times as
# fast on a CPU.
FROZEN_IN_FINE_TUNING = "mixed2"


def stages(weights: str, epochs: int) -> list[Stage]:
    """The stages of the recipe, in order.

    :param weights: ``"imagenet"``, ``"none"`` for a random start, or the path of a weights file.
    :param epochs: of the last stage.
    """
    growing = tuple(SIZES[math.ceil(len(SIZES) * epoch / epochs) - 1] for epoch in range(1, epochs + 1))
    if weights == "none":
        return [Stage("everything from scratch", None, growing, SCRATCH_LEARNING_RATE)]
    # In a weights file the last modules may be missing (then they start random) or made for another kind of pooling,
    # so they are trained with the head.
    frozen_through = "mixed10" if weights == "imagenet" else "mixed8"
    return [
        Stage("the head", frozen_through, (HEAD_SIZE,) * HEAD_EPOCHS, HEAD_LEARNING_RATE),
        Stage("fine-tuning", FROZEN_IN_FINE_TUNING, growing, FINE_TUNING_LEARNING_RATE),
    ]


def further_stages(epochs: int, *, new_labels: bool) -> list[Stage]:
    """The stages of a training that goes on from an earlier model pair.

    :param epochs: of the last stage.
    :param new_labels: whether there are labels that the pair does not know. The head then learns first.
    """
    head = Stage("the head", "mixed10", (HEAD_SIZE,) * HEAD_EPOCHS, HEAD_LEARNING_RATE)
    fine_tuning = Stage("fine-tuning", FROZEN_IN_FINE_TUNING, (IMAGE_SIZE,) * epochs, FURTHER_LEARNING_RATE)
    return [head, fine_tuning] if new_labels else [fine_tuning]


def described() -> dict[str, object]:
    """The numbers of the recipe, for the model card and the fingerprint of a checkpoint."""
    return {
        "head_epochs": HEAD_EPOCHS,
        "head_size": HEAD_SIZE,
        "head_learning_rate": HEAD_LEARNING_RATE,
        "sizes": SIZES,
        "learning_rate": FINE_TUNING_LEARNING_RATE,
        "learning_rate_from_scratch": SCRATCH_LEARNING_RATE,
        "learning_rate_from_pair": FURTHER_LEARNING_RATE,
        "others": OTHERS,
        "frozen_in_fine_tuning": FROZEN_IN_FINE_TUNING,
        "batch_size": BATCH_SIZE,
        "label_smoothing": LABEL_SMOOTHING,
        "weight_decay": WEIGHT_DECAY,
        "warm_up": WARM_UP,
        "class_weight": CLASS_WEIGHT,
        "averaged_epochs": AVERAGED_EPOCHS,
        "patience": PATIENCE,
        "augmentation": AUGMENTATION,
    }


def train(
    network: keras.Model,
    base: keras.Model,
    plan: list[Stage],
    splits: dict[str, Split],
    state: State,
    checkpoint: Checkpoint,
    others: Sequence[Path] = (),
) -> None:
    """Train from ``state`` to the end of the last stage; the best weights so far are in ``state`` at any time.

    :param network: images of any size in, probabilities out.
    :param base: the InceptionV3 in it.
    :param others: pictures of none of the labels to learn from.
    :raises BrokenOffError: it cannot go on.
    """
    steps = max(1, len(splits["train"].paths) // BATCH_SIZE)  # in an epoch
    resuming = bool(state.history)
    with ProgressBar(plan, state, steps) as progress:
        for number, stage in enumerate(plan[state.stage :], start=state.stage):
            if number > state.stage:
                network.set_weights(state.best_weights)
                state.stage, state.epoch, resuming = number, 0, False
            freeze_through(base, stage.frozen_through)
            compile_network(network, stage.learning_rate, steps, stage.epochs)
            if resuming:
                checkpoint.restore(network)
            else:
                checkpoint.save(state, network)
            before = sum(earlier.epochs for earlier in plan[:number])
            for size, end in stage.size_ends():
                if state.epoch < end and not ended_early(state):
                    fit(network, size, end, before, splits, state, checkpoint, progress, others)
                    # Keras has left the averaged weights in the network; training goes on from the plain ones.
                    checkpoint.restore(network)


def fit(
    network: keras.Model,
    size: int,
    end: int,
    before: int,
    splits: dict[str, Split],
    state: State,
    checkpoint: Checkpoint,
    progress: ProgressBar,
    others: Sequence[Path],
) -> None:
    """Train on images of one size.

    :param size: width and height in pixels.
    :param end: number of epochs of the stage after which this size ends.
    :param before: epochs of earlier stages.
    """
    classes = network.output_shape[-1]
    batches = Batches(
        splits["train"],
        classes,
        size,
        batch_size=BATCH_SIZE,
        augmented=True,
        weights=class_weights(splits["train"], classes),
        others=others,
        epoch=before + state.epoch,
    )
    validation = Batches(splits["validation"], classes, IMAGE_SIZE, batch_size=BATCH_SIZE, augmented=False)
    try:
        network.fit(
            batches,
            validation_data=validation,
            initial_epoch=state.epoch,
            epochs=end,
            callbacks=[BestCheckpoint(state, checkpoint, PATIENCE), keras.callbacks.SwapEMAWeights(), progress],
            shuffle=False,  # Batches does it; Keras would shuffle them once more, differently after a kill
            verbose=0,
        )
    except Exception as error:
        raise (batches.failure or validation.failure or error) from error


def probabilities(network: keras.Model, split: Split) -> npt.NDArray[np.float32]:
    """A network's answers for photos as the app prepares them: ``float32[photos, classes]``."""
    batches = Batches(split, network.output_shape[-1], IMAGE_SIZE, batch_size=BATCH_SIZE, augmented=False)
    with tqdm(desc="evaluating", total=len(batches), unit="batch", disable=None) as bar:
        advance = keras.callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: bar.update())
        return np.asarray(network.predict(batches, callbacks=[advance], verbose=0))


def undo_calibration(network: keras.Model, validation: Split) -> None:
    """Give the head of an earlier pair the temperature that suits the loss of training.

    The temperature that is built into a pair is far from it: smoothed labels ask for less confidence than the truth
    does. The first steps would spoil the features instead of cooling the logits.
    """
    if validation.paths:
        temperature = fit_temperature(probabilities(network, validation), validation.targets, LABEL_SMOOTHING)
        divide_logits(network, temperature)


def freeze_through(base: keras.Model, last: str | None) -> None:
    """Keep the layers of ``base`` up to and including the one named ``last`` from learning."""
    names = [layer.name for layer in base.layers]
    frozen = 0 if last is None else names.index(last) + 1
    for number, layer in enumerate(base.layers):
        layer.trainable = number >= frozen


def ended_early(state: State) -> bool:
    """Whether the score on validation has not improved for ``PATIENCE`` epochs of this stage."""
    return state.epochs_without_improvement() >= PATIENCE


def class_weights(train: Split, classes: int) -> npt.NDArray[np.float32]:
    """Weight of each label in the loss: 1 on average over the photos, more for a rare label; ``float32[classes]``."""
    counts = np.bincount(train.targets, minlength=classes)
    weights = (counts.mean() / np.maximum(counts, 1)) ** CLASS_WEIGHT
    weights *= counts.sum() / (weights * counts).sum()
    return np.asarray(weights, dtype="float32")


def compile_network(network: keras.Model, learning_rate: float, batches: int, epochs: int) -> None:
    """Make the network ready to ``fit``: AdamW with cosine decay after a warm-up (Loshchilov & Hutter,
    arXiv:1608.03983, 1711.05101)."""
    steps = batches * epochs
    warm_up = int(WARM_UP * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 100, steps - warm_up, warmup_target=learning_rate, warmup_steps=warm_up
    )
    momentum = 1 - 1 / (1 + AVERAGED_EPOCHS * batches)
    network.compile(
        keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, use_ema=True, ema_momentum=momentum),
        keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=[keras.metrics.CategoricalAccuracy(name="top1")],
    )
    network.optimizer.build(network.trainable_variables)
