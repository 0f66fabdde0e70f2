"""The network: loaded, checked, traced and warmed up. Pixels in, ``Identification`` out."""

import logging
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import CANDIDATES, IMAGE_SIZE, Candidate, Identification
from .backend import keras, tf
from .closer_look import SEARCH_SIDE, SURE, WIDEST, CloserLook
from .errors import PairError, first_line
from .feature_map import find_pooled_head
from .folding import compute_in_bfloat16, fold_batch_normalization
from .graph import find_input_range, last_activation, scores_shape
from .head import HeadError, Scores, meaning_in_training, meaning_of_scores, probabilities
from .input_range import InputRange, choose_range
from .judge import STRICTNESS, Judge
from .keras_files.network import load_network
from .pooled_head import PooledHead, finite
from .processor import usable_cores
from .tracing import check_tensors, different_images, traced, traced_features
from .verdicts_file import VERDICTS_FILE, load_verdicts

if TYPE_CHECKING:
    from .pair import Pair

log = logging.getLogger(__name__)

BATCH_SIZE = 8  # images; together they take a sixth less processor time than one by one; larger batches gain no more


class Classifier:
    """A fine-tuned network and its labels.

    :ivar labels: in the order of the network's outputs.
    :ivar sha256: of the ``.h5``; every ``Identification`` carries it.
    :ivar batch_size: how many images ``classify_batch`` takes.
    :ivar input_range: of the pixel values that the network is given.
    :ivar input_range_reason: a sentence that says why.
    :param pair: the model pair, which has been checked.
    :param precision: of the network: ``float32``, or ``bfloat16``, which is faster on a processor that
        ``has_bfloat16`` and moves confidences a little.
    :param input_range: of the pixel values that it is given; by default the one that its first layers ask for.
    :param strictness: the share of photos of known species, 0 to 1, that its verdicts may refuse.
    :raises PairError: Keras cannot load the model, the two files do not belong together, or the network does not score
        classes that exclude each other.
    """

    batch_size = BATCH_SIZE

    def __init__(
        self,
        pair: "Pair",
        precision: str = "float32",
        input_range: InputRange | None = None,
        strictness: float = STRICTNESS,
    ) -> None:
        self.labels, self.sha256 = pair.labels, pair.sha256
        use_threads(usable_cores())
        let_gpu_memory_grow()
        model = load_network(pair.model_file)
        outputs = max(2, scores_shape(model)[-1])  # one sigmoid tells two classes apart
        if outputs != len(self.labels):
            raise PairError(
                f"{pair.model_file} tells {outputs} classes apart, but {pair.labels_file} holds {len(self.labels)} "
                "labels. Put in the two files of one training."
            )
        self.input_range, self.input_range_reason = choose_range(input_range, find_input_range(model))
        self._takes_any_size = True  # as long as it is not known better
        self._meaning_in_training = meaning_in_training(pair.model_file)
        try:
            fold_batch_normalization(model)
            if precision == "bfloat16":
                compute_in_bfloat16(model)
            self._warm_up(model)
        except Exception as error:  # of any kind; the optimization may be at fault, so it is tried without
            self._load_as_saved(pair.model_file, error)
        self._judge = find_judge(pair, self._head, strictness)

    def classify(self, pixels: NDArray[np.uint8], picture: NDArray[np.uint8] | None = None) -> Identification:
        """Name the species in an image.

        :param pixels: ``uint8[224, 224, 3]``, RGB.
        :param picture: the whole photo with more pixels, ``uint8[height, width, 3]``. It is searched for birds if the
            network is not sure about the whole.
        """
        started = time.perf_counter()
        scores, features = self._scores(pixels[np.newaxis])
        (answer,) = self._answers(scores, features)
        if picture is not None and answer.wants_closer_look:
            try:
                answer = self._look_closer(answer, features.numpy()[0], picture)
            except Exception as error:  # of any kind; the answer about the whole photo is there already
                log.warning("A closer look failed: %s", first_line(error), exc_info=error)
            answer = replace(answer, wants_closer_look=False)
        return replace(answer, seconds=time.perf_counter() - started)

    def classify_batch(self, pixels: NDArray[np.uint8]) -> list[Identification]:
        """Name the species in several images: the same answers as ``classify`` gives for each, in less time.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB; n is 1 to ``batch_size``.
        """
        if self._batch_scores is None:
            return [self.classify(image) for image in pixels]
        started = time.perf_counter()
        # The batch is always full: an image then gets the same answer to the last bit, whatever is beside it.
        batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), dtype="uint8")
        batch[: len(pixels)] = pixels
        answers = self._answers(*self._batch_scores(batch))[: len(pixels)]
        seconds = (time.perf_counter() - started) / len(pixels)
        return [replace(answer, seconds=seconds) for answer in answers]

    def pooled(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """What verdicts rest on: pooled features ``float32[n, channels]`` and probabilities ``float64[n, species]``.

        :param pixels: ``uint8[n, 224, 224, 3]``, RGB; n is 1 to ``batch_size``.
        :raises LookupError: the network does not end in global average pooling and one dense layer.
        """
        if self._head is None:
            raise LookupError("The network does not end in global average pooling and one dense layer.")
        if self._batch_scores is None:
            several = [[part.numpy() for part in self._scores(image[np.newaxis])] for image in pixels]
            scores, features = (np.concatenate(parts) for parts in zip(*several, strict=True))
        else:
            batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), dtype="uint8")
            batch[: len(pixels)] = pixels
            scores, features = (part.numpy()[: len(pixels)] for part in self._batch_scores(batch))
        return finite(features).mean(axis=(1, 2)), probabilities(scores, self._meaning)

    def _load_as_saved(self, model_file: Path, failure: Exception) -> None:
        """Run the network without optimization, because the optimized one fails.

        :raises PairError: it fails as well, so the file is the reason.
        """
        try:
            # Loaded again: some layers may be optimized already, and the others not.
            self._warm_up(load_network(model_file))
        except PairError:
            raise
        except HeadError as error:
            raise PairError(f"{model_file} {error}") from error
        except Exception as error:  # a valid description does not mean that the network can process an image
            raise PairError(f"{model_file} fails on a picture: {first_line(error)}") from error
        log.warning(
            "The network runs as it was saved, which is slower: optimizing it failed (%s: %s).",
            type(failure).__name__,
            first_line(failure),
            exc_info=failure,
        )

    def _warm_up(self, model: keras.Model) -> None:
        """Trace a network and classify a few images, so that no person waits for the second that the first one takes.

        :raises Exception: of any kind; the network cannot be run, or its scores cannot be used.
        """
        self._model, self._head = model, find_pooled_head(model)
        self._scores = traced(model, self.input_range, self._head)
        check_tensors(self._scores.get_concrete_function().graph)
        scores = np.concatenate([self._scores(image[np.newaxis])[0].numpy() for image in different_images()])
        activation = last_activation(model)
        self._meaning = meaning_of_scores(scores, activation, self._meaning_in_training)
        if self._head is None or (activation != "softmax" and self._meaning is not Scores.LOGITS):
            self._head = None
            log.warning(
                "There is no closer look at small birds, no verdict such as that a photo shows no bird, and no map of "
                "what the network looked at: it does not end in global average pooling, one dense layer and a softmax."
            )

    @cached_property
    def _batch_scores(self) -> Any:
        """The network for ``BATCH_SIZE`` images, traced when first needed; None if it takes only one at a time."""
        try:
            scores = traced(self._model, self.input_range, self._head, BATCH_SIZE)
            check_tensors(scores.get_concrete_function().graph)
            scores(np.zeros((BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE, 3), dtype="uint8"))  # the first takes a second
        except Exception as error:  # of any kind, as above; one at a time works as well
            log.info("The network takes one image at a time: %s", first_line(error))
            return None
        return scores

    @cached_property
    def _closer_look(self) -> CloserLook | None:
        """Traced when first needed; None if the network takes images of one size only."""
        assert self._head is not None
        features = traced_features(self._model, self.input_range, self._head)
        try:
            # Its own graph cannot be checked: there the size of the image is open.
            check_tensors(self._scores.get_concrete_function().graph, WIDEST * (SEARCH_SIDE / IMAGE_SIZE) ** 2)
            features(np.zeros((1, IMAGE_SIZE, SEARCH_SIDE, 3), dtype="uint8"))
        except Exception as error:  # of any kind, as above
            log.warning("There is no closer look at small birds: %s", first_line(error))
            self._takes_any_size = False
            return None
        return CloserLook(lambda images: features(images).numpy(), self._head)

    def _answers(self, scores: tf.Tensor, features: tf.Tensor) -> list[Identification]:
        """What the scores and the features of some images mean."""
        numbers = scores.numpy()
        if not np.isfinite(numbers).all():
            log.warning("The network gave NaN or infinity for an image; all species then count as equally likely.")
        confidences = probabilities(numbers, self._meaning)
        return [self._identification(*each) for each in zip(confidences, features.numpy(), strict=True)]

    def _identification(self, confidences: NDArray[np.float64], features: NDArray[np.float32]) -> Identification:
        best = np.argsort(confidences)[::-1][:CANDIDATES]
        candidates = tuple(Candidate(self.labels[index], float(confidences[index])) for index in best)
        answer = Identification(candidates[0].label, candidates[0].confidence, candidates, self.sha256)
        if self._head is None:
            return answer
        answer = replace(
            answer,
            activation=self._head.activation_map(features, int(best[0])),
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
    if head is None:  # which has been logged
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


def use_threads(cores: int) -> None:
    """Have TensorFlow use this many cores. By default it uses all that it sees, whatever the CPU quota.

    With more threads than the quota allows, they use it up together, and then all of them pause until its next period.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(cores)
    except RuntimeError:
        log.warning("TensorFlow has been used in this process already: it keeps the threads that it has.")


def let_gpu_memory_grow() -> None:
    """Have TensorFlow take GPU memory as it needs it, not all of it at once (``allow_growth``)."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
