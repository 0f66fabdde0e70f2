"""The worker with a network that some images break: celery -A tests.support.breakable_worker worker

It is made to break: no image is known that breaks a real network.
"""

import os
import signal
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from inference import Identification
from inference.loader import load_classifier
from inference.options import NetworkOptions
from inference.pair import Pair
from jobs import TASK
from jobs.worker import app, process

from . import brokers

__all__ = ["app"]

TIME_LIMIT = 3  # seconds of a try, so that no test takes minutes


class BreakableClassifier:
    """The real classifier, which some images do not reach."""

    def __init__(self, pair: Pair, options: NetworkOptions) -> None:
        self._classifier = load_classifier(pair, options)
        self.engine = self._classifier.engine

    def classify(self, pixels: npt.NDArray[np.uint8]) -> Identification:
        match pixels[0, 0, 0]:
            case brokers.KILLS:
                os.kill(os.getpid(), signal.SIGKILL)
            case brokers.HANGS:
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # as deep inside a library
                time.sleep(1000)
            case brokers.RAISES:
                raise ArithmeticError("an image that breaks the network")
        return self._classifier.classify(pixels)


load: Any = BreakableClassifier
process.load = load
app.tasks[TASK].time_limit = TIME_LIMIT
