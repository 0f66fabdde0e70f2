"""``examples/``: small photos of the species, which training copies there with ``--examples`` for the site to show.

The files are named after numbers, because a label may hold any characters, and after the model, so that an app that
still runs the model before finds none of its examples instead of those of another species.
"""

import logging
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from .manifest import Sha256

log = logging.getLogger(__name__)

EXAMPLES_FOLDER = "examples"  # in the folder of the .h5
EXAMPLES_FILE = "examples.json"  # in that folder
EXAMPLES_OF_LABEL = 3  # at most
MAX_LIST_SIZE = 2**20  # bytes; with ten thousand labels the list takes about 40 kB
MAX_EXAMPLE_SIZE = 128 * 2**10  # bytes; most take about 10 kB
_JPEG = b"\xff\xd8\xff"


class ExampleList(msgspec.Struct, frozen=True):
    """The file ``examples.json``.

    :param model_sha256: of the ``.h5`` that named these photos, 64 lowercase hexadecimal digits.
    :param photos: how many there are of each label, by class index.
    """

    model_sha256: Sha256
    photos: list[Annotated[int, msgspec.Meta(ge=0, le=EXAMPLES_OF_LABEL)]]


@dataclass(frozen=True)
class Examples:
    """The examples of one model.

    :param folder: where the files are.
    :param listed: which examples there are.
    """

    folder: Path
    listed: ExampleList

    def numbers(self, index: int) -> list[int]:
        """The numbers, from 1, of the examples of a label that can be shown.

        :param index: the class index of the label.
        """
        photos = self.listed.photos[index] if index < len(self.listed.photos) else 0
        return [number for number in range(1, photos + 1) if self._read(index, number)]

    def read(self, index: int, number: int) -> bytes | None:
        """An example, a JPEG file; None if there is none that can be shown."""
        return self._read(index, number) if number in self.numbers(index) else None

    def _read(self, index: int, number: int) -> bytes | None:
        path = self.folder / example_file(self.listed.model_sha256, index, number)
        try:
            status = path.lstat()  # not of the file that a link leads to
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_EXAMPLE_SIZE:
                return None
            content = path.read_bytes()
        except OSError:
            return None
        return content if content.startswith(_JPEG) else None


def example_file(model_sha256: str, index: int, number: int) -> str:
    """The name of the file of an example."""
    return f"{model_sha256[:8]}-{index}-{number}.jpg"


def load_examples(model_file: Path, model_sha256: str) -> Examples | None:
    """The examples beside a model. What is wrong with their list is logged in one line and never raised.

    :param model_file: the ``.h5``; the examples are in a folder in the same folder.
    :return: None if there are none, or if they belong to another model.
    """
    folder = model_file.parent / EXAMPLES_FOLDER
    path = folder / EXAMPLES_FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            listed = msgspec.json.decode(file.read(MAX_LIST_SIZE), type=ExampleList)
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        log.warning("%s is ignored: it is not a list of examples that training wrote.", path)
        return None
    if listed.model_sha256 != model_sha256:
        log.warning("%s is ignored: it belongs to another model than %s.", path, model_file.name)
        return None
    return Examples(folder, listed)


def write_example_list(folder: Path, listed: ExampleList) -> None:
    """Write ``examples.json`` into a folder, replacing an old one as a whole: a reader never sees half of it."""
    path = folder / EXAMPLES_FILE
    new = path.with_suffix(".new.json")
    new.write_bytes(msgspec.json.encode(listed) + b"\n")
    new.replace(path)
