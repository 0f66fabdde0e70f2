"""``class_indices.npy``, read without running what is inside it.

The file is a NumPy object array around one dict ``{label: index}``, which NumPy stores as a pickle,
and a pickle may name any function to be called when it is read. Here every name that NumPy writes is
replaced by a substitute of our own and every other name is refused, so nothing that the file asks
for is ever imported or called (https://docs.python.org/3/library/pickle.html#restricting-globals).
"""

import io
import pickle
import pickletools
import unicodedata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .errors import PairError
from .file_kinds import NUMPY, kind_of_file, read_head

MAX_FILE_SIZE = 4 * 2**20  # bytes; a hundred thousand labels take about 3 MB
MAX_LABEL_LENGTH = 255  # characters; the name of a folder of photos can be that long
MAX_SCALAR_SIZE = 1024  # bytes of a label that is a NumPy string, four for each character
MAX_INNER_TUPLES = 8  # NumPy writes two, which are shapes

# Marks that change the direction of the text after them, the percentage after the label included
# (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters).
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def load_labels(path: Path) -> tuple[str, ...]:
    """The labels in the order of the network's outputs.

    :param path: a ``.npy`` file holding one dict ``{label: index}``, or ``{index: label}``.
    :raises PairError: the file is missing, is not such a file, or its indices are not 0 to n - 1.
    """
    class_indices = _by_label(_read_dict(path))
    if not all(isinstance(label, str) for label in class_indices):
        raise PairError(f"{path} does not map names to numbers. {_HOW_TO_SAVE}")
    labels = sorted(class_indices, key=lambda label: _as_index(class_indices[label]))
    if len(labels) < 2 or [_as_index(class_indices[label]) for label in labels] != list(range(len(labels))):
        raise PairError(f"{path} does not number its {len(labels)} labels from 0 without gaps. {_HOW_TO_SAVE}")
    for label in labels:
        if not is_label(label):
            raise PairError(
                f"{path} holds the label {label!r:.80}, which is longer than {MAX_LABEL_LENGTH} characters or holds "
                "some that are not text. Name the species in words."
            )
    return tuple(labels)


def is_label(label: str) -> bool:
    """Whether a page can show a label: it is text, and not longer than ``MAX_LABEL_LENGTH``."""
    return len(label) <= MAX_LABEL_LENGTH and all(map(_is_text, label))


class _RefusedError(Exception):
    """The file asks for something that a list of labels does not need; the message says what."""


_HOW_TO_SAVE = "Save it with np.save(path, {label: index})."


def _is_text(character: str) -> bool:
    """Whether a page can show a character: not if it is a control character, other than white space, or a surrogate."""
    if character in _DIRECTION_MARKS:
        return False
    return character.isspace() or unicodedata.category(character) not in ("Cc", "Cs")


def _by_label(content: dict[Any, Any]) -> dict[Any, Any]:
    """``{label: index}`` of ``{index: label}``, as scripts save it to name an answer."""
    is_by_index = all(_as_index(index) >= 0 and isinstance(label, str) for index, label in content.items())
    return {label: index for index, label in content.items()} if is_by_index else content


def _as_index(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _read_dict(path: Path) -> dict[Any, Any]:
    head = read_head(path, "Put the model's class_indices.npy there.")
    kind = kind_of_file(head)
    if kind and not head.startswith(NUMPY):
        raise kind.refusal(path, _HOW_TO_SAVE)
    try:
        if path.stat().st_size > MAX_FILE_SIZE:
            raise PairError(f"{path} is larger than {MAX_FILE_SIZE // 2**20} MB, too large for a list of labels.")
        with path.open("rb") as file:
            # NumPy would allocate as many bytes for the header as it claims to be long.
            content = _read_object_array(io.BytesIO(file.read(MAX_FILE_SIZE)))
    except OSError as error:
        raise PairError(f"{path} cannot be read: {error.strerror}.") from error
    except _RefusedError as error:
        raise PairError(f"{path} is refused: {error}. {_HOW_TO_SAVE}") from error
    except PairError:
        raise
    # A crafted pickle can misuse any opcode; whatever that raises, the file is not one that NumPy wrote.
    except Exception as error:
        raise PairError(f"{path} is not a file that NumPy saved. {_HOW_TO_SAVE}") from error
    if not isinstance(content, dict):
        raise PairError(f"{path} does not hold a dict. {_HOW_TO_SAVE}")
    return content


def _read_object_array(file: BinaryIO) -> object:
    """The one element of the object array in a ``.npy`` file (format version 1.0 or 2.0)."""
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    _shape, _fortran_order, dtype = read_header[version](file)
    if dtype != np.dtype(object):
        raise _RefusedError("it holds numbers or text, not a dict")
    pickled = file.read()
    _check_opcodes(pickled)
    array = _LabelsUnpickler(io.BytesIO(pickled)).load()
    (element,) = array.elements
    return element


def _check_opcodes(pickled: bytes) -> None:
    """Look through the pickle for what would make reading it expensive.

    :raises _RefusedError: reading it would take far more memory or stack than its length.
    """
    inner_tuples, after_tuple = 0, False
    for opcode, argument, _position in pickletools.genops(pickled):
        # The C unpickler allocates its memo up to the largest number that is named here.
        if opcode.name in ("PUT", "LONG_BINPUT") and (argument or 0) > len(pickled):
            raise _RefusedError("its pickle asks for more memory than it is long")
        if opcode.name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            continue
        # Tuples that are not the arguments of a call may be nested as deep as the file is long, and Python
        # hashes a key by recursion.
        inner_tuples += after_tuple and opcode.name not in ("REDUCE", "BUILD")
        if inner_tuples > MAX_INNER_TUPLES:
            raise _RefusedError("its pickle holds tuples, which a list of labels does not need")
        after_tuple = opcode.name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET")


class _Array:
    """The substitute for ``numpy.ndarray``: keeps the elements."""

    elements: list[object]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, _shape, _dtype, _fortran_order, self.elements = state


class _DType:
    """The substitute for ``numpy.dtype``: keeps kind and byte order."""

    def __init__(self, descriptor: str, *_flags: object) -> None:
        self.kind = descriptor[0]
        self.big_endian = False

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.big_endian = state[1] == ">"


def _scalar(dtype: _DType, data: bytes) -> int | str:
    """The substitute for ``numpy.core.multiarray.scalar``: an integer or a string."""
    if len(data) > MAX_SCALAR_SIZE:
        raise _RefusedError("a label in it is too long")
    if dtype.kind == "U":
        return data.decode("utf-32-be" if dtype.big_endian else "utf-32-le").rstrip("\0")
    if dtype.kind in "iu":
        return int.from_bytes(data, "big" if dtype.big_endian else "little", signed=dtype.kind == "i")
    raise _RefusedError("an index in it is not a whole number")


_SUBSTITUTES = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): lambda *_arguments: _Array(),
    ("numpy.core.multiarray", "scalar"): _scalar,
}


class _LabelsUnpickler(pickle.Unpickler):
    """Reads what ``np.save`` writes for a dict, without NumPy."""

    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 renamed numpy.core to numpy._core.
        substitute = _SUBSTITUTES.get((module.replace("numpy._core", "numpy.core"), name))
        if substitute is None:
            raise _RefusedError(f"its pickle names {f'{module}.{name}'!r:.80}, which a list of labels does not need")
        return substitute
