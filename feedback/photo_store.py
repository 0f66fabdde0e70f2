"""Where the photos are kept that people agreed to: a folder, or a bucket of S3 or of what speaks like it."""

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
    :raises OSError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def write(self, key: str, jpeg: bytes) -> None:
        """Keep a photo; a reader never sees half of it."""
        new = self._folder / f"{key}.new"
        try:
            new.write_bytes(jpeg)
            new.replace(self._folder / f"{key}.jpg")
        finally:
            new.unlink(missing_ok=True)

    def read(self, key: str) -> bytes | None:
        """A photo."""
        try:
            return (self._folder / f"{key}.jpg").read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Delete a photo."""
        (self._folder / f"{key}.jpg").unlink(missing_ok=True)


def open_photo_store(place: str) -> PhotoStore:
    """The store that a setting names.

    :param place: a folder, or ``s3://BUCKET/PREFIX``.
    :raises OSError: it cannot be used.
    """
    return FolderStore(Path(place))
