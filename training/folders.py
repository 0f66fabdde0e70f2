"""A folder, read once with all the folders inside it: where the photos lie, and what else is there."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from inference.formats import is_photo_file

from .faults import DataError, printable

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_SKIPPED = {"__MACOSX", "@eaDir"}  # macOS and Synology keep copies of names and thumbnails there


@dataclass(frozen=True, eq=False)
class Folder:
    """A folder, without its hidden files.

    :param name: its path below the folder that was given to training; empty for that one.
    :param photos: the photo files directly in it, by name.
    :param others: the names of the other files directly in it.
    :param folders: the folders directly in it, by name.
    :param error: why it cannot be opened; empty if it can.
    """

    path: Path
    name: str = ""
    photos: list[Path] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list["Folder"] = field(default_factory=list)
    error: str = ""

    @cached_property
    def all_photos(self) -> list[Path]:
        """The photo files in it and in the folders inside it, by path."""
        return sorted(photo for folder in self.walk() for photo in folder.photos)

    @property
    def all_others(self) -> list[str]:
        """The names of the other files in it and in the folders inside it."""
        return [name for folder in self.walk() for name in folder.others]

    @property
    def with_photos(self) -> list["Folder"]:
        """The folders directly in it that hold photos, whether directly or deeper."""
        return [folder for folder in self.folders if folder.all_photos]

    def walk(self) -> Iterator["Folder"]:
        """This folder and all inside it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    def name_of(self, file: str) -> str:
        """The name of a file directly in it, below the folder that was given to training."""
        return f"{self.name}/{printable(file)}" if self.name else printable(file)


def open_data(data: Path) -> Folder:
    """Look through the folder that was given to training.

    :raises DataError: it is not a folder, or cannot be opened.
    """
    if data.is_file() and data.suffix.lower() in _ARCHIVES:
        raise DataError(f"{data} is an archive. Unpack it first, and give training the folder that comes out of it.")
    if not data.is_dir():
        raise DataError(f"{data} is not a folder. Put your photos into a folder: {data}/<label>/.")
    tree = read_folder(data)
    if tree.error:
        raise DataError(f"{data}: {tree.error}")
    return tree


def read_folder(path: Path, name: str = "", above: frozenset[str] = frozenset()) -> Folder:
    """Look through a folder and all inside it.

    :param above: the real paths of the folders that it lies in. A link back to one of them counts as an empty folder.
    """
    real = os.path.realpath(path)
    folder = Folder(path, name)
    if real in above:
        return folder
    try:
        with os.scandir(path) as unsorted:
            entries = sorted(unsorted, key=lambda entry: entry.name)
    except OSError as error:
        return Folder(path, name, error=f"The folder cannot be opened: {error.strerror}.")
    for entry in entries:
        inside = path / entry.name
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry)):
            folder.folders.append(read_folder(inside, folder.name_of(entry.name), above | {real}))
        elif _is_photo(inside):
            folder.photos.append(inside)
        elif entry.is_symlink() and not os.path.exists(inside):  # a label whose photos are on a disk that is missing
            folder.folders.append(Folder(inside, folder.name_of(entry.name), error="The link leads nowhere."))
        else:
            folder.others.append(entry.name)
    return folder


def _is_photo(path: Path) -> bool:
    try:
        return is_photo_file(path)
    except OSError:
        return False  # not named like a photo, and it cannot be opened
