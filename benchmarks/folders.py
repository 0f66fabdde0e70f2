"""The command line on 12-megapixel JPEGs, compared with the bare network: python -m benchmarks.folders [--data FOLDER]

FOLDER holds <label>/*.jpg, which are enlarged to 12 megapixels; without it, a drawing with added noise is read.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from inference.processor import usable_cores
from inference.sandbox import Sandbox
from tests.support import servers

from . import parts
from .photos import phone_jpeg
from .reduced_decode import enlarged

DIFFERENT = 32  # photos; the others are copies of them
SETTLED = 0.125  # share of the photos at either end that are not measured: there network or readers work alone


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.folders", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--jobs", type=int, nargs="*", default=[usable_cores()])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, parts.running("classify") as classify:
        folder = Path(name)
        fill(folder, options.data, options.photos)
        size = statistics.mean(path.stat().st_size for path in folder.iterdir())
        wall, processor = reading(folder)
        print(f"reading a photo of {size / 1e6:.1f} MB: {wall:.1f} ms, {processor:.1f} core-ms", flush=True)
        for jobs in options.jobs:
            bare = classify(100)
            command, processor = milliseconds_a_photo(folder, jobs)
            bare = statistics.median(bare + classify(100))
            print(
                f"--jobs {jobs}: {command:.1f} ms a photo, {processor:.1f} core-ms; the bare network {bare:.1f} ms: "
                f"{bare / command:.2f} of its rate",
                flush=True,
            )


def fill(folder: Path, data: Path | None, count: int) -> None:
    """Write 12-megapixel JPEGs to a folder."""
    paths = sorted(data.glob("*/*.jpg")) if data else []
    different = [enlarged(path) for path in paths[:: max(1, len(paths) // DIFFERENT)][:DIFFERENT]] or [phone_jpeg()]
    for number in range(count):
        (folder / f"{number:04}.jpg").write_bytes(different[number % len(different)])


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


def milliseconds_a_photo(folder: Path, jobs: int) -> tuple[float, float]:
    """The milliseconds that the command takes for each photo in the middle of its run: wall time, processor time."""
    command = [sys.executable, "-m", "flask", "--app", "application", "identify", folder, "--json", "--jobs", str(jobs)]
    count = len(list(folder.iterdir()))
    first, last = round(SETTLED * count), round((1 - SETTLED) * count)
    with subprocess.Popen(
        command, cwd=servers.ROOT, env=servers.environment(5000, folder.parent / "uploads"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        app = psutil.Process(process.pid)
        moments = []
        for number, _line in enumerate(process.stdout):
            if number in (first, last):
                moments.append((time.perf_counter(), processor_time(app)))
    (begun, used_before), (ended, used) = moments
    return 1000 * (ended - begun) / (last - first), 1000 * (used - used_before) / (last - first)


def processor_time(app: psutil.Process) -> float:
    """The seconds of processor time of the command and its decoder processes."""
    return sum(sum(process.cpu_times()[:2]) for process in [app, *app.children()])


if __name__ == "__main__":
    main()
