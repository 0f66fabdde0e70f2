"""What the pages and the API say about the model: its species, its metrics, and how far its answers can be trusted."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from inference import REPORT_FILE, Identification
from inference.examples import Examples, load_examples
from inference.model_card import ModelMetrics, SpeciesMetrics, load_model_card
from inference.names import species_names
from inference.verdict import Verdict
from inference.verdicts_file import VerdictCurve, load_verdicts
from names.labels import Names, find_names
from names.search import Search

from .curve import CurveRow, curve_rows, group_names
from .look_alikes import Confusion, LookAlike

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo:
    """What the site knows about its model.

    :param sha256: of its ``.h5``; empty if neither the file nor a model card is on this machine.
    :param metrics: what training measured; None if there is no model card of this model.
    :param report: the page that training wrote; None if there is none of this model.
    :param operators_threshold: ``BIRD_UNSURE_BELOW``, a confidence, if the operator has set it.
    :param examples: photos of the species; None if there are none of this model.
    :param strictness: ``BIRD_STRICTNESS``, the share of known birds that may be refused; None if the model was not
        calibrated, so that its answers have no verdict.
    :param curve: how many pictures are answered at which strictness; None if that was not measured.
    :param folder: where its maker may have put names of species.
    """

    sha256: str
    labels: tuple[str, ...]
    metrics: ModelMetrics | None = None
    report: str | None = None
    operators_threshold: float | None = None
    examples: Examples | None = None
    strictness: float | None = None
    curve: VerdictCurve | None = None
    folder: Path | None = None

    @property
    def unsure_below(self) -> float:
        """The confidence, 0 to 1, below which an answer without a verdict is not sure."""
        if self.operators_threshold is not None:
            return self.operators_threshold
        return self.metrics.unsure_below if self.metrics else 0.0

    def verdict_on(self, identification: Identification) -> Verdict:
        """What the page says of an answer.

        An answer that has a verdict is less than sure only for that reason, or because the operator wants it so. For
        one that has none, the confidence decides.
        """
        if identification.verdict not in (None, Verdict.SURE):
            return identification.verdict
        applies = self.operators_threshold is not None or (
            identification.verdict is None and self._describes(identification)
        )
        return Verdict.UNSURE if applies and identification.confidence < self.unsure_below else Verdict.SURE

    def _describes(self, identification: Identification) -> bool:
        # What was measured with this model says nothing about another one, which a worker may have.
        return identification.model == self.sha256

    @property
    def curve_groups(self) -> list[str]:
        """The groups of pictures that the curve tells about, in words for people."""
        return group_names(self.curve) if self.curve else []

    @cached_property
    def curve_rows(self) -> list[CurveRow]:
        """The rows of the curve, as a table for people; none if there is no curve."""
        return curve_rows(self.curve, self.strictness) if self.curve and self.strictness is not None else []

    @cached_property
    def confusion(self) -> Confusion:
        """Which species the model confuses."""
        return Confusion(self.metrics.species if self.metrics else ())

    def look_alikes(self, identification: Identification) -> list[LookAlike]:
        """The species that the model confuses most with its answer; none if its verdict is that it may be another."""
        if not self._describes(identification):
            return []
        is_named = identification.verdict is None or self.verdict_on(identification) is Verdict.SURE
        return self.confusion.look_alikes(identification.label) if is_named else []

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {label: index for index, label in enumerate(self.labels)}

    def examples_of(self, label: str) -> list[tuple[int, int]]:
        """The class index of a species and the number of the example, for each example that there is."""
        if self.examples is None or label not in self._indices:
            return []
        index = self._indices[label]
        return [(index, number) for number in self.examples.numbers(index)]

    @cached_property
    def names(self) -> Names:
        """The species that the labels mean; finding them takes a moment, so nobody does before they are needed."""
        return find_names(self.labels, self.folder)

    @cached_property
    def search(self) -> Search:
        """Finds species by their names."""
        return Search(self.names)

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return species_names(self.labels)

    def name_of(self, label: str) -> str:
        """The label as a name for people to read. A worker's model may have labels that are unknown here."""
        return self._names.get(label, label)

    def species(self) -> list[SpeciesMetrics]:
        """Every label in alphabetical order, with its metrics if there are any."""
        by_label = {each.label: each for each in self.metrics.species} if self.metrics else {}
        return [by_label.get(label) or SpeciesMetrics(label) for label in sorted(self.labels, key=str.casefold)]


def read_model_info(
    model_file: Path,
    sha256: str | None,
    labels: tuple[str, ...],
    operators_threshold: float | None,
    strictness: float | None = None,
    folder: Path | None = None,
) -> ModelInfo:
    """Read the model card, the report, the examples and the curve of the verdicts beside a model.

    :param model_file: the ``.h5``, which need not be there if workers have it.
    :param sha256: of that file; None if it is not there. The model card's own is then trusted.
    :param strictness: ``BIRD_STRICTNESS``, which has no effect on a model that was not calibrated.
    :param folder: where its maker may have put names of species.
    """
    card = load_model_card(model_file, sha256)
    sha256 = card.sha256 if card else sha256 or ""
    verdicts = load_verdicts(model_file, sha256 or None)
    curve = verdicts.curve if verdicts else None
    info = ModelInfo(
        sha256,
        labels,
        operators_threshold=operators_threshold,
        strictness=strictness if curve else None,
        curve=curve,
        folder=folder,
    )
    if card is None:
        return info
    report = _read_report(model_file.parent / REPORT_FILE)
    return replace(info, metrics=card.metrics, report=report, examples=load_examples(model_file, sha256))


def _read_report(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s is ignored: %s.", path, error)
        return None
