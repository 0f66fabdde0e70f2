"""Writes the report: one page for people, which needs no other file."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from matplotlib.figure import Figure

from inference.judge import STRICTNESS
from inference.model_card import CalibrationBin, CardFile, ConfusedPair, CoveragePoint, SpeciesEntry
from inference.names import species_names
from inference.photo import open_photo
from inference.verdicts_file import VerdictCurve

from .data import Dataset, Split
from .evaluation import BINS, Floats, Ints
from .examples import EXAMPLE_SIZE
from .faults import Fault
from .verdict_results import GroupResult

EXTREMES = 10  # worst and best species that are shown
CONFIDENCES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)  # rows of the table of the coverage-accuracy curve
MARKED_CONFIDENCES = (0.5, 0.8, 0.9)  # on the curve itself
BLUE, ORANGE, GRAY = "#2b6cb0", "#c05621", "#8a8a8a"


@dataclass(frozen=True)
class Example:
    """A photo of one species of a confused pair.

    :param label: the species that it shows.
    :param answer: the species of the pair that it was named as; None if it was another.
    :param confidence: of the answer, 0 to 1.
    :param source: a small copy, as the ``src`` of an ``<img>``.
    """

    label: str
    answer: str | None
    confidence: float
    source: str


@dataclass(frozen=True)
class ConfusedSpecies:
    """Two species, how often one was given for the other, and examples."""

    labels: tuple[str, str]
    times: int
    examples: list[Example]


@dataclass(frozen=True)
class VerdictReport:
    """What the page says about verdicts.

    :param curve: how many pictures get an answer at which strictness.
    :param results: what becomes of each group of pictures at the default strictness.
    """

    curve: VerdictCurve
    results: list[GroupResult]


def write_report(
    path: Path,
    card: CardFile,
    dataset: Dataset,
    probabilities: Floats,
    verdicts: VerdictReport,
    *,
    with_photos: bool,
) -> None:
    """Write the page, replacing an old one as a whole: a reader never sees half of it.

    :param probabilities: ``float[photos, classes]`` of the split that the card's metrics were measured on.
    :param with_photos: show two photos of each confused pair. The page then contains copies of them.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    evaluated = dataset.splits[card.evaluation_split]
    ranked = ranked_species(card.species)
    shown = min(EXTREMES, -(-len(ranked) // 2))
    page = templates.get_template("report.html").render(
        card=card,
        names=species_names(card.labels),
        accuracy=card.accuracy[card.evaluation_split],
        evaluation_photos=len(evaluated.paths),
        learning_curves=learning_curves(card.history),
        reliability_diagram=reliability_diagram(card.calibration.bins),
        coverage_accuracy_chart=coverage_accuracy_chart(card.coverage_accuracy),
        coverage_accuracy_rows=[point for point in card.coverage_accuracy if point.confidence in CONFIDENCES],
        verdicts=verdicts.results,
        verdict_chart=verdict_chart(verdicts.curve),
        strictness=STRICTNESS,
        worst=ranked[:shown],
        best=ranked[::-1][:shown],
        pairs=[
            ConfusedSpecies(
                pair.labels, pair.times, examples(pair, dataset, evaluated, probabilities) if with_photos else []
            )
            for pair in card.confused
        ],
        faults=faults_by_kind(dataset.faults),
    )
    new = path.with_suffix(".new.html")
    new.write_text(page, encoding="utf-8")
    new.replace(path)


def ranked_species(species: list[SpeciesEntry]) -> list[SpeciesEntry]:
    """The species that were evaluated, the worst first, by validation and test together."""
    evaluated = [entry for entry in species if entry.held_out.photos]
    return sorted(evaluated, key=lambda entry: (entry.held_out.recall or 0, entry.held_out.precision or 0))


def faults_by_kind(faults: list[Fault]) -> dict[tuple[str, str], list[Fault]]:
    """The faults, grouped by what they are and what was done about them."""
    kinds: dict[tuple[str, str], list[Fault]] = {}
    for fault in faults:
        kinds.setdefault((fault.what, fault.remedy), []).append(fault)
    return kinds


def examples(pair: ConfusedPair, dataset: Dataset, split: Split, probabilities: Floats) -> list[Example]:
    """The most confident mistake of a pair, and a photo of the species that it was named as."""
    label_of = {dataset.class_indices[label]: label for label in pair.labels}
    return [
        Example(
            label=label_of[int(split.targets[photo])],
            answer=label_of.get(int(probabilities[photo].argmax())),
            confidence=float(probabilities[photo].max()),
            source=small_copy(split.paths[photo]),
        )
        for photo in mistake_and_counterpart(probabilities, split.targets, *label_of)
    ]


def mistake_and_counterpart(probabilities: Floats, targets: Ints, first: int, second: int) -> list[int]:
    """Indices of two photos: the most confident mistake between two labels, and the most typical of the label given.

    The second is missing if there is no photo of that label.
    """
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    mistakes = [
        photo
        for label, other in ((first, second), (second, first))
        for photo in np.flatnonzero((targets == label) & (answers == other)).tolist()
    ]
    mistake = max(mistakes, key=lambda photo: float(confidence[photo]))
    others = np.flatnonzero(targets == answers[mistake])
    if not len(others):
        return [mistake]
    return [mistake, int(others[np.argmax(probabilities[others, answers[mistake]])])]


def small_copy(path: Path) -> str:
    """A small copy of a photo, as the ``src`` of an ``<img>``."""
    return _data_url("image/jpeg", open_photo(path).thumbnail(EXAMPLE_SIZE))


def learning_curves(history: list[dict[str, int | float | None]]) -> str:
    """Loss and accuracy by epoch, as the ``src`` of an ``<img>``."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    second_stage = next((number for number, row in enumerate(history) if row["stage"]), 0)
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for axes, measure, title, factor in (
        (loss_axes, "loss", "Loss (cross-entropy)", 1),
        (accuracy_axes, "top1", "Named correctly (top-1), %", 100),
    ):
        training, validation = (
            factor * np.array([row[name] for row in history], dtype="float64") for name in (measure, "val_" + measure)
        )
        axes.plot(epochs, training, "o-", color=GRAY, label="training, augmented")
        axes.plot(epochs, validation, "o-", color=BLUE, label="validation")
        if second_stage:
            axes.axvline(second_stage + 0.5, color=GRAY, linestyle=":", label="second stage begins")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    loss_axes.legend()
    return _svg(figure)


def reliability_diagram(bins: list[CalibrationBin]) -> str:
    """Accuracy against confidence, as the ``src`` of an ``<img>``."""
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], ":", color=GRAY, label="perfectly calibrated")
    photos = sum(each.photos for each in bins)
    axes.scatter(
        [100 * each.confidence for each in bins],
        [100 * each.accuracy for each in bins],
        [10 + 300 * each.photos / photos for each in bins],
        color=BLUE,
        label=f"answers, in {BINS} steps of confidence",
    )
    axes.set(xlabel="confidence, %", ylabel="named correctly, %", xlim=(0, 102), ylim=(-2, 104))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return _svg(figure)


def coverage_accuracy_chart(curve: list[CoveragePoint]) -> str:
    """The coverage-accuracy curve, as the ``src`` of an ``<img>``."""
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    axes = figure.subplots()
    points = {
        point.confidence: (100 * point.coverage, 100 * point.accuracy) for point in curve if point.accuracy is not None
    }
    axes.plot([coverage for coverage, _ in points.values()], [accuracy for _, accuracy in points.values()], color=BLUE)
    for confidence in MARKED_CONFIDENCES:
        if confidence in points:
            axes.plot(*points[confidence], "o", color=ORANGE)
            axes.annotate(
                f"above {100 * confidence:.0f} %", points[confidence], (-8, -4), textcoords="offset points", ha="right"
            )
    least = min([60, *(coverage for coverage, _ in points.values())])  # leaves room for the words beside the marks
    axes.set(xlabel="photos that get an answer, %", ylabel="named correctly among them, %", xlim=(least - 5, 101))
    axes.grid(alpha=0.3)
    return _svg(figure)


def verdict_chart(curve: VerdictCurve) -> str:
    """The share of each group of pictures that gets an answer, by strictness, as the ``src`` of an ``<img>``."""
    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for group in curve.groups:
        axes.plot([100 * each for each in curve.strictness], [100 * each for each in group.answered], label=group.name)
    axes.axvline(100 * STRICTNESS, color=GRAY, linestyle=":", label="default")
    axes.set(xlabel="known birds that may be refused, %", ylabel="pictures whose species is named, %", ylim=(-2, 102))
    axes.grid(alpha=0.3)
    axes.legend()
    return _svg(figure)


def _svg(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _data_url("image/svg+xml", file.getvalue())


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
