"""Names the species in pixels: what a network's scores and features mean."""

import logging
import time
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import CANDIDATES, Candidate, Identification
from .closer_look import SURE, CloserLook
from .engine import BATCH_SIZE, Engine
from .errors import first_line
from .head import Scores, probabilities
from .judge import STRICTNESS, Judge
from .pooled_head import PooledHead, finite
from .verdicts_file import VERDICTS_FILE, load_verdicts

if TYPE_CHECKING:
    from .pair import Pair

log = logging.getLogger(__name__)


class Classifier:
    """A fine-tuned network and its labels.

    :ivar labels: in the order of the network's outputs.
    :ivar sha256: of the ``.h5``; every ``Identification`` carries it.
    :ivar batch_size: how many images ``classify_batch`` takes.
    :param pair: the model pair.
    :param engine: what runs its network.
    :param strictness: the share of photos of known species, 0 to 1, that its verdicts may refuse.
    """

    batch_size = BATCH_SIZE

    def __init__(self, pair: "Pair", engine: Engine, strictness: float = STRICTNESS) -> None:
        self.labels, self.sha256 = pair.labels, pair.sha256
        self.engine = engine
        self._takes_any_size = True  # as long as it is not known better
        self._judge = find_judge(pair, engine.head, strictness)

    def classify(self, pixels: NDArray[np.uint8], picture: NDArray[np.uint8] | None = None) -> Identification:
        """Name the species in an image.

        :param pixels: ``uint8[224, 224, 3]``, RGB.
        :param picture: the whole photo with more pixels, ``uint8[height, width, 3]``. It is searched for birds if the
            network is not sure about the whole.
        """
        started = time.perf_counter()
        scores, features = self.engine.run(pixels[np.newaxis])
        (answer,) = self._answers(scores, features)
        if picture is not None and answer.wants_closer_look:
            try:
                answer = self._look_closer(answer, features[0], picture)
            except Exception as error:  # of any kind; the answer about the whole photo is there already
                log.warning("A closer look failed: %s", first_line(error), exc_info=error)
            answer = replace(answer, wants_closer_look=False)
        return replace(answer, seconds=time.perf_counter() - started)

    def classify_batch(self, pixels: NDArray[np.uint8]) -> list[Identification]:
        """Name the species in several images: the same answers as ``classify`` gives for each, in less time.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB; n is 1 to ``batch_size``.
        """
        started = time.perf_counter()
        answers = self._answers(*self.engine.run_batch(pixels))
        seconds = (time.perf_counter() - started) / len(pixels)
        return [replace(answer, seconds=seconds) for answer in answers]

    def pooled(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """What verdicts rest on: pooled features ``float32[n, channels]`` and probabilities ``float64[n, species]``.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB; n is 1 to ``batch_size``.
        :raises LookupError: the network does not end in global average pooling and one dense layer.
        """
        if self.engine.head is None:
            raise LookupError("The network does not end in global average pooling and one dense layer.")
        scores, features = self.engine.run_batch(pixels)
        return finite(features).mean(axis=(1, 2)), probabilities(scores, self.engine.meaning)

    @cached_property
    def _closer_look(self) -> CloserLook | None:
        """Made ready when first needed; None if the network takes images of one size only."""
        assert self.engine.head is not None
        features = self.engine.features_of_any_size()
        self._takes_any_size = features is not None
        return CloserLook(features, self.engine.head) if features else None

    def _answers(self, scores: NDArray[np.float32], features: NDArray[np.float32]) -> list[Identification]:
        """What the scores and the feature maps of some images mean."""
        if not np.isfinite(scores).all():
            log.warning("The network gave NaN or infinity for an image; all species then count as equally likely.")
        confidences = probabilities(scores, self.engine.meaning)
        return [self._identification(*each) for each in zip(confidences, features, strict=True)]

    def _identification(self, confidences: NDArray[np.float64], features: NDArray[np.float32]) -> Identification:
        best = np.argsort(confidences)[::-1][:CANDIDATES]
        candidates = tuple(Candidate(self.labels[index], float(confidences[index])) for index in best)
        answer = Identification(candidates[0].label, candidates[0].confidence, candidates, self.sha256)
        if self.engine.head is None:
            return answer
        answer = replace(
            answer,
            activation=self.engine.head.activation_map(features, int(best[0])),
            wants_closer_look=self._takes_any_size and answer.confidence < SURE,
        )
        if self._judge is None:
            return answer
        familiarity = self._judge.familiarity(finite(features).mean(axis=(0, 1)), confidences)
        verdict, likely = self._judge.verdict(familiarity, confidences)
        return replace(answer, verdict=verdict, likely=likely, familiarity=familiarity)

    def _look_closer(
        self, whole: Identification, features: NDArray[np.float32], picture: NDArray[np.uint8]
    ) -> Identification:
        """Search a photo for birds. If there are none, the answer about the whole photo stands.

        :param features: of the whole photo, ``float32[rows, columns, channels]``.
        """
        if self._closer_look is None:
            return whole
        birds = self._closer_look.birds(picture, features)
        if birds[0].region is None:
            return whole
        confidences = probabilities(np.stack([bird.scores for bird in birds]), Scores.LOGITS)
        first, *others = (
            replace(self._identification(confidence, bird.features), region=bird.region, wants_closer_look=False)
            for confidence, bird in zip(confidences, birds, strict=True)
        )
        # A part of a large bird looks less like a bird than all of it.
        if whole.familiarity and first.familiarity and first.familiarity.bird <= whole.familiarity.bird:
            return whole
        return replace(first, others=tuple(others))


def find_judge(pair: "Pair", head: PooledHead | None, strictness: float) -> Judge | None:
    """What gives verdicts on a network's answers; None if there are none, which is logged in one line."""
    if head is None:
        log.warning(
            "There is no closer look at small birds, no verdict such as that a photo shows no bird, and no map of "
            "what the network looked at: it does not end in global average pooling, one dense layer and a softmax."
        )
        return None
    if not (pair.model_file.parent / VERDICTS_FILE).exists():
        log.warning(
            "%s has no verdicts, such as that a photo shows no bird: run python -m training.calibrate %s DATA, with "
            "the photos that it was trained on.",
            pair.model_file,
            pair.model_file.parent,
        )
        return None
    verdicts = load_verdicts(pair.model_file, pair.sha256)
    if verdicts is None:
        return None
    if verdicts.rules.prototypes.shape[1] != len(head.kernel):
        log.warning("The verdicts beside %s are ignored: they are for another number of features.", pair.model_file)
        return None
    return Judge(verdicts.rules, strictness)
