"""What the pages and the API say about the model: its species, its metrics, and when it is not sure."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from inference import REPORT_FILE, Identification
from inference.model_card import ModelMetrics, SpeciesMetrics, load_model_card
from inference.names import species_names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo:
    """What the site knows about its model.

    :param sha256: of its ``.h5``; empty if neither the file nor a model card is on this machine.
    :param metrics: what training measured; None if there is no model card of this model.
    :param report: the page that training wrote; None if there is none of this model.
    :param operators_threshold: ``BIRD_UNSURE_BELOW``, a confidence, if the operator has set it.
    """

    sha256: str
    labels: tuple[str, ...]
    metrics: ModelMetrics | None = None
    report: str | None = None
    operators_threshold: float | None = None

    @property
    def unsure_below(self) -> float:
        """The confidence, 0 to 1, below which an answer is not sure."""
        if self.operators_threshold is not None:
            return self.operators_threshold
        return self.metrics.unsure_below if self.metrics else 0.0

    def is_unsure(self, identification: Identification) -> bool:
        """Whether the page must say that it is not sure, and show the candidates as equals."""
        # A threshold that was measured with this model says nothing about another one, which a worker may have.
        applies = self.operators_threshold is not None or identification.model == self.sha256
        return applies and identification.confidence < self.unsure_below

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return species_names(self.labels)

    def name_of(self, label: str) -> str:
        """The name of a species for people to read. A worker's model may have labels that are unknown here."""
        return self._names.get(label, label)

    def species(self) -> list[SpeciesMetrics]:
        """Every label in alphabetical order, with its metrics if there are any."""
        by_label = {each.label: each for each in self.metrics.species} if self.metrics else {}
        return [by_label.get(label) or SpeciesMetrics(label) for label in sorted(self.labels, key=str.casefold)]


def read_model_info(
    model_file: Path, sha256: str | None, labels: tuple[str, ...], operators_threshold: float | None
) -> ModelInfo:
    """Read the model card and the report beside a model.

    :param model_file: the ``.h5``, which need not be there if workers have it.
    :param sha256: of that file; None if it is not there. The model card's own is then trusted.
    """
    card = load_model_card(model_file, sha256)
    if card is None:
        return ModelInfo(sha256 or "", labels, operators_threshold=operators_threshold)
    report = _read_report(model_file.parent / REPORT_FILE)
    return ModelInfo(card.sha256, labels, card.metrics, report, operators_threshold)


def _read_report(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s is ignored: %s.", path, error)
        return None
