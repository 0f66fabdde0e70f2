"""The network alone: how fast it is with each engine and in each precision, and how accurate."""

import contextlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from inference.options import EngineName, Precision
from inference.processor import has_bfloat16
from tests.support import servers

from . import parts, precision
from .compared import BLOCK, in_turn
from .table import APP, PLAIN, TENSORFLOW, compare, row

Part = tuple[str, ...]  # its name and arguments, as ``parts.running`` takes them


def classify(engine: EngineName, precision: Precision) -> Part:
    """From pixels to an ``Identification``."""
    return "classify", engine, precision


#: The rows: which part is measured in which column.
ROWS: dict[str, dict[str, Part]] = {
    "the classifier alone": {
        PLAIN: ("predict",),
        TENSORFLOW: classify(EngineName.TENSORFLOW, Precision.FLOAT32),
        APP: ("classify",),
    },
    "— in float32": {
        TENSORFLOW: classify(EngineName.TENSORFLOW, Precision.FLOAT32),
        APP: classify(EngineName.ONNX, Precision.FLOAT32),
    },
    "— in bfloat16": {TENSORFLOW: classify(EngineName.TENSORFLOW, Precision.BFLOAT16)},
    "— in int8": {APP: classify(EngineName.ONNX, Precision.INT8)},
    "— the bare network": {TENSORFLOW: ("folded",), APP: ("network",)},
    "— the bare network, as it is in the file": {TENSORFLOW: ("unfolded",)},
}
IN_BFLOAT16 = "— in bfloat16"


def classifiers(rounds: int) -> None:
    """Print how fast the network is with each engine and in each precision."""
    rows = ROWS if has_bfloat16() else {what: parts for what, parts in ROWS.items() if what != IN_BFLOAT16}
    with contextlib.ExitStack() as stack:
        every = dict.fromkeys(part for cells in rows.values() for part in cells.values())
        run = {part: stack.enter_context(parts.running(*part)) for part in every}
        times = in_turn({part: partial(do, BLOCK) for part, do in run.items()}, rounds)
    for what, cells in rows.items():
        compare(what, {name: times[part] for name, part in cells.items()})


def accuracy(data: Path) -> None:
    """Print how many labelled photos are named correctly with each engine and in each precision."""
    command = [sys.executable, "-m", precision.__name__, data.absolute()]
    ended = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    for name, metrics in found["engines"].items():
        cell = ", ".join(f"{metrics[each]} {each}" for each in ("named correctly", "labels changed"))
        verdicts = ", ".join(f"{verdict} {share:.1%}" for verdict, share in metrics["verdicts"].items())
        is_tensorflow = EngineName.TENSORFLOW.in_words in name
        cells = [f"{cell}; {verdicts}" if verdicts else cell, ""]
        row(f"{found['photos']} labelled photos, {name}", "", *(cells if is_tensorflow else reversed(cells)))
