"""Which files of the paths that a person names are photos, and how many others are there."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from inference.formats import DECODERS, is_photo_file

from .outcomes import Outcome

#: What Windows, macOS and a Synology disk put into folders, besides hidden files. Nobody needs to hear of it.
SYSTEM_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "system volume information", "@eadir"}
)
#: Kinds of files that lie beside photos, but that nobody expects to be identified.
NOTES = frozenset(
    {".txt", ".md", ".csv", ".json", ".xml", ".html", ".htm", ".pdf", ".log", ".gpx", ".kml"}
    | {".doc", ".docx", ".odt", ".xls", ".xlsx", ".ods"}
    | {".xmp", ".aae", ".pp3", ".dop", ".arp", ".cos", ".nksc", ".on1"}  # what programs note about a photo
    | {".ctg", ".mrk"}  # what cameras note on a card
    | {".ini", ".lnk", ".url"}
)
NO_EXTENSION = "without an extension"
NO_FILE = "broken link, pipe or device"
KINDS_LISTED = 10  # at most


@dataclass
class PhotoFiles:
    """What was found under some paths.

    :ivar photos: the photos to identify, in order, each once even if several paths lead to it.
    :ivar unreadable: what cannot be read, such as folders that cannot be opened.
    :ivar others: how many other files were found, by kind. Hidden files and ``SYSTEM_FILES`` are not counted.
    """

    photos: list[Path] = field(default_factory=list)
    unreadable: list[Outcome] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def may_lack_pictures(self) -> bool:
        """Whether some of the other files may be pictures or films."""
        return any(kind not in NOTES for kind in self.others)

    @property
    def others_listed(self) -> str:
        """The other files in a sentence, by kind; empty if there are none."""
        count = self.others.total()
        if not count:
            return ""
        most_common = sorted(self.others.items(), key=lambda item: (-item[1], item[0]))
        kinds = [f"{number} {kind}" for kind, number in most_common[:KINDS_LISTED]]
        if rest := sum(number for _kind, number in most_common[KINDS_LISTED:]):
            kinds.append(f"{rest} of other kinds")
        files = "1 file that is" if count == 1 else f"{count} files that are"
        return f"Not looked at: {files} none of {', '.join(DECODERS)}: {', '.join(kinds)}."


def find_photos(paths: Iterable[Path], leave_out: Path | None = None) -> PhotoFiles:
    """Look for photos in files, which are taken whatever they are, and in folders, where the content decides.

    :param leave_out: a file that does not count: the list that is being written.
    """
    found = PhotoFiles()
    seen = {os.path.realpath(leave_out)} if leave_out else set()

    def visit(path: Path, is_named: bool) -> None:
        if (target := os.path.realpath(path)) in seen:
            return
        seen.add(target)
        if os.path.isdir(path):
            try:
                entries = sorted(os.listdir(path))
            except OSError as error:
                found.unreadable.append(Outcome(path, error=f"The folder cannot be opened: {error.strerror}."))
                return
            for entry in entries:
                if not entry.startswith(".") and entry.lower() not in SYSTEM_FILES:
                    visit(path / entry, is_named=False)
        elif os.path.exists(path) and not os.path.isfile(path):  # to open a pipe would be to wait for its writer
            if is_named:
                found.unreadable.append(Outcome(path, error="This is not a file but a pipe or a device."))
            else:
                found.others[NO_FILE] += 1
        elif is_named:
            found.photos.append(path)
        else:
            _sort_file(path, found)

    for path in paths:
        visit(path, is_named=True)
    return found


def _sort_file(path: Path, found: PhotoFiles) -> None:
    """Add a file of a folder to the photos or to the others."""
    try:
        is_photo = is_photo_file(path)
    except OSError as error:
        found.unreadable.append(Outcome(path, error=f"The file cannot be read: {error.strerror}."))
        return
    if is_photo:
        found.photos.append(path)
    else:
        found.others[_kind(path)] += 1


def _kind(path: Path) -> str:
    if not os.path.isfile(path):
        return NO_FILE
    extension = path.suffix.lower()
    return extension if re.fullmatch(r"\.\w{1,12}", extension) else NO_EXTENSION
