"""Where a training stands, in one file: after a kill it goes on from there."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import h5py
import keras
import numpy as np


@dataclass
class Best:
    """The best network so far.

    :param stage: number of the stage that it comes from.
    :param epoch: epochs of that stage that it had seen.
    :param top1: its accuracy on validation, 0 to 1.
    :param loss: its loss there, which decides between equals.
    """

    stage: int
    epoch: int
    top1: float
    loss: float

    def beats(self, other: "Best | None") -> bool:
        """Whether it scores better."""
        return other is None or (self.top1, -self.loss) > (other.top1, -other.loss)


@dataclass
class State:
    """Where a training stands at the end of an epoch.

    :param stage: number of the stage.
    :param epoch: epochs of this stage that are done.
    :param history: what each epoch of every stage measured.
    """

    stage: int = 0
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: Best | None = None
    best_weights: list[np.ndarray] = field(default_factory=list)


_BROKEN = (OSError, KeyError, ValueError, RuntimeError)  # what h5py raises over a damaged file


class CheckpointError(ValueError):
    """The checkpoint cannot be used; the message says why and what to do."""


class Checkpoint:
    """One file with the state, the network, its optimizer and the best weights.

    :param path: the file. It is replaced as a whole: whenever a process is killed, one whole file is there.
    :param fingerprint: of the pictures and the recipe; a checkpoint of another training is refused.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def save(self, state: State, network: keras.Model) -> None:
        """Put the state in the place of the one before."""
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

        :raises CheckpointError: it is not one of this training, or cannot be read.
        """
        if not self.path.is_file():
            return None
        try:
            with h5py.File(self.path) as file:
                fingerprint, described = file.attrs["fingerprint"], json.loads(file.attrs["state"])
                best_weights = _read(file, "best")
        except _BROKEN as error:
            raise CheckpointError(f"{self.path} cannot be read. Add --fresh to begin again.") from error
        if fingerprint != self.fingerprint:
            raise CheckpointError(
                f"{self.path} belongs to a training with other pictures or options. "
                "Give those again to go on with it, or add --fresh to begin anew."
            )
        best = described["best"] and Best(**described["best"])
        return State(**(described | {"best": best, "best_weights": best_weights}))

    def restore(self, network: keras.Model) -> None:
        """Give a compiled network the weights, the random seeds and the optimizer of the last epoch.

        :raises CheckpointError: they cannot be read.
        """
        try:
            with h5py.File(self.path) as file:
                for name, variables in ("network", network.variables), ("optimizer", network.optimizer.variables):
                    for variable, value in zip(variables, _read(file, name), strict=True):
                        variable.assign(value)
        except _BROKEN as error:
            raise CheckpointError(f"{self.path} cannot be read. Add --fresh to begin again.") from error

    def remove(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)


def _write(file: h5py.File, name: str, arrays: object) -> None:
    group = file.create_group(name)
    for number, array in enumerate(arrays):
        group.create_dataset(f"{number:05d}", data=array)


def _read(file: h5py.File, name: str) -> list[np.ndarray]:
    return [file[name][number][()] for number in sorted(file[name])]
