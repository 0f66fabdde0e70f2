"""A worker whose network takes its time without a processor, so that several of them fit on this machine.

SLOW_SECONDS=0.1 celery -A benchmarks.slow_worker worker
"""

import os
import random
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from inference import IMAGE_SIZE, Identification
from inference.loader import load_classifier
from inference.options import NetworkOptions
from inference.pair import Pair
from jobs.worker import app, process

from .random_times import gamma

__all__ = ["app"]


class SlowClassifier:
    """Says of every photo what the real classifier says of a black one."""

    def __init__(self, pair: Pair, options: NetworkOptions) -> None:
        classifier = load_classifier(pair, options)
        self.engine = classifier.engine
        self._answer = classifier.classify(np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), "uint8"))

    def classify(self, pixels: npt.NDArray[np.uint8]) -> Identification:
        time.sleep(gamma(random, float(os.environ["SLOW_SECONDS"]), spread=0.5))
        return self._answer


load: Any = SlowClassifier
process.load = load
