"""``pair.json``: which ``.h5`` and which ``.npy`` were saved together.

Two files cannot be renamed in one step, so a process that starts while training replaces the pair could load the new
network with the old labels and give every bird a wrong name. The manifest, written before either file is renamed,
makes that state detectable.
"""

import logging
from pathlib import Path
from typing import Annotated

import msgspec

from .digest import sha256
from .errors import PairError

log = logging.getLogger(__name__)

MANIFEST_FILE = "pair.json"  # in the folder of the .h5
MAX_MANIFEST_SIZE = 4096  # bytes; a manifest takes about 180

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class PairManifest(msgspec.Struct, frozen=True):
    """The two files of a pair, by their contents.

    :param model_sha256: of the ``.h5``, 64 lowercase hexadecimal digits.
    :param labels_sha256: of the ``.npy`` that numbers the labels of that network.
    """

    model_sha256: Sha256
    labels_sha256: Sha256


def describe_pair(model_file: Path, labels_file: Path) -> PairManifest:
    """The manifest of two files that belong together.

    :raises OSError: one of them cannot be read.
    """
    return PairManifest(sha256(model_file), sha256(labels_file))


def write_manifest(folder: Path, manifest: PairManifest) -> None:
    """Write ``pair.json`` into a folder, replacing an old one as a whole: a reader never sees half of it."""
    path = folder / MANIFEST_FILE
    new = path.with_suffix(".new.json")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    new.replace(path)


def check_manifest(model_file: Path, model_sha256: str, labels_file: Path) -> None:
    """Refuse labels that were not saved with this model, if there is a manifest that says so.

    A manifest that is missing, cannot be read, or belongs to another model proves nothing: the operator may have put
    another pair beside an old manifest. The last two are logged in one line each.

    :param model_file: the ``.h5``; the manifest is in the same folder.
    :param model_sha256: of the ``.h5``.
    :raises PairError: the manifest belongs to this model, but names other labels.
    """
    path = model_file.parent / MANIFEST_FILE
    manifest = _read_manifest(path)
    if manifest is None:
        return
    if manifest.model_sha256 != model_sha256:
        log.warning("%s is ignored: it belongs to another model than %s.", path, model_file.name)
        return
    try:
        labels_sha256 = sha256(labels_file)
    except OSError as error:
        raise PairError(f"{labels_file} cannot be read: {error.strerror}.") from error
    if labels_sha256 != manifest.labels_sha256:
        raise PairError(
            f"{labels_file} does not hold the labels that were saved with {model_file.name}, says {path}. Training may "
            f"be replacing the two files: start again. If you changed the labels yourself, delete {path}."
        )


def _read_manifest(path: Path) -> PairManifest | None:
    """The manifest in a file; None if there is none, or if it cannot be read as one."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_MANIFEST_SIZE), type=PairManifest)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        log.warning("%s is ignored: it is not a manifest that training wrote.", path)
        return None
