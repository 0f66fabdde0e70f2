"""Sidecars: the files beside photos in which photo programs keep keywords. The photos themselves are never written."""

import glob
import os
import secrets
import shutil
from collections.abc import Collection
from pathlib import Path

from .xmp import KeywordPath, new_sidecar, with_keywords
from .xmp_packet import NotXmpError

EXTENSION = ".xmp"
MAX_SIZE = 64 * 2**20  # bytes; darktable's largest, with many drawn masks, have a few million


def sidecar_of(photo: Path) -> Path:
    """The sidecar of a photo, whether or not there is one.

    digiKam and darktable call it ``photo.jpg.xmp``, Lightroom ``photo.xmp``. The latter may belong to a raw file that
    lies beside the photo, so it is taken only if no other file has that name.
    """
    own = photo.with_name(photo.name + EXTENSION)
    shared = photo.with_suffix(EXTENSION)
    if own.exists() or not shared.exists() or _has_sibling(photo):
        return own
    return shared


def add_keywords(photo: Path, paths: Collection[KeywordPath]) -> bool:
    """Add keywords to the sidecar of a photo, or begin one with those that are in the photo.

    :return: whether it lacked any of them; if not, it is not written.
    :raises NotXmpError: the sidecar cannot be read as XMP.
    :raises OSError: it cannot be read or written, or the photo cannot be read.
    """
    sidecar = sidecar_of(photo)
    before = _read(sidecar) if sidecar.exists() else b""
    after = with_keywords(before or new_sidecar(photo.read_bytes()), paths)
    if after == before:
        return False
    _replace(Path(os.path.realpath(sidecar)), after)
    return True


def _read(sidecar: Path) -> bytes:
    if not sidecar.is_file():  # to open a pipe would be to wait for its writer
        raise NotXmpError("It is not a file but a folder, a pipe or a device.")
    if sidecar.stat().st_size > MAX_SIZE:
        raise NotXmpError(f"It is larger than {MAX_SIZE // 2**20} MB.")
    return sidecar.read_bytes()


def _has_sibling(photo: Path) -> bool:
    siblings = photo.parent.glob(f"{glob.escape(photo.stem)}.*")
    return any(each.stem == photo.stem and each.suffix not in (photo.suffix, EXTENSION) for each in siblings)


def _replace(file: Path, content: bytes) -> None:
    """Write a file as a whole or not at all, with the permissions that it has."""
    temporary = file.with_name(f".birds-{secrets.token_hex(8)}{EXTENSION}.part")
    try:
        temporary.write_bytes(content)
        if file.exists():
            shutil.copymode(file, temporary)
        os.replace(temporary, file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
