"""What lies where a file of the pair should be: told by its first bytes, and said in words that follow its name."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from .errors import PairError

HDF5 = b"\x89HDF\r\n\x1a\n"
NUMPY = b"\x93NUMPY"
ZIP = b"PK\x03\x04"

HEAD_SIZE = 4096  # bytes; every kind below shows in them
MAX_QUOTED = 40  # characters of a text file


class FileKind(NamedTuple):
    """A kind of file.

    :param what: what it is, in words that follow the file's name.
    :param remedy: what to do about it; empty if another file has to be saved.
    """

    what: str
    remedy: str = ""

    def refusal(self, path: Path, how_to_save: str) -> PairError:
        """The error for a file of this kind that cannot be used as what it should be.

        :param how_to_save: the remedy for the kinds that have none of their own.
        """
        return PairError(f"{path} {self.what}. {self.remedy or how_to_save}")


_EMPTY = FileKind("is empty", "Copy or download it again.")
_WEB_PAGE = FileKind(
    "is a web page, not the file that it offers",
    "Download the file itself: on GitHub with “Download raw file”, on Google Drive with the button on that page.",
)
_PYTORCH = FileKind("is a PyTorch model, and only Keras models can be used")
_SWAPPED = "BIRD_MODEL names the model, BIRD_LABELS its labels."
_UNPACK = "Unpack it, and use the file that is in it."

_BEGINNINGS = {
    HDF5: FileKind("is an HDF5 file, as a model is", _SWAPPED),
    NUMPY: FileKind("is a NumPy file, as labels are", _SWAPPED),
    b"version https://git-lfs": FileKind("is a Git LFS pointer, which stands for the file", "Run git lfs pull."),
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": _PYTORCH,  # the magic number of releases before 1.6
    b"\x1f\x8b": FileKind("is compressed with gzip", _UNPACK),
    b"BZh": FileKind("is compressed with bzip2", _UNPACK),
    b"\xfd7zXZ\0": FileKind("is compressed with xz", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": FileKind("is a 7-Zip archive", _UNPACK),
    b"Rar!\x1a\x07": FileKind("is a RAR archive", _UNPACK),
    b"\x08\x01\x12": FileKind("is the saved_model.pb of a SavedModel"),
    **{
        b"\x80%c" % protocol: FileKind("is a pickle, which could run any code and is not loaded")
        for protocol in range(2, 6)
    },
}


def read_head(path: Path, if_missing: str) -> bytes:
    """The first ``HEAD_SIZE`` bytes of a file of the pair.

    :param if_missing: what to do if it is missing.
    :raises PairError: it is missing, is a folder, or cannot be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _kind_of_folder(path).refusal(path, "BIRD_MODEL and BIRD_LABELS name the files themselves.")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
            raise PairError(f"{path} is not a file.")
        with path.open("rb") as file:
            return file.read(HEAD_SIZE)
    except FileNotFoundError as error:
        raise PairError(f"{path} {_absence(path)}. {if_missing}") from error
    except PermissionError as error:
        raise PairError(f"{path} may not be read by this user. Change its permissions.") from error
    except OSError as error:
        raise PairError(f"{path} cannot be read: {error.strerror}.") from error


def kind_of_file(head: bytes) -> FileKind | None:
    """What a file is; None if its first bytes do not show it.

    :param head: its first ``HEAD_SIZE`` bytes, or all of them if it is shorter.
    """
    if not head:
        return _EMPTY
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    if head.startswith(ZIP):
        return _kind_of_zip(head)
    if head[4:8] == b"TFL3":
        return FileKind("is a TensorFlow Lite model, which no longer holds the Keras network")
    if head[257:262] == b"ustar":
        return FileKind("is a tar archive", _UNPACK)
    if head[8:10] == b'{"' and head[4:8] == bytes(4):  # after the length of this JSON, in eight bytes
        return FileKind("is a safetensors file, which holds weights without the network")
    if head[0] == 0x08 and any(name in head[:64] for name in (b"onnx", b"pytorch")):
        return FileKind("is an ONNX model, which no longer holds the Keras network")
    if head[0] == 0x0A and (b"Placeholder" in head or b"\x12\x05Const" in head):
        return FileKind("is a frozen TensorFlow graph, which no longer holds the Keras network")
    if not head.strip(b"\0"):
        return FileKind("begins with nothing but zeros, as a download does that was broken off", "Download it again.")
    return _kind_of_text(head)


def _kind_of_zip(head: bytes) -> FileKind:
    """What a ZIP archive is, by the name of its first file, whose length is in the bytes 26 and 27."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode(errors="replace")
    if name.endswith("/data.pkl"):
        return _PYTORCH
    if name.endswith(".npy"):
        return FileKind("is a file of np.savez, and np.save is needed")
    if name in ("metadata.json", "config.json"):
        return FileKind("is a .keras file, as a model is", _SWAPPED)
    return FileKind(f"is a ZIP archive that begins with {name!r:.{MAX_QUOTED}}", _UNPACK)


def _kind_of_text(head: bytes) -> FileKind | None:
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    start = text[:1000].lower()
    if start.startswith(("<!doctype html", "<html")) or "<head>" in start:
        return _WEB_PAGE
    if '"modelTopology"' in text or '"weightsManifest"' in text:
        return FileKind("is the model.json of TensorFlow.js, a description without the weights")
    if text.startswith("{") and '"class_name"' in text:
        return FileKind("is the JSON of model.to_json(), a description without the weights")
    if "model_checkpoint_path:" in text:
        return FileKind("is the index of TensorFlow checkpoints, which hold weights without the network")
    line = text.splitlines()[0] if text else ""
    if "\ufffd" in text[:-1] or not line.isprintable():  # the last character may be cut
        return None
    return FileKind(f"is a text file that begins with {line!r:.{MAX_QUOTED}}")


def _kind_of_folder(path: Path) -> FileKind:
    if (path / "saved_model.pb").exists():
        return FileKind(
            "is a SavedModel, a folder of TensorFlow's",
            "Load it with the TensorFlow that saved it, unless model.export did, and call model.save('name.h5').",
        )
    if (path / "config.json").exists():
        return FileKind("is an unpacked .keras file", "Pack the files in it again: zip -0 ../name.keras *")
    if (path / "model.json").exists():
        return FileKind("is a folder of TensorFlow.js", "Save the network with model.save('name.h5').")
    return FileKind("is a folder, not a file")


def _absence(path: Path) -> str:
    """What is the matter with the path of a file that does not exist, in words that follow it."""
    if path.is_symlink():
        return f"is a link to {os.readlink(path)}, which is missing"
    if path.parent.is_dir() and os.access(path.parent, os.R_OK):
        similar = sorted(other.name for other in path.parent.iterdir() if other.name.startswith(path.stem))
        if similar:
            return f"is missing, but {similar[0]} is there"
    return "is missing"
