"""The command line on folders of photos, compared with the bare network: python -m benchmarks.folders [--data FOLDER]

FOLDER holds <label>/*.jpg, which are enlarged to 12 megapixels; without it, a drawing with added noise is read. The
network may not be sure of a drawing, and then each one gets a closer look.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from inference.closer_look import SURE
from inference.processor import usable_cores
from inference.sandbox import Sandbox
from tests.support import servers

from . import parts
from .compared import SETTINGS, in_turn
from .photos import phone_jpeg, small_jpeg
from .reduced_decode import enlarged
from .table import APP, TENSORFLOW, compare

DIFFERENT = 32  # photos; the others are copies of them
SETTLED = 0.125  # share of the photos at either end that are not measured: there network or readers work alone


@dataclass(frozen=True)
class Run:
    """How the command ran in the middle of a folder, where it read and classified at the same time.

    :param milliseconds: for each photo.
    :param processor: of processor time for each photo.
    :param closer_looks: how many photos of the whole folder got one.
    """

    milliseconds: float
    processor: float
    closer_looks: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.folders", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--jobs", type=int, nargs="*", default=[usable_cores()])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, parts.running("network") as network:
        folder = large_photos(Path(name), options.data, options.photos)
        size = statistics.mean(path.stat().st_size for path in folder.iterdir())
        wall, processor = reading(folder)
        print(f"reading a photo of {size / 1e6:.1f} MB: {wall:.1f} ms, {processor:.1f} core-ms", flush=True)
        for jobs in options.jobs:
            bare = network(100)
            run = identify(folder, {}, jobs)
            bare = statistics.median(bare + network(100))
            print(
                f"--jobs {jobs}: {run.milliseconds:.1f} ms a photo, {run.processor:.1f} core-ms, {run.closer_looks} "
                f"closer looks; the bare network {bare:.1f} ms: {bare / run.milliseconds:.2f} of its rate",
                flush=True,
            )


def rates(data: Path | None, count: int, rounds: int) -> None:
    """Print how many photos the command identifies in a second with each engine, in folders of small and large ones."""
    with tempfile.TemporaryDirectory() as name:
        small = small_photos(Path(name, "small"), data, 4 * count)
        compare(f"`identify`, {4 * count} JPEGs of 224 pixels", *_rates(runs_in_turn(small, rounds)))
        large = large_photos(Path(name, "large"), data, count)
        runs = runs_in_turn(large, rounds)
        looks = " and ".join(str(runs[each][0].closer_looks) for each in runs)
        compare(f"`identify`, {count} JPEGs of 12 megapixels, {looks} of which get a closer look", *_rates(runs))


def runs_in_turn(folder: Path, rounds: int) -> dict[str, list[Run]]:
    """Runs of the command on a folder with each engine."""

    def run(settings: Mapping[str, str]) -> list[Run]:
        return [identify(folder, settings, usable_cores())]

    return in_turn({each: partial(run, SETTINGS[each]) for each in (TENSORFLOW, APP)}, rounds)


def _rates(runs: Mapping[str, list[Run]]) -> tuple[dict[str, list[float]], str, str]:
    return {each: [1000 / run.milliseconds for run in runs[each]] for each in runs}, "/s", "as many"


def small_photos(folder: Path, data: Path | None, count: int) -> Path:
    """A folder of photos as they are, of about 224 pixels."""
    return filled(folder, [path.read_bytes() for path in some(data)] or [small_jpeg()], count)


def large_photos(folder: Path, data: Path | None, count: int) -> Path:
    """A folder of 12-megapixel JPEGs."""
    return filled(folder, [enlarged(path) for path in some(data)] or [phone_jpeg()], count)


def some(data: Path | None) -> list[Path]:
    """Different photos of a folder."""
    paths = sorted(data.glob("*/*.jpg")) if data else []
    return paths[:: max(1, len(paths) // DIFFERENT)][:DIFFERENT]


def filled(folder: Path, photos: list[bytes], count: int) -> Path:
    """Write so many files to a folder, the same ones again and again."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:04}.jpg").write_bytes(photos[number % len(photos)])
    return folder


def reading(folder: Path) -> tuple[float, float]:
    """The milliseconds that one process takes to read a photo while nothing else runs: wall time, processor time."""
    sandbox = Sandbox()
    sandbox.start()
    first, *others = sorted(folder.iterdir())[:65]
    sandbox.read_path(first)
    (process,) = (each for each in psutil.Process().children() if "inference.decoder" in each.cmdline())
    begun, used = time.perf_counter(), sum(process.cpu_times()[:2])
    for path in others:
        sandbox.read_path(path)
    wall, processor = time.perf_counter() - begun, sum(process.cpu_times()[:2]) - used
    sandbox.stop()
    return 1000 * wall / len(others), 1000 * processor / len(others)


def identify(folder: Path, settings: Mapping[str, str], jobs: int) -> Run:
    """Run the command on a folder."""
    command = [sys.executable, "-m", "flask", "--app", "application", "identify", folder, "--json", "--jobs", str(jobs)]
    count = len(list(folder.iterdir()))
    first, last = round(SETTLED * count), round((1 - SETTLED) * count)
    with subprocess.Popen(
        command, cwd=servers.ROOT, env=servers.environment(5000, folder.parent / "uploads", **settings),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        app = psutil.Process(process.pid)
        moments, closer_looks = [], 0
        for number, line in enumerate(process.stdout):
            if number in (first, last):
                moments.append((time.perf_counter(), processor_time(app)))
            closer_looks += got_closer_look(json.loads(line))
    (begun, used_before), (ended, used) = moments
    return Run(1000 * (ended - begun) / (last - first), 1000 * (used - used_before) / (last - first), closer_looks)


def got_closer_look(answer: dict[str, object]) -> bool:
    """Whether a large photo got a closer look: the network was not sure of all of it."""
    return answer["region"] is not None or answer["confidence"] < SURE


def processor_time(app: psutil.Process) -> float:
    """The seconds of processor time of the command and its decoder processes."""
    return sum(sum(process.cpu_times()[:2]) for process in [app, *app.children()])


if __name__ == "__main__":
    main()
