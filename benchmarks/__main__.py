"""How fast the app is, compared with the plain recipe, and with the app with TensorFlow: python -m benchmarks [DATA]

Prints a table in Markdown. DATA holds <label>/*.jpg, to measure accuracy, and photos instead of drawings in folders.
"""

import argparse
import datetime
import os
import platform
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

from inference.compiled import find_compiled
from inference.options import Precision

from . import answers, engines, folders, memory, parts, table
from .compared import all_served, engine_at
from .overload import overload
from .photos import FILES, SMALL
from .table import APP, PLAIN, TENSORFLOW

LEAST_SECONDS = 3  # of load; in fewer, the plain recipe may answer none of 16 clients
PACKAGES = ("tensorflow", "onnxruntime", "gunicorn")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time or so, to see whether it works")
    options = parser.parse_args()
    pair = parts.checked_pair()
    compiled = find_compiled(pair.model_file, pair.sha256)
    if compiled is None or Precision.INT8 not in compiled.precisions:
        parser.error(f"{pair.model_file} is not compiled to int8: flask --app application compile --photos FOLDER")
    share = 10 if options.quick else 1
    print(machine(), "\n", sep="", flush=True)
    table.head()
    with tempfile.TemporaryDirectory() as folder:
        answers.starts(Path(folder), 1 if options.quick else 3)
        servers(Path(folder), share)
    engines.classifiers(10 // share)
    folders.rates(options.data, 32 if options.quick else 128, 1 if options.quick else 2)
    if options.data:
        engines.accuracy(options.data)


def machine() -> str:
    """The machine and the versions that the measurements are for."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.is_file() else None
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{datetime.date.today()}, {os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"Python {platform.python_version()}, {versions}"
    )


def servers(folder: Path, share: int) -> None:
    """The rows for which all servers run.

    :param share: 1 for all measurements, 10 for a tenth of them.
    """
    files = {name: draw() for name, draw in FILES.items()}
    with all_served(folder) as addresses:
        table.row(
            "what runs the network", "`model.predict`", *(engine_at(addresses[name]) for name in (TENSORFLOW, APP))
        )
        memory.idle(addresses)
        for name, content in files.items():
            answers.warm(addresses, name, content, 10 // share)
        answers.closer_look(addresses, max(2, 10 // share))
        for clients in (1, 4, 16):
            answers.rates(addresses, files[SMALL], clients, max(LEAST_SECONDS, 10 / share), 1 if share > 1 else 2)
        with parts.running("network") as network:
            for heeding in (True, False):
                overload(addresses, files[SMALL], network, 60 / share, heeding=heeding)
        memory.after_answers(
            addresses, files[SMALL], {PLAIN: 1000 // share, TENSORFLOW: 2000 // share, APP: 10_000 // share}
        )
        for name, content in files.items():
            answers.steps(addresses, name, content, max(1, 5 // share))


if __name__ == "__main__":
    main()
