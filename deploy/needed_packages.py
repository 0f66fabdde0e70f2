"""Which packages serve a model pair: ``python deploy/needed_packages.py`` prints the file that lists them.

``make run`` and Elastic Beanstalk ask before they install anything, the latter with the Python of its system. So this
needs Python 3.9 and nothing else, and decides as ``inference/loader.py`` does later.
"""

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

WHOLE, SERVE = "requirements.txt", "requirements-serve.txt"
MODEL_FILE = Path(__file__).parent.parent / "models" / "bird_classify_finetune_IV3_final.h5"
COMPILED_FILE = "compiled_network.zip"
DEVICES = Path("/dev")


def why_tensorflow(environment: Mapping[str, str], has_gpu: bool) -> str:
    """Why TensorFlow is to run the network, as a sentence; empty if ONNX Runtime is, or if no network runs here.

    :param environment: the environment variables.
    :param has_gpu: whether there may be a GPU that TensorFlow can use.
    """
    engine, precision = environment.get("BIRD_ENGINE"), environment.get("BIRD_PRECISION")
    if environment.get("BIRD_QUEUE_URL") and environment.get("BIRD_SERVICE") != "worker":
        return ""
    if engine == "tensorflow":
        return "BIRD_ENGINE=tensorflow asks for it."
    if engine == "onnx" or precision == "int8":
        return ""
    if precision == "bfloat16":
        return "BIRD_PRECISION=bfloat16 asks for it."
    if has_gpu:
        return "there may be a GPU for it (BIRD_ENGINE=onnx does without)."
    model_file = Path(environment.get("BIRD_MODEL") or MODEL_FILE)
    return why_not_compiled(model_file, environment.get("BIRD_INPUT_RANGE") or "auto")


def why_not_compiled(model_file: Path, input_range: str) -> str:
    """Why there is no compiled network of a model, as a sentence; empty if there is, or if there is no such model.

    :param input_range: of the pixel values that the network is to be given; ``auto`` is any.
    """
    compiled = model_file.parent / COMPILED_FILE
    if not model_file.is_file():
        return ""  # the app says so when it starts
    if not compiled.is_file():
        return f"{model_file} is not compiled."
    try:
        with zipfile.ZipFile(compiled) as archive:
            about = json.loads(archive.read("about.json"))
        sha256, compiled_for = about["model_sha256"], about["input_range"]
    except (OSError, zipfile.BadZipFile, LookupError, TypeError, ValueError):
        return f"{compiled} is not a file that compile wrote."
    if sha256 != hashlib.sha256(model_file.read_bytes()).hexdigest():
        return f"{compiled} belongs to another model than {model_file.name}."
    if input_range not in ("auto", compiled_for):
        return f"{compiled} was compiled for another BIRD_INPUT_RANGE."
    return ""


def may_have_gpu() -> bool:
    """Whether there may be a GPU that TensorFlow can use."""
    return any(DEVICES.glob("nvidia[0-9]*")) or (DEVICES / "kfd").exists() or (DEVICES / "dxg").exists()


def main() -> None:
    """Print the name of the file, and on stderr why it is the long list."""
    why = why_tensorflow(os.environ, may_have_gpu())
    if why:
        print(f"TensorFlow is needed: {why}", file=sys.stderr)
    print(WHOLE if why else SERVE)


if __name__ == "__main__":
    main()
