"""The network in this process, behind the same methods as ``jobs.client.RemoteClassifier``."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inference import Identification
from inference.engine import EngineInfo, in_words
from inference.loader import load_classifier
from inference.options import NetworkOptions
from inference.pair import Pair
from inference.regions import Region
from jobs.errors import UnknownJobError
from jobs.pending import PendingJob, Position
from jobs.queue_state import QueueFigures, QueueState
from jobs.sender import ANYBODY, Sender


class LocalClassifier:
    """A classifier that answers at once, so that no job is ever pending.

    :param pair: the model pair, checked.
    :raises PairError: the pair cannot be loaded.
    """

    is_remote = False

    def __init__(self, pair: Pair, options: NetworkOptions) -> None:
        self._network = load_classifier(pair, options)
        self.labels = self._network.labels
        self.batch_size = self._network.batch_size
        self.concurrency = self._network.engine.concurrency
        self.network_in_words = in_words(self._network.engine)

    def classify(
        self,
        pixels: NDArray[np.uint8],
        wait: float | None = None,
        picture: NDArray[np.uint8] | None = None,
        region: Region | None = None,
        sender: Sender = ANYBODY,
    ) -> Identification | PendingJob:
        """Name the species in one image, ``uint8[224, 224, 3]``; ``wait`` and ``sender`` make no difference."""
        identification = self._network.classify(pixels, picture)
        return replace(identification, region=region) if region else identification

    def classify_batch(self, pixels: NDArray[np.uint8]) -> list[Identification | PendingJob]:
        """Name the species in up to ``batch_size`` images, ``uint8[n, 224, 224, 3]``."""
        return [*self._network.classify_batch(pixels)]

    def engine_info(self) -> EngineInfo | None:
        """How the network runs."""
        return self._network.engine.info

    def check(self) -> None:
        """Raise nothing: the network is always there."""

    def count_refusal(self) -> None:
        """Do nothing: there are no workers of which there could be too few."""

    def look_up(self, job_id: str) -> tuple[bytes, Identification | Position]:
        """Find nothing.

        :raises UnknownJobError: always; there are no jobs.
        """
        raise UnknownJobError(job_id)

    def keep_thumbnail(self, job_id: str, jpeg: bytes) -> None:
        """Do nothing: there are no jobs."""

    def keep_picture(self, job_id: str, picture: NDArray[np.uint8]) -> bool:
        """Do nothing: there are no jobs."""
        return True

    def drop(self, job_id: str) -> None:
        """Do nothing: there are no jobs."""

    def state(self) -> QueueState | None:
        """None: there is no queue of jobs."""
        return None

    def figures(self) -> QueueFigures | None:
        """None: there is no queue of jobs."""
        return None
