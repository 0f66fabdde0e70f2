"""How often small birds are found and named: python -m benchmarks.small_birds DATA BACKGROUNDS

DATA is a folder <label>/*.jpg, and BACKGROUNDS one of photos without birds, *.jpg. Prints a line of JSON for each
size of the birds. Every second background is used, those on which the numbers in ``inference/closer_look.py`` were not
chosen; ``--chosen-on`` uses the others.
"""

import argparse
import io
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inference.classifier import Classifier
from inference.photo import Photo, open_photo
from inference.regions import WHOLE
from tests.support.drawings import encoded
from tests.support.scenes import Scene, SceneArtist

from .parts import classifier

SHARES = (1.0, 0.5, 0.35, 0.2, 0.1)
FOUND = 0.3  # intersection over union


def main() -> None:
    arguments = parsed()
    photos = sorted(arguments.data.glob("*/*.jpg"))
    backgrounds = sorted(arguments.backgrounds.glob("*.jpg"))[0 if arguments.chosen_on else 1 :: 2]
    network = classifier()
    for share in arguments.shares:
        artist = SceneArtist(photos, backgrounds, arguments.size, arguments.seed)
        if arguments.two:
            print_metrics(share, two_birds(network, artist.with_two_birds(arguments.count, share)))
        else:
            print_metrics(share, one_bird(network, artist.with_one_bird(arguments.count, [share])))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_birds")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("backgrounds", type=Path, metavar="BACKGROUNDS")
    parser.add_argument("--count", type=int, default=120, help="of scenes for each size")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="of the shorter side that a bird takes")
    parser.add_argument("--size", type=int, nargs=2, default=(1600, 1600), help="of the scenes in pixels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--two", action="store_true", help="two birds in each scene")
    parser.add_argument("--chosen-on", action="store_true", help="take the other backgrounds")
    arguments = parser.parse_args()
    arguments.size = tuple(arguments.size)
    return arguments


def print_metrics(share: float, rows: Sequence[dict[str, float]]) -> None:
    """Print the mean of each value over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    means = {name: round(float(np.mean([row[name] for row in rows if name in row])), 3) for name in names}
    print(json.dumps({"share": share, "scenes": len(rows), **means}), flush=True)


def one_bird(network: Classifier, scenes: Iterable[Scene]) -> list[dict[str, float]]:
    """For each scene what was right, and the time that the two answers took."""
    rows = []
    for scene in scenes:
        photo, (bird,) = opened(scene), scene.birds
        whole, whole_seconds = timed(network.classify, photo.pixels())
        answer, seconds = timed(network.classify, photo.pixels(), photo.picture())
        row = {"named without": whole.label == bird.label, "named": answer.label == bird.label}
        row |= {"looked closer": whole.wants_closer_look, "false second bird": bool(answer.others)}
        if whole.wants_closer_look:
            row["found"] = (answer.region or WHOLE).overlap(bird.box) >= FOUND
            row["times as long"] = seconds / whole_seconds
        rows.append(row)
    return rows


def two_birds(network: Classifier, scenes: Iterable[Scene]) -> list[dict[str, float]]:
    """For each scene how many birds were named, and whether both were found."""
    rows = []
    for scene in scenes:
        photo = opened(scene)
        first = network.classify(photo.pixels(), photo.picture())
        answers = [first, *first.others]
        found = [max(answers, key=lambda answer: (answer.region or WHOLE).overlap(bird.box)) for bird in scene.birds]
        named = [
            (answer.region or WHOLE).overlap(bird.box) >= FOUND and answer.label == bird.label
            for answer, bird in zip(found, scene.birds, strict=True)
        ]
        rows.append({"one named": any(named), "both named": all(named), "false third bird": len(answers) > 2})
    return rows


def opened(scene: Scene) -> Photo:
    return open_photo(io.BytesIO(encoded(scene.image, "JPEG", quality=92)), for_picture=True)


def timed(call: Any, *arguments: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    value = call(*arguments)
    return value, time.perf_counter() - started


if __name__ == "__main__":
    main()
