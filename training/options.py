"""The options of ``python -m training``."""

import argparse
from pathlib import Path

from . import network, recipe
from .command import path_argument
from .promotion import CANDIDATE_FOLDER

NOT_PROMOTED = 3  # exit status


def parse_options(description: str | None) -> argparse.Namespace:
    """Parse the command line, or end with a line that says what is wrong with it."""
    parser = argparse.ArgumentParser(prog="python -m training", description=description)
    parser.add_argument(
        "data",
        type=path_argument,
        help="folder with <label>/*, or with train/<label>/*, validation/<label>/*, test/<label>/*",
    )
    parser.add_argument(
        "--weights",
        default="imagenet",
        help="start from imagenet (default, downloaded), none, a weights file, or the .h5 of an earlier model pair",
    )
    parser.add_argument(
        "--more",
        type=path_argument,
        metavar="EXPORT",
        help="learn from visitors' corrections, too: a folder that feedback export wrote. If the output folder holds a "
        f"pair, the new one goes into {CANDIDATE_FOLDER}/ there, and takes its place only if it is not worse on the "
        f"test photos and better on corrections held out; otherwise the exit status is {NOT_PROMOTED}",
    )
    parser.add_argument(
        "--decisions",
        type=Path,
        help="file with decisions about labels (default: DATA/label_decisions.csv, if it is there)",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("models"), help="folder for the pair (default: %(default)s)"
    )
    parser.add_argument(
        "--epochs",
        type=_at_least_one,
        help="passes over the photos in the last stage (default: "
        f"{recipe.FINE_TUNING_EPOCHS}, or {recipe.FURTHER_EPOCHS} from an earlier pair)",
    )
    parser.add_argument(
        "--precision",
        choices=["float32", "mixed_bfloat16"],
        default=network.fastest_precision(),
        help="numbers to compute with (default on this machine: %(default)s)",
    )
    parser.add_argument("--fresh", action="store_true", help="start over, even if an earlier training can be continued")
    parser.add_argument("--no-photographs", action="store_true", help="leave photos out of the report")
    parser.add_argument(
        "--examples",
        action="store_true",
        help="copy up to three small photos of each label into examples/, for the site to show: mind their licence",
    )
    return parser.parse_args()


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)
