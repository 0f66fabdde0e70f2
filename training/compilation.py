"""Compiles the network that a training has saved: python -m training.compilation MODEL LABELS, with paths of photos on
standard input, a line for each.

This is a process of its own: the one that trains may use another backend of Keras, or has prepared TensorFlow for
training.
"""

import logging
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from inference.errors import PairError
from inference.pair import check_pair

log = logging.getLogger(__name__)


def compile_saved(model: Path, labels: Path, photos: Iterable[Path]) -> None:
    """Compile a pair, and log what that gave. A failure is logged, too: the pair works without.

    :param photos: to compare the compiled network on, and to take the ranges of its integers from.
    """
    log.info("Compiling the network for ONNX Runtime")
    command = [sys.executable, "-m", __name__, str(model), str(labels)]
    paths = "\n".join(str(path.absolute()) for path in photos if "\n" not in str(path))
    ended = subprocess.run(command, input=paths, capture_output=True, text=True, errors="surrogateescape")
    if ended.returncode == 0:
        log.info("%s", ended.stdout.rstrip())
        return
    reason = (ended.stderr.splitlines() or ["no reason was given"])[-1]
    log.warning("The network is not compiled, so TensorFlow will run it: %s", reason)


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        from inference.compiling import compile_pair, read_photos
    except ImportError as error:
        sys.exit(f"{error.name} is not installed.")
    pair = check_pair(Path(sys.argv[1]), Path(sys.argv[2]))
    photos = read_photos(Path(line) for line in sys.stdin.read().splitlines())
    try:
        print(compile_pair(pair, None, photos).in_words())
    except (PairError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
