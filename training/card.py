"""The model card: what there is to know of a trained pair, for programs to read."""

import platform
import sys
from datetime import date
from pathlib import Path

import keras
import numpy as np
import PIL

from inference.card import sha256

from . import recipe
from .checkpoint import State
from .data import SEED, Dataset
from .evaluation import (
    answered_above,
    calibration_bins,
    calibration_error,
    most_confused,
    precision_and_recall,
    top_k,
    unsure_below,
)

PAIRS = 10  # most confused ones that are listed


def model_card(
    model: Path,
    dataset: Dataset,
    state: State,
    options: dict[str, object],
    temperature: float,
    probabilities: dict[str, np.ndarray],
    uncalibrated: np.ndarray,
) -> dict[str, object]:
    """Everything that was measured, ready for JSON.

    :param model: the saved network.
    :param options: how it was trained.
    :param temperature: what its logits were divided by.
    :param probabilities: what the saved network says of the pictures of each split but ``train``.
    :param uncalibrated: what it said of those of ``validation`` before.
    """
    labels, splits = list(dataset.class_indices), dataset.splits
    targets = {name: splits[name].targets for name in probabilities}
    judged_on = "test" if "test" in probabilities else "validation"
    judged, judged_targets = probabilities[judged_on], targets[judged_on]
    return {
        "model": {"file": model.name, "sha256": sha256(model), "bytes": model.stat().st_size},
        "date": date.today().isoformat(),
        "labels": labels,
        "pictures": {name: len(split.paths) for name, split in splits.items()},
        "left_out": _counts([fault.what for fault in dataset.faults if fault.remedy == "left out"]),
        "judged_on": judged_on,
        "accuracy": {
            name: {"top1": top_k(said, targets[name], 1), "top5": top_k(said, targets[name], 5)}
            for name, said in probabilities.items()
        },
        "species": species(dataset, probabilities),
        "confused": [
            {"labels": [labels[first], labels[second]], "times": times}
            for first, second, times in most_confused(judged, judged_targets)[:PAIRS]
        ],
        "calibration": {
            "method": "temperature scaling, fitted on validation, built into the last layer",
            "temperature": temperature,
            "expected_calibration_error": {
                name: calibration_error(said, targets[name]) for name, said in probabilities.items()
            },
            "expected_calibration_error_before": {"validation": calibration_error(uncalibrated, targets["validation"])},
            "bins": calibration_bins(judged, judged_targets),
        },
        "unsure_below": unsure_below(probabilities["validation"], targets["validation"]),
        "answered_above": answered_above(judged, judged_targets),
        "recipe": recipe.described() | options,
        "seed": SEED,
        "best_epoch": {"stage": state.best.stage + 1, "epoch": state.best.epoch},
        "history": state.history,
        "versions": versions(),
    }


def species(dataset: Dataset, probabilities: dict[str, np.ndarray]) -> list[dict[str, object]]:
    """For each label its pictures in each split, and precision and recall on each split and on all of them together."""
    classes = len(dataset.class_indices)
    targets = {name: dataset.splits[name].targets for name in probabilities}
    counts = {name: np.bincount(split.targets, minlength=classes) for name, split in dataset.splits.items()}
    figures = {name: precision_and_recall(said, targets[name], classes) for name, said in probabilities.items()}
    figures["held_out"] = precision_and_recall(
        np.concatenate(list(probabilities.values())), np.concatenate(list(targets.values())), classes
    )
    return [
        {"label": label, "train": {"pictures": int(counts["train"][index])}}
        | {name: of_split[index] for name, of_split in figures.items()}
        for label, index in dataset.class_indices.items()
    ]


def versions() -> dict[str, str]:
    """Of Python and of what the figures depend on."""
    backend = keras.backend.backend()
    return {"python": platform.python_version(), "backend": backend} | {
        name: module.__version__
        for name, module in {"keras": keras, backend: sys.modules[backend], "numpy": np, "pillow": PIL}.items()
    }


def _counts(kinds: list[str]) -> dict[str, int]:
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
