"""The recipe: two stages of fine-tuning, epoch by epoch, so that a killed one goes on where it was."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import keras
import numpy as np
from tqdm import tqdm

from inference import IMAGE_SIZE

from .batches import AUGMENTATION, Batches
from .checkpoint import Best, Checkpoint, State
from .data import SEED, Split

log = logging.getLogger(__name__)

# Each of these was chosen by the comparison in training/README.md.
SIZES = (128, 160, 192, IMAGE_SIZE)  # pixels; the second stage grows through them
BATCH_SIZE = 32  # pictures a step
LABEL_SMOOTHING = 0.1
WEIGHT_DECAY = 0.02  # AdamW
WARM_UP = 0.1  # share of a stage's steps in which the learning rate rises
CLASS_WEIGHT = 0.5  # power of how much rarer than the mean a label is; 0 counts each picture alike, 1 each label
AVERAGED_EPOCHS = 1.0  # the weights that are judged and saved are a running mean over about so many
PATIENCE = 6  # epochs without a better score on validation before a stage ends

HEAD_EPOCHS = 3
HEAD_SIZE = 160  # pixels
HEAD_LEARNING_RATE = 1e-3

FINE_TUNING_EPOCHS = 16
FINE_TUNING_LEARNING_RATE = 2e-4  # 3e-4 on every layer at once destroyed what ImageNet had taught
SCRATCH_LEARNING_RATE = 1e-3  # nothing to destroy

# ImageNet's edges and textures serve birds as they are: leaving the layers up to this one alone
# makes a step 1.6 times as fast on a CPU.
FROZEN_IN_FINE_TUNING = "mixed2"


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    :param name: for people.
    :param frozen_through: layers of InceptionV3 up to this one stay as they are; None: all learn.
    :param sizes: pixels of the pictures' sides, for each epoch.
    :param learning_rate: at its peak.
    """

    name: str
    frozen_through: str | None
    sizes: tuple[int, ...]
    learning_rate: float

    @property
    def epochs(self) -> int:
        """Passes over the pictures."""
        return len(self.sizes)


def stages(weights: str, epochs: int) -> list[Stage]:
    """What is trained when.

    :param weights: ``"imagenet"``, ``"none"`` for a random start, or the path of a weights file.
    :param epochs: of the last stage.
    """
    growing = tuple(SIZES[math.ceil(len(SIZES) * epoch / epochs) - 1] for epoch in range(1, epochs + 1))
    if weights == "none":
        return [Stage("everything from scratch", None, growing, SCRATCH_LEARNING_RATE)]
    # A weights file may lack the last modules (they then start random) or carry another network's
    # pooling there, so they are trained with the head.
    frozen_through = "mixed10" if weights == "imagenet" else "mixed8"
    return [
        Stage("the head", frozen_through, (HEAD_SIZE,) * HEAD_EPOCHS, HEAD_LEARNING_RATE),
        Stage("fine-tuning", FROZEN_IN_FINE_TUNING, growing, FINE_TUNING_LEARNING_RATE),
    ]


def described() -> dict[str, object]:
    """The numbers of the recipe, for the model card."""
    return {
        "head_epochs": HEAD_EPOCHS,
        "head_size": HEAD_SIZE,
        "head_learning_rate": HEAD_LEARNING_RATE,
        "sizes": SIZES,
        "learning_rate": FINE_TUNING_LEARNING_RATE,
        "learning_rate_from_scratch": SCRATCH_LEARNING_RATE,
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
) -> None:
    """Go through the stages, from where ``state`` is to the end; the best weights are in it at any time.

    :param network: pictures of any size in, probabilities out.
    :param base: the InceptionV3 in it.
    """
    steps = max(1, len(splits["train"].paths) // BATCH_SIZE)  # in an epoch
    going_on = bool(state.history)
    with ProgressBar(plan, state, steps) as progress:
        for number, stage in enumerate(plan[state.stage :], start=state.stage):
            if number > state.stage:
                network.set_weights(state.best_weights)
                state.stage, state.epoch, going_on = number, 0, False
            freeze_through(base, stage.frozen_through)
            compile_network(network, stage.learning_rate, steps, stage.epochs)
            if going_on:
                checkpoint.restore(network)
            else:
                checkpoint.save(state, network)
            before = sum(earlier.epochs for earlier in plan[:number])
            for size, end in ends_of_sizes(stage):
                if state.epoch < end and not ended_early(state):
                    fit(network, size, end, before, splits, state, checkpoint, progress)
                    checkpoint.restore(network)  # Keras ends with the averaged weights; a kill would not have


def fit(
    network: keras.Model,
    size: int,
    end: int,
    before: int,
    splits: dict[str, Split],
    state: State,
    checkpoint: Checkpoint,
    progress: "ProgressBar",
) -> None:
    """Train on pictures of one size.

    :param size: in pixels.
    :param end: the epoch of the stage at which the turn of this size ends.
    :param before: epochs of earlier stages.
    """
    classes = network.output_shape[-1]
    network.fit(
        Batches(splits["train"], classes, size, batch_size=BATCH_SIZE, augmented=True, epoch=before + state.epoch),
        validation_data=Batches(splits["validation"], classes, IMAGE_SIZE, batch_size=BATCH_SIZE, augmented=False),
        class_weight=class_weights(splits["train"], classes),
        initial_epoch=state.epoch,
        epochs=end,
        callbacks=[Keeper(state, checkpoint), keras.callbacks.SwapEMAWeights(), progress],
        shuffle=False,  # Batches does it; Keras would shuffle them once more, differently after a kill
        verbose=0,
    )


def probabilities(network: keras.Model, split: Split) -> np.ndarray:
    """What a network says of pictures as the app prepares them: ``float32[pictures, classes]``."""
    batches = Batches(split, network.output_shape[-1], IMAGE_SIZE, batch_size=BATCH_SIZE, augmented=False)
    with tqdm(desc="judging", total=len(batches), unit="batch", disable=None) as bar:
        moving = keras.callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: bar.update())
        return network.predict(batches, callbacks=[moving], verbose=0)


def freeze_through(base: keras.Model, last: str | None) -> None:
    """Leave the layers of ``base`` up to and with the one named ``last`` as they are in training."""
    names = [layer.name for layer in base.layers]
    frozen = 0 if last is None else names.index(last) + 1
    for number, layer in enumerate(base.layers):
        layer.trainable = number >= frozen


def ends_of_sizes(stage: Stage) -> Iterator[tuple[int, int]]:
    """Each size of pictures, and the epoch of the stage at which its turn ends."""
    end = 0
    for size, epochs in groupby(stage.sizes):
        end += len(list(epochs))
        yield size, end


def ended_early(state: State) -> bool:
    """Whether validation has not become better for ``PATIENCE`` epochs of this stage."""
    scores = [(row["val_top1"], -row["val_loss"]) for row in state.history if row["stage"] == state.stage]
    return bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= PATIENCE


def class_weights(train: Split, classes: int) -> dict[int, float]:
    """Weight of each label in the loss: 1 on average over the pictures, more for a rare label."""
    counts = np.bincount(train.targets, minlength=classes)
    weights = (counts.mean() / np.maximum(counts, 1)) ** CLASS_WEIGHT
    weights *= counts.sum() / (weights * counts).sum()
    return dict(enumerate(weights.tolist()))


def compile_network(network: keras.Model, learning_rate: float, batches: int, epochs: int) -> None:
    """Ready to ``fit``: AdamW with cosine decay after a warm-up (Loshchilov & Hutter, arXiv:1608.03983, 1711.05101)."""
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


class Keeper(keras.callbacks.Callback):
    """Keeps the best weights, and writes a checkpoint at the end of each epoch.

    It comes before ``SwapEMAWeights`` in the list of callbacks: when a test ends, the averaged weights are
    still in the network.
    """

    def __init__(self, state: State, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.state, self.checkpoint = state, checkpoint

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        # PyTorch's dropout draws from a generator of its own, which no checkpoint holds.
        keras.utils.set_random_seed(SEED + len(self.state.history))

    def on_test_end(self, logs: dict[str, float]) -> None:
        judged = Best(self.state.stage, self.state.epoch + 1, float(logs["top1"]), float(logs["loss"]))
        if judged.beats(self.state.best):
            self.state.best, self.state.best_weights = judged, self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.state.epoch = epoch + 1
        measured = {name: float(value) for name, value in logs.items()}
        self.state.history.append({"stage": self.state.stage, "epoch": epoch + 1} | measured)
        self.checkpoint.save(self.state, self.model)
        self.model.stop_training = ended_early(self.state)


class ProgressBar(keras.callbacks.Callback):
    """One bar over all stages, with the time left; an epoch counts by its pixels.

    :param steps: in an epoch.
    """

    def __init__(self, plan: list[Stage], state: State, steps: int) -> None:
        super().__init__()
        self.plan, self.state = plan, state
        self._pixels = [size**2 for stage in plan for size in stage.sizes for _ in range(steps)]
        self._steps = steps
        self._bar = tqdm(
            total=sum(self._pixels),
            initial=sum(self._pixels[: self._steps_before(state.epoch)]),
            smoothing=0,  # or each validation would look like a slow step
            bar_format="{desc}{percentage:5.1f} % |{bar}| {elapsed}, {remaining} left",
            disable=None,
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _steps_before(self, epoch: int) -> int:
        """Steps of the plan before an epoch of the current stage."""
        return self._steps * (sum(stage.epochs for stage in self.plan[: self.state.stage]) + epoch)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._place = self._steps_before(epoch)
        self._bar.update(sum(self._pixels[: self._place]) - self._bar.n)  # an earlier stage may have ended early

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._bar.update(self._pixels[self._place + batch])

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        stage = self.plan[self.state.stage]
        with tqdm.external_write_mode():
            log.info(
                "%s, epoch %d of %d, %d px: loss %.3f, validation loss %.3f, validation top-1 %.2f %%",
                stage.name, epoch + 1, stage.epochs, stage.sizes[epoch],
                logs["loss"], logs["val_loss"], 100 * logs["val_top1"],
            )  # fmt: skip
