"""``model_card.json``: what training measured about a model. The schema here serves the writer and the reader.

Where the file has other keys than the Python names, ``name=`` gives them. The site does not show the fields with a
default, so a card without them still has metrics.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType, field

from . import CARD_FILE

log = logging.getLogger(__name__)

MAX_CARD_SIZE = 16 * 2**20  # bytes; with ten thousand labels it takes about 6 MB

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]  # beyond that, JSON readers round
AtLeastOne = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ModelFile(msgspec.Struct, kw_only=True):
    """The network that a card belongs to.

    :param sha256: of the ``.h5``, in hexadecimal digits.
    :param size: in bytes.
    """

    file: str = ""
    sha256: str
    size: Count = field(name="bytes", default=0)


class CardIdentity(msgspec.Struct):
    """The part that every card must have."""

    model: ModelFile


class Accuracy(msgspec.Struct):
    """Shares of photos whose species is the most likely answer, and among the five most likely."""

    top1: Share
    top5: Share


class CorrectedAccuracy(Accuracy, kw_only=True):
    """The same of the photos that are left of a split when its labels are corrected; some of them are relabelled."""

    photos: AtLeastOne = field(name="pictures")
    relabelled: Count
    left_out: Count


class CorrectionPhotos(msgspec.Struct):
    """Number of photos from corrections of visitors.

    :param learned: that the network learned from.
    :param held_out: that decided whether it may take the place of the model before.
    """

    learned: Count
    held_out: Count


class TrainingPhotos(msgspec.Struct):
    """Number of photos of one species that the network learned from."""

    photos: Count = field(name="pictures")


class SpeciesScore(msgspec.Struct):
    """How well one species is named on some photos.

    :param photos: number of photos of this species.
    :param recall: share of them that are named correctly; None without such photos.
    :param precision: share of the answers with this name that are correct; None without such answers.
    """

    photos: Count = field(name="pictures")
    recall: Share | None
    precision: Share | None


class SpeciesEntry(msgspec.Struct, kw_only=True):
    """One species in each split, and in all splits but ``train`` together (``held_out``).

    :param confused_with: the labels that held-out photos of it were named as instead, with the number of photos.
    """

    label: str
    train: TrainingPhotos
    validation: SpeciesScore | UnsetType = UNSET
    test: SpeciesScore | UnsetType = UNSET
    held_out: SpeciesScore
    confused_with: dict[str, AtLeastOne] | UnsetType = UNSET


class ConfusedPair(msgspec.Struct):
    """Two labels, and how often one was given for the other."""

    labels: tuple[str, str]
    times: Count


class CalibrationBin(msgspec.Struct):
    """The photos whose answers are about equally confident.

    :param photos: number of photos.
    :param confidence: the mean of their confidences.
    :param accuracy: share of them that are named correctly.
    """

    photos: Count = field(name="pictures")
    confidence: Share
    accuracy: Share = field(name="right")


class Calibration(msgspec.Struct, kw_only=True):
    """How well confidence matches accuracy.

    :param temperature: what the logits were divided by.
    :param error: expected calibration error of each split.
    :param error_before: the same before the logits were divided.
    """

    method: str = ""
    temperature: float | None = None
    error: dict[str, Share] = field(name="expected_calibration_error")
    error_before: dict[str, Share] = field(name="expected_calibration_error_before", default_factory=dict)
    bins: list[CalibrationBin] = []


class CoveragePoint(msgspec.Struct):
    """One point of the coverage-accuracy curve: what remains if only the more confident answers count.

    :param confidence: the least that counts.
    :param coverage: share of all photos that still get an answer.
    :param accuracy: share of those that are named correctly; None if none is left.
    """

    confidence: Share
    coverage: Share = field(name="answered")
    accuracy: Share | None = field(name="right")


class EpochNumber(msgspec.Struct):
    """An epoch, counted within its stage; both count from 1."""

    stage: Count
    epoch: Count


class CardFile(msgspec.Struct, kw_only=True):
    """The whole file.

    :param date: of the training, ISO 8601.
    :param photos: number of photos in each split.
    :param corrections: how many photos came from corrections, if training was given some.
    :param left_out: number of photos and labels left out of the training, by reason.
    :param evaluation_split: the split that the metrics without a split's name were measured on.
    :param accuracy: of each split but ``train``.
    :param accuracy_corrected: of ``test``, if somebody decided that labels in it are wrong.
    :param confused: the labels that are confused most.
    :param unsure_below: the confidence below which an answer is as likely wrong as right.
    :param coverage_accuracy: the coverage-accuracy curve.
    :param recipe: the numbers and options of the training.
    :param best_epoch: the one whose weights were saved.
    :param history: what each epoch measured; stages count from 0 here. A number that was not finite is null.
    """

    model: ModelFile
    date: str
    labels: list[str] = []
    photos: dict[str, Count] = field(name="pictures")
    corrections: CorrectionPhotos | UnsetType = UNSET
    left_out: dict[str, Count] = {}
    evaluation_split: str = field(name="judged_on")
    accuracy: dict[str, Accuracy]
    accuracy_corrected: dict[str, CorrectedAccuracy] | UnsetType = UNSET
    species: list[SpeciesEntry]
    confused: list[ConfusedPair] = []
    calibration: Calibration
    unsure_below: Share
    coverage_accuracy: list[CoveragePoint] = field(name="answered_above", default_factory=list)
    recipe: dict[str, Any] = {}
    seed: int = 0
    best_epoch: EpochNumber = field(default_factory=lambda: EpochNumber(0, 0))
    history: list[dict[str, int | float | None]] = []
    versions: dict[str, str] = {}


@dataclass(frozen=True)
class SpeciesMetrics:
    """How well the model knows one species; None where that is not known.

    :param training_photos: photos of it that the network learned from.
    :param held_out_photos: photos of it that the network did not learn from, for the two shares that follow.
    :param recall: share of those that are named correctly, 0 to 1.
    :param precision: share of the answers with this name that are correct, 0 to 1.
    :param confused_with: the labels that held-out photos of it were named as instead, with the number of photos.
    """

    label: str
    training_photos: int | None = None
    held_out_photos: int | None = None
    recall: float | None = None
    precision: float | None = None
    confused_with: dict[str, int] | None = None


@dataclass(frozen=True)
class ModelMetrics:
    """What the site shows about a model.

    :param date: of the training, ISO 8601.
    :param evaluation_split: the split that ``top1``, ``top5`` and ``calibration_error`` were measured on.
    :param evaluation_photos: number of photos in it.
    :param training_photos: number of photos that the network learned from.
    :param top1: share of photos whose species is the first answer, 0 to 1.
    :param top5: share of photos whose species is among the five most likely, 0 to 1.
    :param calibration_error: expected calibration error, 0 to 1.
    :param unsure_below: the confidence below which an answer is as likely wrong as right, 0 to 1.
    """

    date: str
    evaluation_split: str
    evaluation_photos: int
    training_photos: int
    top1: float
    top5: float
    calibration_error: float
    unsure_below: float
    species: tuple[SpeciesMetrics, ...]


@dataclass(frozen=True)
class ModelCard:
    """What the site knows about its model from the card.

    :param sha256: of the ``.h5`` that the card belongs to.
    :param metrics: None if the card has none, or none in the form that training writes.
    """

    sha256: str
    metrics: ModelMetrics | None


def encode_card(card: CardFile) -> bytes:
    """The contents of ``model_card.json``; a number that is not finite, of a training that diverged, is null there."""
    return msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n"


def load_model_card(model_file: Path, model_sha256: str | None) -> ModelCard | None:
    """Read the card beside a model. What is wrong with it is logged in one line and never raised.

    :param model_file: the ``.h5``; the card is in the same folder.
    :param model_sha256: of the ``.h5``; None if that file is not on this machine: the card's own is then trusted.
    :return: None if there is no card, or if it belongs to another model.
    """
    path = model_file.parent / CARD_FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            # Not msgspec's parser: it would refuse the whole card for a NaN, which spoils the metrics only.
            content = json.loads(file.read(MAX_CARD_SIZE))
        identity = msgspec.convert(content, CardIdentity)
    except (OSError, ValueError, RecursionError):
        log.warning("%s is ignored: it is not a card that training wrote.", path)
        return None
    if model_sha256 not in (None, identity.model.sha256):
        log.warning("%s is ignored: it belongs to another model than %s.", path, model_file.name)
        return None
    return ModelCard(identity.model.sha256, _metrics(content, path))


def _metrics(content: object, path: Path) -> ModelMetrics | None:
    """The metrics in a parsed card."""
    try:
        card = msgspec.convert(content, CardFile)
        return ModelMetrics(
            date=card.date,
            evaluation_split=card.evaluation_split,
            evaluation_photos=card.photos[card.evaluation_split],
            training_photos=card.photos["train"],
            top1=card.accuracy[card.evaluation_split].top1,
            top5=card.accuracy[card.evaluation_split].top5,
            calibration_error=card.calibration.error[card.evaluation_split],
            unsure_below=card.unsure_below,
            species=tuple(
                SpeciesMetrics(
                    entry.label,
                    entry.train.photos,
                    entry.held_out.photos,
                    entry.held_out.recall,
                    entry.held_out.precision,
                    None if isinstance(entry.confused_with, UnsetType) else entry.confused_with,
                )
                for entry in card.species
            ),
        )
    except (ValueError, KeyError, RecursionError):  # msgspec.ValidationError is a ValueError
        log.warning("The metrics in %s are ignored: they are not in the form that training writes.", path)
        return None
