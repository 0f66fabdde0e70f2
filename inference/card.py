"""The model card that training writes beside a pair."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import CARD_FILE

log = logging.getLogger(__name__)

RATES = ("recall", "precision")
MAX_CARD_SIZE = 16 * 2**20  # bytes; of ten thousand labels it takes about 6 MB


@dataclass(frozen=True)
class SpeciesFigures:
    """How well one species is known.

    :param trained_on: pictures of it that the network learned from; this and all that follows is None if not known.
    :param held_out: pictures of it that it did not learn from, on which the two others were measured.
    :param recall: the part of those that were recognised, 0 to 1; None if there were none.
    :param precision: the part of the pictures named so that were, 0 to 1; None if none was.
    """

    label: str
    trained_on: int | None = None
    held_out: int | None = None
    recall: float | None = None
    precision: float | None = None


@dataclass(frozen=True)
class Figures:
    """What a page says of a network.

    :param date: of the training, ISO 8601.
    :param judged_on: the split that ``top1`` and ``top5`` (0 to 1) were measured on, and its number of ``pictures``.
    :param trained_on: pictures that the network learned from.
    :param calibration_error: the expected one, 0 to 1.
    :param unsure_below: the confidence below which an answer is as likely wrong as right, 0 to 1.
    """

    date: str
    judged_on: str
    pictures: int
    trained_on: int
    top1: float
    top5: float
    calibration_error: float
    unsure_below: float
    species: tuple[SpeciesFigures, ...]


def figures_of(card: dict[str, Any] | None) -> Figures | None:
    """What a page says of a network, from its card; None if there is no card, or its figures are not training's."""
    try:
        return card and _figures(card)
    except (LookupError, TypeError, ValueError, OverflowError):
        log.warning("The figures in %s are left aside: they are not such as training writes.", CARD_FILE)
        return None


def _figures(card: dict[str, Any]) -> Figures:
    judged_on = str(card["judged_on"])
    return Figures(
        date=str(card["date"]),
        judged_on=judged_on,
        pictures=_count(card["pictures"][judged_on]),
        trained_on=_count(card["pictures"]["train"]),
        top1=_share(card["accuracy"][judged_on]["top1"]),
        top5=_share(card["accuracy"][judged_on]["top5"]),
        calibration_error=_share(card["calibration"]["expected_calibration_error"][judged_on]),
        unsure_below=_share(card["unsure_below"]),
        species=tuple(
            SpeciesFigures(
                str(each["label"]),
                _count(each["train"]["pictures"]),
                _count(each["held_out"]["pictures"]),
                *(None if each["held_out"][name] is None else _share(each["held_out"][name]) for name in RATES),
            )
            for each in card["species"]
        ),
    )


def _count(number: object) -> int:
    """:raises ValueError: it is none."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(number)
    return number


def _share(number: object) -> float:
    """
    :raises ValueError: it is not from 0 to 1.
    :raises OverflowError: it is far from that.
    """
    share = float(number)
    if not 0 <= share <= 1:
        raise ValueError(number)
    return share


def load_card(model_file: Path) -> dict[str, Any] | None:
    """What training measured of a network.

    :param model_file: the ``.h5``; the card lies in the same folder.
    :return: None if there is no card, or if it speaks of another network.
    """
    path = model_file.parent / CARD_FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            card = json.loads(file.read(MAX_CARD_SIZE))
        is_of_this_model = card["model"]["sha256"] == sha256(model_file)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        log.warning("%s is left aside: it is not a card that training wrote.", path)
        return None
    if not is_of_this_model:
        log.warning("%s is left aside: it speaks of another network than %s.", path, model_file.name)
        return None
    return card


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
