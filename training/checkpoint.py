"""The state of a training in one file, from which it continues after a kill."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy.typing as npt


@dataclass
class BestEpoch:
    """The epoch after which the network was best so far.

    :param stage: number of its stage, from 0.
    :param epoch: number of the epoch in that stage, from 1.
    :param top1: accuracy on validation, 0 to 1.
    :param loss: loss on validation, which decides between equal accuracies.
    """

    stage: int
    epoch: int
    top1: float
    loss: float

    def beats(self, other: "BestEpoch | None") -> bool:
        """Whether this epoch scores better than another, or there is no other."""
        return other is None or (self.top1, -self.loss) > (other.top1, -other.loss)


@dataclass
class State:
    """The state of a training at the end of an epoch.

    :param stage: number of the stage, from 0.
    :param epoch: epochs of this stage that are done.
    :param history: what each epoch of every stage measured.
    :param best: the best epoch so far, and the network's ``best_weights`` after it.
    """

    stage: int = 0
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: BestEpoch | None = None
    best_weights: list[npt.NDArray[Any]] = field(default_factory=list)

    def epochs_without_improvement(self) -> int:
        """Epochs of the current stage since the one with its best score on validation."""
        scores = [(row["val_top1"], -row["val_loss"]) for row in self.history if row["stage"] == self.stage]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0


_BROKEN = (OSError, KeyError, ValueError, RuntimeError)  # what h5py raises for a damaged file


class CheckpointError(ValueError):
    """The checkpoint cannot be used; the message says why and what to do."""


class Checkpoint:
    """One file with the state, the network, its optimizer and the best weights.

    :param path: the file. It is replaced as a whole: a complete one is there whenever the process is killed.
    :param fingerprint: of the photos and the recipe; a checkpoint of another training is refused.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def save(self, state: State, network: keras.Model) -> None:
        """Replace the checkpoint by one of this state.

        :param network: compiled, as it is at the end of the epoch.
        """
        new = self.path.with_suffix(".new.h5")
        described = asdict(state) | {"best_weights": None}
        try:
            with h5py.File(new, "w") as file:
                file.attrs["fingerprint"] = self.fingerprint
                file.attrs["state"] = json.dumps(described)
                _write(file, "network", map(keras.ops.convert_to_numpy, network.variables))
                _write(file, "optimizer", map(keras.ops.convert_to_numpy, network.optimizer.variables))
                _write(file, "best", state.best_weights)
            with new.open("rb+") as file:
                os.fsync(file.fileno())
            new.replace(self.path)
        finally:
            new.unlink(missing_ok=True)  # what a full disk left of it

    def read(self) -> State | None:
        """The state; None if there is no checkpoint.

        :raises CheckpointError: the checkpoint belongs to another training, or cannot be read.
        """
        if not self.path.is_file():
            return None
        try:
            with h5py.File(self.path) as file:
                fingerprint, described = file.attrs["fingerprint"], json.loads(file.attrs["state"])
                best_weights = _read(file, "best")
        except _BROKEN as error:
            raise CheckpointError(f"{self.path} cannot be read. Add --fresh to start over.") from error
        if fingerprint != self.fingerprint:
            raise CheckpointError(
                f"{self.path} belongs to a training with other photos or options. "
                "Give those again to continue it, or add --fresh to start over."
            )
        best = described["best"] and BestEpoch(**described["best"])
        return State(**(described | {"best": best, "best_weights": best_weights}))

    def restore(self, network: keras.Model) -> None:
        """Give a compiled network the weights, the random seeds and the optimizer state of the last epoch.

        :raises CheckpointError: they cannot be read.
        """
        try:
            with h5py.File(self.path) as file:
                for name, variables in ("network", network.variables), ("optimizer", network.optimizer.variables):
                    for variable, value in zip(variables, _read(file, name), strict=True):
                        variable.assign(value)
        except _BROKEN as error:
            raise CheckpointError(f"{self.path} cannot be read. Add --fresh to start over.") from error

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


def _write(file: h5py.File, name: str, arrays: Iterable[npt.NDArray[Any]]) -> None:
    group = file.create_group(name)
    for number, array in enumerate(arrays):
        group.create_dataset(f"{number:05d}", data=array)


def _read(file: h5py.File, name: str) -> list[npt.NDArray[Any]]:
    return [file[name][number][()] for number in sorted(file[name])]
