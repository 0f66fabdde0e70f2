"""The model file, checked without TensorFlow: is it a whole Keras model, and would loading it do any harm?

``python -m inference.keras_files.model_file PATH`` is the process that checks it.
"""

import contextlib
import json
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py

from ..confinement import confine_process, minimal_environment
from ..errors import PairError
from ..file_kinds import HDF5, ZIP, kind_of_file, read_head
from .archive import NotAModelError, check_archive, is_archive, network_groups
from .hdf5 import RefusedError, check_model_weights, read_description

MEMORY_LIMIT = 768 * 2**20  # bytes that the check may take: MAX_DESCRIPTION of JSON can become half a gigabyte
PROCESSOR_LIMIT = 5  # seconds of processor time for it; an InceptionV3 takes 0.3
CHECK_TIMEOUT = 60  # seconds on the clock, on a machine that is busy with other things


def check_model_file(path: Path) -> None:
    """Refuse a file that is plainly not a whole model, or is made to do harm.

    It is checked in a process of its own: HDF5 trusts the lengths in a file, and a damaged one can
    make it take gigabytes, or loop for ever. Only the description, the names and the sizes are read.

    :raises PairError: the file is missing, is of another kind, holds weights without a network, or refers to
        other files or to more memory than a network takes.
    """
    head = read_head(path, "Put your fine-tuned model there, or run python -m training DATA.")
    kind = kind_of_file(head)
    if kind and not head.startswith((HDF5, ZIP)):
        raise kind.refusal(path, HOW_TO_SAVE)
    try:
        checked = _check_in_process(path)
        if checked.returncode == -signal.SIGTERM:
            # Whoever stops the app ends all of its processes. Of the file that says nothing, and this one ends as well.
            checked = _check_in_process(path)
        fault = json.loads(checked.stdout) if checked.returncode == 0 else _DAMAGED
    except subprocess.TimeoutExpired:
        fault = _DAMAGED
    if fault:
        raise PairError(f"{path} {fault}")


def _check_in_process(path: Path) -> subprocess.CompletedProcess[bytes]:
    """Run ``main``.

    :raises TimeoutExpired: it takes too long.
    """
    return subprocess.run(
        [sys.executable, "-m", __spec__.name, path.absolute()],
        capture_output=True,
        cwd=Path(__file__).parents[2],
        env=minimal_environment(),
        timeout=CHECK_TIMEOUT,
    )


HOW_TO_SAVE = "Save the network with model.save('name.h5')."
_DAMAGED = f"is damaged. {HOW_TO_SAVE}"


def main() -> None:
    """Print what is wrong with the file that the command line names, as JSON, within limits of memory and time."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_LIMIT, PROCESSOR_LIMIT))
    confine_process()
    print(json.dumps(_fault(Path(sys.argv[1]))))


def _fault(path: Path) -> str | None:
    """What is wrong with a file, in words that follow its name; None if nothing is."""
    try:
        return _fault_of_archive(path) if is_archive(path) else _fault_of_hdf5(path)
    except RefusedError as error:
        return f"is refused: {error}. {HOW_TO_SAVE}"
    # On a damaged file, h5py and zipfile raise exceptions of many kinds, here and below.
    except Exception:
        return _DAMAGED


def _fault_of_archive(path: Path) -> str | None:
    """The same for a ZIP archive, which a ``.keras`` file is.

    :raises RefusedError: it holds what no saved network needs.
    :raises Exception: of any kind; it is damaged.
    """
    try:
        check_archive(path)
    except NotAModelError:
        kind = kind_of_file(read_head(path, ""))
        return f"{kind.what}. {kind.remedy or HOW_TO_SAVE}" if kind else _DAMAGED
    except zipfile.BadZipFile:
        return "is a ZIP archive, as .keras files are, but is cut short or damaged. Copy or download it again."
    return None


def _fault_of_hdf5(path: Path) -> str | None:
    """The same for any other file.

    :raises RefusedError: it holds what no saved network needs.
    :raises Exception: of any kind; it is damaged.
    """
    try:
        file = h5py.File(path)
    except Exception as error:
        sizes = re.search(r"eof = (\d+),.* stored_eof = (\d+)", str(error))
        if sizes:
            return f"is cut short: it has {sizes[1]} of its {sizes[2]} bytes. Copy or download it again."
        return f"is not a file that Keras saved. {HOW_TO_SAVE}"
    with file:
        if "model_config" not in file.attrs:
            return f"{_kind_of_hdf5(file)}. {HOW_TO_SAVE}"
        read_description(file)
        file.attrs.get("training_config")  # the app will read it as well
        check_model_weights(file)
    return None


def _kind_of_hdf5(file: h5py.File) -> str:
    """What a file holds instead of a network, in words that follow its name."""
    if "layer_names" in file.attrs or "model_weights" in file or network_groups(file):
        return "holds weights without the network, as model.save_weights saves them"
    return "is an HDF5 file, but Keras did not save it"


if __name__ == "__main__":
    main()
