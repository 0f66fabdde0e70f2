"""Write docs/keras-applications.md: which networks of ``keras.applications`` load and keep their scores.

``python -m docs.keras_applications FOLDER PYTHON... [--only NAME...]`` builds each network with each PYTHON, whose
Keras may be any release, for example 2.15 (``pip install tensorflow-cpu==2.15.1``). All of them take an hour or more.
What was found is kept in FOLDER, so the same command continues; the networks themselves are deleted.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from docs import keras_application
from inference.errors import PairError

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_name("keras-applications.md")
TOLERANCE = 1e-4  # of a score
TIMEOUT = 1800  # seconds to build and save one, and to load it

HEADING = """# Networks of keras.applications

Each network was built with random weights and a head of ten classes, saved whole as `.h5` by the Keras that is named,
loaded by this app, and asked about the same image. It passes if no score differs by more than {tolerance:g}. The app
then moves the scaling of each BatchNormalization into the convolution before it, which rounds differently: the last
figure says how much that adds up to in a network whose random weights were never trained.

The scales of BatchNormalization are random numbers from 0.02 to 0.3. With numbers around 1, the deepest of these
untrained networks differ by more than the limit, ResNetRS270 by 0.001.

`python -m docs.keras_applications FOLDER PYTHON...` writes this table. {passed} of {all} pass.

| network | Keras | MB | largest score | largest difference | result | difference when folded |
| --- | --- | ---: | ---: | ---: | --- | ---: |
"""


def main() -> None:
    """Try what has not been tried yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for python in arguments.pythons:
        version = run(python, "-c", "import keras; print(keras.__version__)").splitlines()[-1]
        for name in arguments.only or run(python, keras_application.__file__).splitlines():
            result = arguments.folder / f"{name} {version}.json"
            if not result.exists():
                found = {"network": name, "keras": version, **attempt(python, name)}
                result.write_text(json.dumps(found))
                print(found, flush=True)
    write_table([json.loads(file.read_text()) for file in sorted(arguments.folder.glob("*.json"))])


def attempt(python: str, name: str) -> dict[str, object]:
    """Build one network and load it, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(python, keras_application.__file__, name, folder)
            size = (Path(folder) / "network.h5").stat().st_size
            found = json.loads(run(sys.executable, "-m", __spec__.name, "--load", folder).splitlines()[-1])
        except subprocess.CalledProcessError as error:
            return {"fault": error.stderr.strip().splitlines()[-1][:300]}
        except subprocess.TimeoutExpired:
            return {"fault": f"takes more than {TIMEOUT} seconds"}
    return {"megabytes": size / 1e6, **found}


def run(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=TIMEOUT).stdout


def load(folder: Path) -> dict[str, object]:
    """Load a network as the app does, and compare its scores with those that were saved with it."""
    from inference.folding import fold_batch_normalization
    from inference.keras_files.model_file import check_model_file
    from inference.keras_files.network import load_network

    expected = np.load(folder / "scores.npy")
    try:
        check_model_file(folder / "network.h5")
        network = load_network(folder / "network.h5")
    except PairError as error:
        return {"fault": str(error).removeprefix(f"{folder}/network.h5 ")}
    image = keras_application.images()[:1]
    loaded = np.asarray(network(image, training=False))
    fold_batch_normalization(network)
    folded = np.asarray(network(image, training=False))
    return {
        "score": float(expected.max()),
        "difference": float(np.abs(loaded - expected).max()),
        "folded": float(np.abs(folded - expected).max()),
    }


def write_table(results: list[dict[str, object]]) -> None:
    """Write a line on each network."""
    lines = [line(result) for result in results]
    passed = sum("| passes |" in each for each in lines)
    heading = HEADING.format(tolerance=TOLERANCE, passed=passed, all=len(lines))
    TABLE.write_text(heading + "\n".join(lines) + "\n")


def line(result: dict[str, object]) -> str:
    """A network's line of the table."""
    start = f"| {result['network']} | {result['keras']} |"
    if "fault" in result:
        return f"{start} | | | {result['fault']} | |"
    verdict = "passes" if result["difference"] <= TOLERANCE else "**differs**"
    figures = f"{result['megabytes']:.0f} | {result['score']:.3f} | {result['difference']:.0e}"
    return f"{start} {figures} | {verdict} | {result['folded']:.0e} |"


if __name__ == "__main__":
    if sys.argv[1] == "--load":
        print(json.dumps(load(Path(sys.argv[2]))))
    else:
        main()
