"""The SHA-256 of a file. It identifies a model; other files in ``models/`` use it to name their model."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """The SHA-256 of the contents of a file, as 64 lowercase hexadecimal digits.

    :param path: the file; it is read in pieces, so its size does not matter.
    :raises OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
