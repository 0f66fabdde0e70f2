"""Where the photos are kept that people agreed to: a folder, or a bucket of S3 or of what speaks like it."""

import errno
import os
from pathlib import Path
from typing import Protocol


class PhotoStore(Protocol):
    """Photos by their keys. Keys are random hexadecimal digits."""

    def write(self, key: str, jpeg: bytes) -> None:
        """Keep a photo.

        :raises OSError: there is no room, or the store does not answer.
        """

    def read(self, key: str) -> bytes | None:
        """A photo; None if there is none with that key.

        :raises OSError: the store does not answer.
        """

    def delete(self, key: str) -> None:
        """Delete a photo; nothing happens if there is none.

        :raises OSError: the store does not answer.
        """


class FolderStore:
    """Photos in a folder: a ``PhotoStore``.

    :param folder: made if it is missing; nobody but this user may look into it.
    :raises OSError: it cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} cannot be read and written by this user")
        self._folder = folder

    def write(self, key: str, jpeg: bytes) -> None:
        """Keep a photo; a reader never sees half of it."""
        new = self._new(key)
        try:
            new.write_bytes(jpeg)
            new.replace(self._path(key))
        finally:
            new.unlink(missing_ok=True)

    def read(self, key: str) -> bytes | None:
        """A photo."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            self._check_folder()
            return None

    def delete(self, key: str) -> None:
        """Delete a photo, and what a process has left of it that was killed when it wrote it."""
        self._check_folder()
        self._path(key).unlink(missing_ok=True)
        self._new(key).unlink(missing_ok=True)

    def _check_folder(self) -> None:
        """Where there is no folder, as while a disk is missing, nobody knows which photos there are."""
        if not self._folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._folder))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.jpg"

    def _new(self, key: str) -> Path:
        return self._folder / f"{key}.new"


def open_photo_store(place: str) -> PhotoStore:
    """The store that a setting names.

    :param place: a folder, or ``s3://BUCKET/PREFIX``.
    :raises OSError: it cannot be used.
    """
    scheme, is_url, rest = place.partition("://")
    if not is_url:
        return FolderStore(Path(place))
    if scheme != "s3":
        raise OSError("it must be a folder or s3://BUCKET/PREFIX")
    from .s3_store import S3Store  # boto3 takes long to import

    bucket, _slash, prefix = rest.partition("/")
    return S3Store(bucket, prefix.strip("/"))
