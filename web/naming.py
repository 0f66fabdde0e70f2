"""The names of species in the languages that a client understands."""

from collections.abc import Collection
from dataclasses import dataclass

from names.labels import Names

from .languages import reader_languages
from .services import current_services


@dataclass(frozen=True)
class Naming:
    """What an answer says of a species beside its label.

    :param languages: that it is named in, the best first.
    """

    names: Names
    languages: Collection[str]

    def name_of(self, label: str) -> str:
        """The name of a species in the best of the languages, for people to read."""
        return self.names[label].name_in(next(iter(self.languages)))

    def language_of(self, label: str) -> str:
        """The language of that name, for the attribute ``lang``."""
        return self.names[label].language_of(next(iter(self.languages)))

    def json(self, label: str) -> dict[str, object]:
        """The names of a species: the scientific one, or null, and those in each of the languages."""
        name = self.names[label]
        return {
            "scientific": (name.species.scientific or None) if name.species else None,
            "names": {language: name.name_in(language) for language in self.languages},
        }


def requested_naming() -> Naming:
    """Names in the languages that the reader wants, or in English if there is none of them."""
    return Naming(current_services().model_info.names, reader_languages())
