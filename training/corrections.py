"""Decisions about doubtful labels, applied to the photos that are trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from .data import Dataset, Split
from .faults import DataError, Fault
from .label_decisions import DECISIONS_FILE, Choice, Decision, path_key, read_decisions

LEFT_OUT = -1  # in place of a class index: the photo shows none of the labels, or nothing to learn from

#: Kinds of faults, as the table and ``left_out`` in the model card name them.
RELABELLED = "labels corrected by a decision"
DROPPED = "left out by a decision"


def find_decisions(data: Path, file: Path | None) -> Path | None:
    """The file with the decisions: the one given, or the one beside the photos if there is one."""
    beside = data / DECISIONS_FILE
    return file or (beside if beside.is_file() else None)


def apply_decisions(dataset: Dataset, data: Path, file: Path | None) -> Dataset:
    """Correct the labels in ``train`` and ``validation``, and leave photos out of them, as somebody decided.

    ``test`` stays as it is, so that results can be compared with those of other networks; what decisions say of it is
    in ``corrected``, for a second result. Which photos are in which split does not change.

    :param data: the folder that the paths in the file begin in.
    :param file: with the decisions; None if there is none.
    :raises DataError: the file cannot be used, or leaves a label without photos to learn from.
    """
    if file is None:
        return dataset
    decisions = read_decisions(file, dataset.class_indices)
    splits, corrected, faults, found = {}, {}, list(dataset.faults), set()
    for name, split in dataset.splits.items():
        keys = [path_key(path, data) for path in split.paths]
        found.update(keys)
        targets = split.targets.copy()
        for photo, key in enumerate(keys):
            decision = decisions.get(key)
            if decision and decision.choice in (Choice.RELABEL, Choice.LEAVE_OUT):
                targets[photo] = _target(decision, dataset.class_indices)
        changed = np.flatnonzero(targets != split.targets)
        faults += [
            _fault(name, decisions[keys[photo]], list(dataset.class_indices)[split.targets[photo]]) for photo in changed
        ]
        if name == "test":
            splits[name] = split
            if len(changed):
                corrected[name] = targets
        else:
            kept = np.flatnonzero(targets != LEFT_OUT)
            splits[name] = Split([split.paths[photo] for photo in kept], targets[kept])
    if decisions and not found & decisions.keys():
        path = next(iter(decisions))
        raise DataError(
            f"{file} is about other photos: none of its {len(decisions)} is trained on here, such as {path}. "
            f"Paths in it begin in {data}."
        )
    faults += [
        Fault("decisions on photos that are not trained on", path, f"line {decision.line} of {file.name}", "ignored")
        for path, decision in decisions.items()
        if path not in found
    ]
    _check_labels_left(splits, dataset.class_indices, file)
    return replace(dataset, splits=splits, corrected=corrected, faults=faults)


def _target(decision: Decision, class_indices: dict[str, int]) -> int:
    return class_indices[decision.label] if decision.choice is Choice.RELABEL else LEFT_OUT


def _fault(split: str, decision: Decision, label: str) -> Fault:
    """The row of the table for a photo whose label was decided to be another, or none."""
    if decision.choice is Choice.RELABEL:
        what, why, remedy = RELABELLED, f"{label}: {decision.label}", "relabelled"
    else:
        what, why, remedy = DROPPED, label, "left out"
    if split == "test":
        return Fault(f"{what}, in test", decision.path, why, "evaluated both as they are and as corrected")
    return Fault(what, decision.path, why, remedy)


def _check_labels_left(splits: dict[str, Split], class_indices: dict[str, int], file: Path) -> None:
    """:raises DataError: a label has no photo to learn from, or nothing is left to validate with."""
    for label, index in class_indices.items():
        if index not in splits["train"].targets:
            raise DataError(
                f"{file} leaves no photo of {label} to learn from. Move the folders of that label out of the folder of "
                "photos, or change the decisions."
            )
    if not splits["validation"].paths:
        raise DataError(f"{file} leaves no photo to validate with. Change the decisions.")
