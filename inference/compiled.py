"""``compiled_network.zip``: a network compiled for ONNX Runtime, once for each precision, and how that was measured.

It is a cache: the ``.h5`` stays the model, and the file names its SHA-256. Nothing in it is run when it is read.
"""

import logging
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from .arrays import read_array, read_member
from .head import Scores
from .input_range import InputRange
from .manifest import Sha256
from .options import Precision
from .pooled_head import PooledHead

log = logging.getLogger(__name__)

COMPILED_FILE = "compiled_network.zip"  # in the folder of the .h5
ABOUT_FILE = "about.json"
MAX_ABOUT_SIZE = 2**20  # bytes; it takes about 1 kB
MAX_MEMBER_SIZE = 2**30  # bytes; InceptionV3 in float32 takes 88 MB


class CompiledError(ValueError):
    """A compiled network cannot be used; the message says why, and follows the name of its file."""


class Agreement(msgspec.Struct, frozen=True):
    """How a compiled network compares with the one that TensorFlow runs.

    :param photos: on how many it was measured.
    :param labels_changed: of how many of them it gives another label.
    :param largest_difference: of the probability of a label, 0 to 1.
    """

    photos: int
    labels_changed: int
    largest_difference: float


class About(msgspec.Struct, frozen=True):
    """What is known of a compiled network.

    :param model_sha256: of the ``.h5`` that it was compiled from.
    :param date: of the compilation, as ``2026-11-29``.
    :param versions: of the packages that compiled it.
    :param calibrated_on: the number of photos that the ranges of the int8 numbers come from; 0 without int8.
    :param input_range: of the pixel values that the network is given; the compiled network scales the pixels itself.
    :param input_range_reason: a sentence that says why.
    :param meaning: the name of what its scores mean.
    :param outputs: how many scores it gives for an image.
    :param takes_batches: whether it takes several images at once.
    :param takes_any_size: whether it takes images of any size.
    :param agreement: of each precision.
    """

    model_sha256: Sha256
    date: str
    versions: dict[str, str]
    calibrated_on: int
    input_range: InputRange
    input_range_reason: str
    meaning: str
    outputs: int
    takes_batches: bool
    takes_any_size: bool
    agreement: dict[Precision, Agreement]

    def in_words(self) -> str:
        """How far each precision agrees with TensorFlow, a line for each."""
        return "\n".join(
            f"{precision}: of {agreement.photos} images, {agreement.labels_changed} get another label than with "
            f"TensorFlow; probabilities differ by {agreement.largest_difference:.2g} at most."
            for precision, agreement in self.agreement.items()
        )

    def scores_mean(self) -> Scores:
        """What its scores mean.

        :raises KeyError: there is no such meaning.
        """
        return Scores[self.meaning]


@dataclass(frozen=True, eq=False)
class Compiled:
    """The content of the file.

    :param head: the last layers of the network, if it has such.
    :param networks: in the format of ONNX, for each precision.
    :param expected: the scores of each for the images of ``different_images``, ``float32[images, n]``.
    """

    about: About
    head: PooledHead | None
    networks: dict[Precision, bytes]
    expected: dict[Precision, NDArray[np.float32]]


def write_compiled(path: Path, compiled: Compiled) -> None:
    """Write the file, replacing an old one as a whole: a reader never sees half of it.

    :raises OSError: it cannot be written.
    """
    new = path.with_suffix(".new.zip")
    arrays = {f"{precision}.npy": scores for precision, scores in compiled.expected.items()}
    if compiled.head:
        arrays |= {"kernel.npy": compiled.head.kernel, "bias.npy": compiled.head.bias}
    with zipfile.ZipFile(new, "w") as archive:
        archive.writestr(ABOUT_FILE, msgspec.json.format(msgspec.json.encode(compiled.about), indent=1))
        for name, array in arrays.items():
            content = BytesIO()
            np.save(content, array.astype("float32"), allow_pickle=False)
            archive.writestr(name, content.getvalue())
        for precision, network in compiled.networks.items():
            archive.writestr(f"{precision}.onnx", network)
    new.replace(path)


def find_compiled(model_file: Path, model_sha256: str) -> "CompiledFile | None":
    """The compiled network beside a model. What is wrong with it is logged in one line and never raised.

    :return: None if there is none, or if it belongs to another model.
    """
    path = model_file.parent / COMPILED_FILE
    if not path.is_file():
        return None
    try:
        file = CompiledFile(path)
    except CompiledError as error:
        log.warning("%s is ignored: %s", path, error)
        return None
    if file.about.model_sha256 != model_sha256:
        log.warning(
            "%s is ignored: it belongs to another model than %s; flask --app application compile makes a new one.",
            path,
            model_file.name,
        )
        return None
    return file


class CompiledFile:
    """The file, opened.

    :raises CompiledError: it is not what ``write_compiled`` writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self.about = msgspec.json.decode(read_member(archive, ABOUT_FILE, MAX_ABOUT_SIZE), type=About)
            self.about.scores_mean()
        except (OSError, zipfile.BadZipFile, LookupError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            raise CompiledError("it is not a file that compile wrote.") from error

    @property
    def precisions(self) -> list[Precision]:
        """Those that it holds a network of."""
        return [precision for precision in Precision if precision in self.about.agreement]

    def read(self, precision: Precision) -> Compiled:
        """The network of one precision, which ``about`` names.

        :raises CompiledError: the file is damaged.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                head = self._head(archive)
                network = read_member(archive, f"{precision}.onnx", MAX_MEMBER_SIZE)
                expected = _read_numbers(archive, precision)
        # A damaged archive raises what zipfile and zlib find wrong with it, and NumPy what is wrong with an array.
        except Exception as error:
            raise CompiledError("it is damaged; compile the network again.") from error
        return Compiled(self.about, head, {precision: network}, {precision: expected})

    def _head(self, archive: zipfile.ZipFile) -> PooledHead | None:
        if "kernel.npy" not in archive.namelist():
            return None
        kernel, bias = (_read_numbers(archive, name) for name in ("kernel", "bias"))
        if kernel.ndim != 2 or bias.shape != kernel.shape[1:]:
            raise ValueError("a head that is none")
        return PooledHead(kernel, bias)


def _read_numbers(archive: zipfile.ZipFile, name: str) -> NDArray[np.float32]:
    array = read_array(archive, f"{name}.npy", MAX_MEMBER_SIZE)
    if array.dtype != np.float32:
        raise ValueError("not an array that write_compiled wrote")
    return array
