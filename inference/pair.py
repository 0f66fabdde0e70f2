"""The model pair, checked before TensorFlow is imported."""

from dataclasses import dataclass
from pathlib import Path

from .digest import sha256
from .errors import PairError
from .keras_files.model_file import check_model_file
from .labels import load_labels
from .manifest import check_manifest

FileVersion = tuple[int, int, int]  # changes when a file is replaced or written to


@dataclass(frozen=True)
class Pair:
    """A model pair that has passed every check that needs no TensorFlow.

    :param model_file: a whole Keras model, an ``.h5`` or ``.keras`` file.
    :param labels_file: the ``.npy`` with its ``{label: index}``.
    :param labels: in the order of the network's outputs.
    :param sha256: of the model file.
    :param versions: of the two files, as they were when they were checked.
    """

    model_file: Path
    labels_file: Path
    labels: tuple[str, ...]
    sha256: str
    versions: tuple[FileVersion | None, FileVersion | None]

    def check_outputs(self, outputs: int) -> None:
        """Make sure that there is a label for each class that the network tells apart.

        :raises PairError: there are more or fewer.
        """
        if outputs != len(self.labels):
            raise PairError(
                f"{self.model_file} tells {outputs} classes apart, but {self.labels_file} holds {len(self.labels)} "
                "labels. Put in the two files of one training."
            )

    def check_unchanged(self) -> None:
        """Make sure that both files are still those that were checked.

        :raises PairError: one of them was replaced or changed.
        """
        for path, version in zip((self.model_file, self.labels_file), self.versions, strict=True):
            if _version(path) != version:
                raise PairError(f"{path} was replaced while it was being loaded; start again.")


def check_pair(model_file: Path, labels_file: Path) -> Pair:
    """Check the two files without TensorFlow, whose import takes seconds.

    :param model_file: a whole Keras model, an ``.h5`` or ``.keras`` file, as Keras 2 or 3 saved it.
    :param labels_file: the ``.npy`` with its ``{label: index}``.
    :raises PairError: one of them is missing or is not what it should be, or the labels are not those that were saved
        with the model.
    """
    versions = _version(model_file), _version(labels_file)
    labels = load_labels(labels_file)
    check_model_file(model_file)
    model_sha256 = sha256(model_file)
    check_manifest(model_file, model_sha256, labels_file)
    return Pair(model_file, labels_file, labels, model_sha256, versions)


def _version(path: Path) -> FileVersion | None:
    """Inode, size and time of change; None if there is no such file. A hash would be surer, but takes 50 ms."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
