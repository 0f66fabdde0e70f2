"""A ``.keras`` file: a ZIP archive with the description of a network and an HDF5 file with its weights.

Only these two are read, and neither is unpacked under a name that the archive chooses.
"""

import contextlib
import io
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import h5py

from ..file_kinds import ZIP
from .hdf5 import MAX_DESCRIPTION, RefusedError, check_arrays, parse_description

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_MEMBERS = 1000  # Keras writes three, and one for each table of words
DESCRIPTION, WEIGHTS = "config.json", "model.weights.h5"

#: The groups of weights: of Keras 2.15 and later, and of Keras 2.13 and 2.14.
LAYERS, OLD_LAYERS = "layers", "_layer_checkpoint_dependencies"


class NotAModelError(ValueError):
    """A ZIP archive is not a ``.keras`` file."""


def is_archive(path: Path) -> bool:
    """Whether a file begins like a ZIP archive, whatever its name is.

    :raises OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(ZIP)) == ZIP


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[tuple[Any, h5py.File]]:
    """The description in a ``.keras`` file, parsed, and its weights.

    :raises NotAModelError: it is another archive.
    :raises RefusedError: it holds what no saved network needs.
    :raises Exception: of any kind; it is damaged.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if len(names) > MAX_MEMBERS or len({*names}) < len(names):
            raise RefusedError(f"it holds more than {MAX_MEMBERS} files, or two of one name")
        if DESCRIPTION not in names:
            raise NotAModelError
        if WEIGHTS not in names:
            raise RefusedError(f"it holds no {WEIGHTS}")
        with _StoredFile(archive, DESCRIPTION) as description:
            config = parse_description(description.read(MAX_DESCRIPTION + 1))
        with _StoredFile(archive, WEIGHTS) as weights, h5py.File(weights) as hdf5:
            yield config, hdf5


def check_archive(path: Path) -> None:
    """Check a ``.keras`` file as far as it will be loaded, without reading a weight.

    :raises NotAModelError: it is another archive.
    :raises RefusedError: it holds what no saved network needs.
    :raises Exception: of any kind; it is damaged.
    """
    with open_archive(path) as (_config, weights):
        check_arrays(weights, network_groups(weights))


def network_groups(weights: h5py.File) -> list[str]:
    """The groups in the root of a weights file that belong to the network, not to its optimizer or its metrics."""
    return [name for name in weights if path_parts(name)[0] in (LAYERS, OLD_LAYERS, "vars")]


def path_parts(path: str) -> tuple[str, ...]:
    """The names in the path of a group or an array, which Keras 2 on Windows joined with backslashes."""
    return tuple(re.split(r"[/\\]", path))


class _StoredFile(io.RawIOBase):
    """A member of a ZIP archive that is stored as it is, for reading.

    ``zipfile`` has one, too, but before Python 3.13 it goes backwards by reading again from the start.

    :raises RefusedError: the member is compressed or encrypted, or reaches beyond the file.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        info = archive.getinfo(name)
        if info.flag_bits & 1:
            raise RefusedError(f"{name} in it is encrypted")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise RefusedError(f"{name} in it is compressed, which Keras does not do")
        archive.open(info).close()  # compares the headers at both places
        assert archive.fp is not None  # it is open
        self._file: IO[bytes] = archive.fp
        self._file.seek(info.header_offset + 26)
        lengths = self._file.read(4)  # of the name and of further fields, which come before the content
        self._start = info.header_offset + 30 + sum(struct.unpack("<HH", lengths))
        self._size, self._position = info.file_size, 0
        if self._start + self._size > self._file.seek(0, io.SEEK_END):
            raise RefusedError(f"{name} in it reaches beyond the end of the file")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._position)
        content = self._file.read(max(0, min(len(view), self._size - self._position)))
        view[: len(content)] = content
        self._position += len(content)
        return len(content)
