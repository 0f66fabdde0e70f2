"""Whether an activation map shows what the network looked at: what it marks is deleted from the photo.

If the map is right, the network is then less sure than after as much was deleted elsewhere (the deletion metric of
Petsiuk et al. 2018, arXiv:1806.07421, at one share).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference import IMAGE_SIZE, Identification

if TYPE_CHECKING:
    from inference.classifier import Classifier

SHARE = 0.1  # of the pixels that are deleted


def confidence_drops(
    classifier: "Classifier", images: Sequence[NDArray[np.uint8]], seed: int = 0
) -> NDArray[np.float64]:
    """How much less sure of its answer the network is after a tenth of an image was deleted, ``[images, 3]``.

    What is deleted is what the map marks; what it marks after its places were shuffled, a patch of the same kind; and
    single pixels. All three are chosen by chance but the first.

    :param images: ``uint8[224, 224, 3]`` each.
    """
    chance = np.random.default_rng(seed)
    answers = _classified(classifier, images)
    deleted = []
    for image, answer in zip(images, answers, strict=True):
        shares = np.array(answer.activation, dtype="float32")
        shuffled = chance.permutation(shares.ravel()).reshape(shares.shape)
        for marks in (enlarged(shares), enlarged(shuffled), chance.random((IMAGE_SIZE, IMAGE_SIZE))):
            deleted.append(without_marked(image, marks))
    after = _classified(classifier, deleted)
    drops = [
        answer.confidence - _confidence(later, answer.label)
        for number, answer in enumerate(answers)
        for later in after[3 * number : 3 * number + 3]
    ]
    return np.reshape(drops, (-1, 3))


def enlarged(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map over the pixels of an image, smooth between the places."""
    return np.asarray(Image.fromarray(shares).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC))


def without_marked(image: NDArray[np.uint8], marks: NDArray[np.floating]) -> NDArray[np.uint8]:
    """An image whose ``SHARE`` of pixels with the highest marks have its mean color."""
    highest = np.argsort(marks, axis=None)[-round(SHARE * marks.size) :]
    deleted = image.reshape(-1, 3).copy()
    deleted[highest] = image.mean(axis=(0, 1)).round()
    return deleted.reshape(image.shape)


def _classified(classifier: "Classifier", images: Sequence[NDArray[np.uint8]]) -> list[Identification]:
    size = classifier.batch_size
    batches = [np.stack(images[start : start + size]) for start in range(0, len(images), size)]
    return [answer for batch in batches for answer in classifier.classify_batch(batch)]


def _confidence(answer: Identification, label: str) -> float:
    """That of one species; 0 if it is not among the candidates."""
    return next((each.confidence for each in answer.candidates if each.label == label), 0.0)
