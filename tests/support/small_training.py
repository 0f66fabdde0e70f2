"""A training of a network that learns in seconds, and kills its own process at a given moment.

python -m tests.support.small_training DATA CHECKPOINT [batch N | save N]: prints the state at the end and a hash of the
weights.
"""

import hashlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import keras

from training import checkpoint, recipe
from training.batches import Batches
from training.data import read_dataset
from training.network import classification_head, whole_network
from training.stages import Stage

PLAN = [
    Stage("the head", "edges", (32, 32), 1e-2),
    Stage("everything", None, (32, 32, 48), 1e-2),
]


def small_network() -> tuple[keras.Model, keras.Model]:
    """The network, and the base in it."""
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 5, strides=4, activation="relu", name="edges"),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="forms"),
        ]
    )
    return whole_network(base, classification_head(2), size=None), base


def kill_in(owner: object, name: str, number: int, counts: Callable[..., bool]) -> None:
    """Kill this process at the ``number``-th call of a function for which ``counts`` holds."""
    original, calls = getattr(owner, name), 0

    def deadly(*arguments: object) -> object:
        nonlocal calls
        calls += counts(*arguments)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    setattr(owner, name, deadly)


def main(data: Path, path: Path, moment: str | None = None, number: str = "0") -> None:
    if moment == "batch":
        kill_in(Batches, "__getitem__", int(number), lambda batches, _index: batches.augmented)
    if moment == "save":  # in the middle of the file
        kill_in(checkpoint, "_write", int(number), lambda _file, name, _arrays: name == "best")
    recipe.BATCH_SIZE = 12
    network, base = small_network()
    file = checkpoint.Checkpoint(path, "the same")
    state = file.read() or checkpoint.State()
    recipe.train(network, base, PLAN, read_dataset(data).splits, state, file)
    network.set_weights(state.best_weights)
    top1 = network.evaluate(
        Batches(read_dataset(data).splits["validation"], 2, 224, batch_size=4, augmented=False), verbose=0
    )[1]
    digest = hashlib.sha256(b"".join(weights.tobytes() for weights in network.get_weights())).hexdigest()
    print(state.stage, state.epoch, state.best, len(state.history), top1, digest)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
