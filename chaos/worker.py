"""The worker, with a network that takes as long as a real one and notes what it does: celery -A chaos.worker worker"""

import os
import signal
import time
from typing import Any

from inference import Identification
from inference.loader import load_classifier
from inference.options import NetworkOptions
from inference.pair import Pair
from jobs.worker import app, process

from .images import Pixels, is_deadly, number_of
from .notes import BEGUN, DONE, LOADED, NotesWriter

__all__ = ["app"]

SECONDS = 0.15  # that a photo takes; the small network alone would be done before a kill could hit it


class SlowClassifier:
    """The real classifier, slowed down. It asks for no closer look, which the queue does not treat in another way."""

    def __init__(self, pair: Pair, options: NetworkOptions) -> None:
        self._classifier = load_classifier(pair, options)
        self._notes = NotesWriter()
        self.engine = self._classifier.engine
        self._notes.write(LOADED)

    def classify(self, pixels: Pixels, _picture: Pixels | None = None) -> Identification:
        number = number_of(pixels)
        self._notes.write(BEGUN, number)
        if is_deadly(pixels):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(SECONDS)
        identification = self._classifier.classify(pixels)
        self._notes.write(DONE, number)
        return identification


load: Any = SlowClassifier
process.load = load
