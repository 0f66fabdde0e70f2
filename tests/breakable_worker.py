"""The worker, with a network that some pictures break: celery -A tests.breakable_worker worker

A stand-in, since no picture is known that breaks a real network.
"""

import os
import signal
import time

import numpy as np

import worker
from inference import Identification
from worker import app

from . import brokers

__all__ = ["app"]

TIME_LIMIT = 3  # seconds of a try, so that no test takes minutes

load_classifier = worker.classifier


class Breakable:
    """The real classifier, in front of which something breaks."""

    def classify(self, pixels: np.ndarray) -> Identification:
        match pixels[0, 0, 0]:
            case brokers.KILLS:
                os.kill(os.getpid(), signal.SIGKILL)
            case brokers.HANGS:
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # as deep in a library
                time.sleep(1000)
            case brokers.RAISES:
                raise ArithmeticError("a picture that breaks the network")
        return load_classifier().classify(pixels)


def classifier() -> Breakable:
    load_classifier()
    return Breakable()


worker.classifier = classifier
worker.identify.time_limit = TIME_LIMIT
