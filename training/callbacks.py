"""What happens at the end of each epoch: the best weights and a checkpoint are kept, and progress is shown."""

import logging
import math

import keras
from tqdm import tqdm

from .checkpoint import BestEpoch, Checkpoint, State
from .data import SEED
from .faults import BrokenOffError
from .stages import Stage

log = logging.getLogger(__name__)


class BestCheckpoint(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type annotations
    """Keeps the best weights, and writes a checkpoint at the end of each epoch.

    It must come before ``SwapEMAWeights`` in the list of callbacks: when a test ends, the averaged weights are
    then still in the network.

    :param patience: epochs without a better score after which the stage ends.
    """

    def __init__(self, state: State, checkpoint: Checkpoint, patience: int) -> None:
        super().__init__()
        self.state, self.checkpoint, self.patience = state, checkpoint, patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Seed the random numbers of the epoch, so that they are the same after a kill."""
        # PyTorch's dropout draws from a generator of its own, which no checkpoint holds.
        keras.utils.set_random_seed(SEED + len(self.state.history))

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Stop a training that has diverged, before more of the epoch is lost.

        :raises BrokenOffError: it has.
        """
        check_loss(logs["loss"])

    def on_test_end(self, logs: dict[str, float]) -> None:
        """Keep the weights that were just evaluated, if they are the best.

        :raises BrokenOffError: they are good for nothing.
        """
        check_loss(logs["loss"])
        epoch = BestEpoch(self.state.stage, self.state.epoch + 1, float(logs["top1"]), float(logs["loss"]))
        if epoch.beats(self.state.best):
            self.state.best, self.state.best_weights = epoch, self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the checkpoint, and end the stage early if it no longer improves."""
        self.state.epoch = epoch + 1
        measured = {name: float(value) for name, value in logs.items()}
        self.state.history.append({"stage": self.state.stage, "epoch": epoch + 1} | measured)
        self.checkpoint.save(self.state, self.model)
        self.model.stop_training = self.state.epochs_without_improvement() >= self.patience


def check_loss(loss: float) -> None:
    """:raises BrokenOffError: the training has diverged."""
    if not math.isfinite(loss):
        raise BrokenOffError("the loss is no longer a number. The learning rate may be too high for these photos")


class ProgressBar(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type annotations
    """One bar over all stages, with the time left, and a line for each epoch. A step counts by its pixels.

    :param steps: in an epoch.
    """

    def __init__(self, plan: list[Stage], state: State, steps: int) -> None:
        super().__init__()
        self.plan, self.state = plan, state
        self._pixels = [size**2 for stage in plan for size in stage.sizes for _ in range(steps)]
        self._steps = steps
        self._first_step = 0  # of the current epoch, counted over all stages
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
        """Move the bar to the beginning of the epoch: an earlier stage may have ended early."""
        self._first_step = self._steps_before(epoch)
        self._bar.update(sum(self._pixels[: self._first_step]) - self._bar.n)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar by one step."""
        self._bar.update(self._pixels[self._first_step + batch])

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Log what the epoch measured."""
        stage = self.plan[self.state.stage]
        with tqdm.external_write_mode():
            log.info(
                "%s, epoch %d of %d, %d px: loss %.3f, validation loss %.3f, validation top-1 %.2f %%",
                stage.name, epoch + 1, stage.epochs, stage.sizes[epoch],
                logs["loss"], logs["val_loss"], 100 * logs["val_top1"],
            )  # fmt: skip
