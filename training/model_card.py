"""What training measured about a model, for programs to read; the schema is in ``inference/model_card.py``."""

import platform
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import keras
import numpy as np
import PIL
from msgspec import UNSET

from inference import model_card as schema
from inference.digest import sha256

from . import recipe
from .checkpoint import State
from .corrections import LEFT_OUT
from .data import SEED, Dataset
from .evaluation import (
    Floats,
    Ints,
    calibration_bins,
    calibration_error,
    confusion,
    coverage_accuracy_curve,
    most_confused,
    species_scores,
    top_k,
    unsure_below,
)

CONFUSED_PAIRS = 10  # the most frequent ones are listed


def build_card(
    model: Path,
    dataset: Dataset,
    state: State,
    options: dict[str, object],
    temperature: float,
    probabilities: dict[str, Floats],
    uncalibrated: Floats,
) -> schema.CardFile:
    """The model card: everything that was measured.

    :param model: the saved network.
    :param state: of the finished training; it has a best epoch.
    :param options: what the training was started with.
    :param temperature: what the logits were divided by.
    :param probabilities: the saved network's answers for each split but ``train``, ``float[photos, classes]``.
    :param uncalibrated: its answers for ``validation`` before calibration.
    """
    assert state.best is not None
    labels, splits = list(dataset.class_indices), dataset.splits
    targets = {name: splits[name].targets for name in probabilities}
    evaluation_split = "test" if "test" in probabilities else "validation"
    evaluated = probabilities[evaluation_split], targets[evaluation_split]
    return schema.CardFile(
        model=schema.ModelFile(file=model.name, sha256=sha256(model), size=model.stat().st_size),
        date=date.today().isoformat(),
        labels=labels,
        photos={name: len(split.paths) for name, split in splits.items()},
        corrections=schema.CorrectionPhotos(len(dataset.more.learned), len(dataset.more.held_out.paths))
        if dataset.more
        else UNSET,
        left_out=dict(Counter(fault.what for fault in dataset.faults if fault.remedy == "left out")),
        evaluation_split=evaluation_split,
        accuracy={
            name: schema.Accuracy(top1=top_k(answers, targets[name], 1), top5=top_k(answers, targets[name], 5))
            for name, answers in probabilities.items()
        },
        accuracy_corrected={
            name: corrected_accuracy(probabilities[name], targets[name], corrected)
            for name, corrected in dataset.corrected.items()
            if (corrected != LEFT_OUT).any()
        }
        or UNSET,
        species=species_entries(dataset, probabilities),
        confused=[
            schema.ConfusedPair(labels=(labels[first], labels[second]), times=times)
            for first, second, times in most_confused(*evaluated)[:CONFUSED_PAIRS]
        ],
        calibration=schema.Calibration(
            method="temperature scaling, fitted on validation, built into the last layer",
            temperature=temperature,
            error={name: calibration_error(answers, targets[name]) for name, answers in probabilities.items()},
            error_before={"validation": calibration_error(uncalibrated, targets["validation"])},
            bins=calibration_bins(*evaluated),
        ),
        unsure_below=unsure_below(probabilities["validation"], targets["validation"]),
        coverage_accuracy=coverage_accuracy_curve(*evaluated),
        recipe=recipe.described() | options,
        seed=SEED,
        best_epoch=schema.EpochNumber(stage=state.best.stage + 1, epoch=state.best.epoch),
        history=[{**epoch} for epoch in state.history],
        versions=versions(),
    )


def corrected_accuracy(probabilities: Floats, targets: Ints, corrected: Ints) -> schema.CorrectedAccuracy:
    """The accuracy on a split as decisions correct it.

    :param probabilities: the network's answers, ``float[photos, classes]``.
    :param targets: ``int[photos]``, as the folders say.
    :param corrected: ``int[photos]``, as decided; ``LEFT_OUT`` for a photo that does not count.
    """
    counts = corrected != LEFT_OUT
    return schema.CorrectedAccuracy(
        photos=int(counts.sum()),
        relabelled=int((counts & (corrected != targets)).sum()),
        left_out=int((~counts).sum()),
        top1=top_k(probabilities[counts], corrected[counts], 1),
        top5=top_k(probabilities[counts], corrected[counts], 5),
    )


def species_entries(dataset: Dataset, probabilities: dict[str, Floats]) -> list[schema.SpeciesEntry]:
    """For each label its photos, precision and recall in each split, and in all but ``train`` together.

    :param probabilities: as for ``build_card``.
    """
    classes = len(dataset.class_indices)
    training_photos = np.bincount(dataset.splits["train"].targets, minlength=classes)
    targets = {name: dataset.splits[name].targets for name in probabilities}
    scores = {name: species_scores(answers, targets[name], classes) for name, answers in probabilities.items()}
    held_out = np.concatenate(list(probabilities.values())), np.concatenate(list(targets.values()))
    held_out_scores = species_scores(*held_out, classes)
    labels = list(dataset.class_indices)
    confused_with: list[dict[str, int]] = [{} for _ in labels]
    for (index, named), photos in sorted(confusion(*held_out).items(), key=lambda item: (-item[1], item[0])):
        confused_with[index][labels[named]] = photos
    return [
        schema.SpeciesEntry(
            label=label,
            train=schema.TrainingPhotos(photos=int(training_photos[index])),
            held_out=held_out_scores[index],
            confused_with=confused_with[index],
            **{name: of_split[index] for name, of_split in scores.items()},
        )
        for label, index in dataset.class_indices.items()
    ]


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the metrics depend on."""
    backend = keras.backend.backend()
    return {"python": platform.python_version(), "backend": backend} | {
        name: module.__version__
        for name, module in {"keras": keras, backend: sys.modules[backend], "numpy": np, "pillow": PIL}.items()
    }


def write_card(path: Path, card: schema.CardFile) -> None:
    """Write the file, replacing an old one as a whole: a reader never sees half of it."""
    new = path.with_suffix(".new.json")
    new.write_bytes(schema.encode_card(card))
    new.replace(path)
