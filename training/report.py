"""The report: one page for people, with everything in it."""

import base64
import io
from pathlib import Path

import jinja2
import numpy as np
from matplotlib.figure import Figure

from inference.photo import open_photo

from .data import Dataset, Fault
from .evaluation import BINS

EXTREMES = 10  # worst and best species that are shown
CONFIDENCES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)  # rows of the table of answers above a confidence
EXAMPLE_SIZE = 200  # pixels, the longer side of an example at most
BLUE, ORANGE, GREY = "#2b6cb0", "#c05621", "#8a8a8a"


def write_report(path: Path, card: dict, dataset: Dataset, probabilities: np.ndarray, *, photographs: bool) -> None:
    """Write the page.

    :param card: the model card.
    :param probabilities: ``float[pictures, classes]`` of the split that the card is judged on.
    :param photographs: show two pictures of each confused pair. The page then carries copies of them.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    judged = dataset.splits[card["judged_on"]]
    ranked = ranked_species(card)
    shown = min(EXTREMES, -(-len(ranked) // 2))
    page = templates.get_template("report.html").render(
        card=card,
        judged=card["accuracy"][card["judged_on"]],
        pictures_judged=len(judged.paths),
        curves=curves(card["history"]),
        reliability=reliability(card["calibration"]["bins"]),
        answered=answered(card["answered_above"]),
        answered_rows=[row for row in card["answered_above"] if row["confidence"] in CONFIDENCES],
        worst=ranked[:shown],
        best=ranked[::-1][:shown],
        pairs=confused_pairs(card, dataset, probabilities, photographs=photographs),
        faults=faults_by_kind(dataset.faults),
    )
    new = path.with_suffix(".new.html")
    new.write_text(page, encoding="utf-8")
    new.replace(path)


def ranked_species(card: dict) -> list[dict]:
    """The species that were judged, the worst first, by validation and test together."""
    judged = [species for species in card["species"] if species["held_out"]["pictures"]]
    return sorted(judged, key=lambda species: (species["held_out"]["recall"], species["held_out"]["precision"] or 0))


def faults_by_kind(faults: list[Fault]) -> dict[tuple[str, str], list[Fault]]:
    """The faults under what they are and what was done about them."""
    kinds = {}
    for fault in faults:
        kinds.setdefault((fault.what, fault.remedy), []).append(fault)
    return kinds


def confused_pairs(card: dict, dataset: Dataset, probabilities: np.ndarray, *, photographs: bool) -> list[dict]:
    """The most confused pairs, each with its two examples if there shall be photographs."""
    judged = dataset.splits[card["judged_on"]]
    pairs = []
    for pair in card["confused"]:
        indices = [dataset.class_indices[label] for label in pair["labels"]]
        examples = mistake_and_counterpart(probabilities, judged.targets, indices) if photographs else []
        pairs.append(
            pair
            | {
                "examples": [
                    {
                        "label": pair["labels"][indices.index(judged.targets[place])],
                        "answer": pair["labels"][indices.index(answer)] if answer in indices else None,
                        "confidence": float(probabilities[place].max()),
                        "source": example(judged.paths[place]),
                    }
                    for place in examples
                    for answer in [int(probabilities[place].argmax())]
                ]
            }
        )
    return pairs


def mistake_and_counterpart(probabilities: np.ndarray, targets: np.ndarray, pair: list[int]) -> list[int]:
    """Places of two pictures: the one that was most surely taken for the other of the pair, and the surest of that."""
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    mistakes = [
        place
        for label, other in (pair, pair[::-1])
        for place in np.flatnonzero((targets == label) & (answers == other)).tolist()
    ]
    mistake = max(mistakes, key=lambda place: confidence[place])
    others = np.flatnonzero(targets == answers[mistake])
    if not len(others):
        return [mistake]
    return [mistake, int(others[np.argmax(probabilities[others, answers[mistake]])])]


def example(path: Path) -> str:
    """A small copy of a picture, as the source of an ``<img>``."""
    return _data_url("image/jpeg", open_photo(path).thumbnail(EXAMPLE_SIZE))


def curves(history: list[dict]) -> str:
    """Loss and accuracy by epoch, as the source of an ``<img>``."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    epochs = np.arange(1, len(history) + 1)
    second_stage = next((place for place, row in enumerate(history) if row["stage"] > 0), 0)
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for axes, measure, title, factor in (
        (loss_axes, "loss", "Loss (cross-entropy)", 1),
        (accuracy_axes, "top1", "Right answers (top-1), %", 100),
    ):
        axes.plot(epochs, [factor * row[measure] for row in history], "o-", color=GREY, label="training, augmented")
        axes.plot(epochs, [factor * row["val_" + measure] for row in history], "o-", color=BLUE, label="validation")
        if second_stage:
            axes.axvline(second_stage + 0.5, color=GREY, linestyle=":", label="second stage begins")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    loss_axes.legend()
    return _svg(figure)


def reliability(bins: list[dict]) -> str:
    """How often the network is right against how sure it is, as the source of an ``<img>``."""
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], ":", color=GREY, label="perfectly honest")
    sizes = [10 + 300 * step["pictures"] / sum(other["pictures"] for other in bins) for step in bins]
    confidence, right = ([100 * step[name] for step in bins] for name in ("confidence", "right"))
    axes.scatter(confidence, right, sizes, color=BLUE, label=f"answers, in {BINS} steps of confidence")
    axes.set(xlabel="confidence, %", ylabel="right answers, %", xlim=(0, 102), ylim=(-2, 104))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return _svg(figure)


def answered(rows: list[dict]) -> str:
    """Right answers against the share of pictures that get one, as the source of an ``<img>``."""
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    axes = figure.subplots()
    spoken = [row for row in rows if row["right"] is not None]
    axes.plot([100 * row["answered"] for row in spoken], [100 * row["right"] for row in spoken], color=BLUE)
    lowest = min(60, *(100 * row["answered"] for row in spoken))  # at least room for the words beside the marks
    for row in spoken:
        if row["confidence"] in (0.5, 0.8, 0.9):
            point = (100 * row["answered"], 100 * row["right"])
            axes.plot(*point, "o", color=ORANGE)
            axes.annotate(
                f"above {100 * row['confidence']:.0f} %", point, (-8, -4), textcoords="offset points", ha="right"
            )
    axes.set(xlabel="pictures that get an answer, %", ylabel="right answers among them, %", xlim=(lowest - 5, 101))
    axes.grid(alpha=0.3)
    return _svg(figure)


def _svg(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _data_url("image/svg+xml", file.getvalue())


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
