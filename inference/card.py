"""The model card that training writes beside a pair."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from . import CARD_FILE

log = logging.getLogger(__name__)

MAX_CARD_SIZE = 16 * 2**20  # bytes; of ten thousand labels it takes about 6 MB


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
