"""``identify --ebird`` and ``--darwin-core``: lists of what was seen, a checklist for each day and place."""

from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path

from inference.digest import sha256
from lists import darwin_core, ebird
from lists.checklists import Checklist, checklists
from lists.record import PhotoFacts, Record, records_of
from web.naming import Naming

from .outcomes import Outcome, printable, terminal_safe
from .outputs import NO_VERDICTS


class ListFiles:
    """The lists. They are written at the end, because a checklist is complete only then.

    :param ebird_file: None if there is to be none.
    :param darwin_core_file: as above.
    :param location: what the person calls the place; empty if nothing.
    """

    def __init__(self, ebird_file: Path | None, darwin_core_file: Path | None, naming: Naming, location: str) -> None:
        self.has_failed = False
        self._ebird_file, self._darwin_core_file = ebird_file, darwin_core_file
        self._naming, self._location = naming, location
        self._gives_verdicts = True
        self._records: list[Record] = []

    def add(self, outcome: Outcome) -> None:
        """Remember the species that a photo shows surely."""
        found = outcome.identification
        if found is None:
            return
        self._gives_verdicts = found.verdict is not None
        digest = self._digest(outcome.path) if self._darwin_core_file else ""
        facts = PhotoFacts(printable(Path(outcome.path.name)), digest, outcome.taken, outcome.place)
        self._records += records_of(found, self._naming.names, facts)

    def finish(self, *, is_complete: bool) -> list[str]:
        """Write the lists, with what was found so far: it would be lost otherwise."""
        if not self._gives_verdicts:
            return [NO_VERDICTS]
        found = checklists(self._records)
        sentences = self._write_ebird(self._ebird_file, found) if self._ebird_file else []
        if self._darwin_core_file:
            sentences += self._write_darwin_core(self._darwin_core_file, found)
        if not is_complete and self._records:
            sentences.append("The lists lack the photos that were not identified any more. Do not send them in twice.")
        return sentences

    def _write_ebird(self, file: Path, found: Collection[Checklist]) -> list[str]:
        listed = [each for each in found if ebird.can_be_listed(each, self._location)]
        texts = ebird.files(listed, self._location)
        species = sum(len(each.sightings) for each in listed)
        what = f"{_counted(species, 'record')} on {_counted(len(listed), 'checklist')} for eBird"
        sentences = self._write(file, texts, what)
        undated = _photos(each for each in found if each.started is None)
        unplaced = _photos(each for each in found if each.started and each not in listed)
        if undated:
            sentences.append(
                f"Not for eBird, because they do not say when they were taken: {_counted(undated, 'photo')}."
            )
        if unplaced:
            sentences.append(
                f"Not for eBird, because they do not say where they were taken: {_counted(unplaced, 'photo')}. "
                "--location can name the place."
            )
        return sentences

    def _write_darwin_core(self, file: Path, found: Collection[Checklist]) -> list[str]:
        today = datetime.now().date()
        sightings = [sighting for each in found for sighting in each.sightings]
        listed = sum(map(darwin_core.can_be_listed, sightings))
        text = darwin_core.text(found, today, self._naming.languages[0], self._location)
        sentences = self._write(file, [text] if listed else [], f"{_counted(listed, 'occurrence')} in Darwin Core")
        if listed < len(sightings):
            nameless = sorted({each.surest.english for each in sightings if not darwin_core.can_be_listed(each)})
            sentences.append(f"Not for Darwin Core, because they have no scientific name: {', '.join(nameless)}.")
        return sentences

    def _write(self, file: Path, texts: list[str], what: str) -> list[str]:
        """Write the parts of a list, the first under the name that was asked for."""
        if not texts:
            return [f"{terminal_safe(file)} was not written: there is no bird for it."]
        written: list[Path] = []
        for text in texts:
            path = _next_name(file) if written else file
            try:
                _write_new(path, text)
            except OSError as error:
                self.has_failed = True
                return [f"{terminal_safe(path)} could not be written: {error.strerror}."]
            written.append(path)
        return [f"{', '.join(map(terminal_safe, written))}: {what}."]

    def _digest(self, path: Path) -> str:
        try:
            return sha256(path)
        except OSError:  # it has vanished since it was read; its name must do
            return printable(path)


def check_new(path: Path) -> None:
    """Check that a file can be written at the end, and leave nothing behind.

    :raises FileExistsError: it is there already.
    :raises OSError: it cannot be written.
    """
    path.open("xb").close()
    path.unlink()


def _write_new(path: Path, text: str) -> None:
    """Write a file as a whole or not at all.

    :raises OSError: it is there already, or cannot be written.
    """
    with path.open("x", encoding="utf-8", newline="") as file:
        try:
            file.write(text)
            file.flush()
        except BaseException:
            path.unlink()
            raise


def _next_name(file: Path) -> Path:
    number = 2
    while (path := file.with_name(f"{file.stem}-{number}{file.suffix}")).exists():
        number += 1
    return path


def _photos(found: Iterable[Checklist]) -> int:
    return len({record.photo for each in found for sighting in each.sightings for record in sighting.records})


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
