"""``identify --xmp``: keywords beside the photos, for photo programs."""

from lists.record import PhotoFacts, records_of
from lists.sidecars import add_keywords, sidecar_of
from lists.xmp import keyword_path
from lists.xmp_packet import NotXmpError
from web.naming import Naming

from .outcomes import Outcome, printable, terminal_safe
from .outputs import NO_VERDICTS


class Sidecars:
    """The sidecars of photos that show a species surely.

    :param naming: whose first language the keywords are in.
    """

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._written = self._complete = 0
        self._gives_verdicts = True
        self._failures: list[Outcome] = []

    @property
    def has_failed(self) -> bool:
        """Whether a sidecar could not be written."""
        return bool(self._failures)

    def add(self, outcome: Outcome) -> None:
        """Add the keywords of a photo."""
        found = outcome.identification
        if found is None:
            return
        self._gives_verdicts = found.verdict is not None
        records = records_of(found, self._naming.names, PhotoFacts(printable(outcome.path)))
        paths = [keyword_path(record.name, self._naming.languages[0]) for record in records]
        if not paths:
            return
        try:
            if add_keywords(outcome.path, paths):
                self._written += 1
            else:
                self._complete += 1
        except NotXmpError as error:
            self._failures.append(Outcome(sidecar_of(outcome.path), error=str(error)))
        except OSError as error:
            sentence = f"The keywords could not be written: {error.strerror}."
            self._failures.append(Outcome(sidecar_of(outcome.path), error=sentence))

    def finish(self, *, is_complete: bool) -> list[str]:
        """How many there are, and which could not be written."""
        if not self._gives_verdicts:
            return [NO_VERDICTS]
        sentence = f"Sidecars with new keywords: {self._written}"
        if self._complete:
            sentence += f"; {self._complete} had theirs already"
        failures = [f"  {terminal_safe(each.path)}: {each.error}" for each in self._failures]
        return [sentence, *([f"Sidecars left as they are: {len(failures)}"] if failures else []), *failures]
