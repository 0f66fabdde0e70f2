"""The names of species in the languages that a client understands."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import request

from names.labels import Names
from names.languages import languages_for

from .services import current_services


@dataclass(frozen=True)
class Naming:
    """What an answer says of a species beside its label.

    :param languages: that it is named in, the best first.
    """

    names: Names
    languages: Sequence[str]

    def json(self, label: str) -> dict[str, object]:
        """The names of a species: the scientific one, or null, and those in each of the languages."""
        name = self.names[label]
        return {
            "scientific": name.scientific or None,
            "names": {language: name.name_in(language) for language in self.languages},
        }


def requested_naming() -> Naming:
    """Names in the languages of the request, or in English if there is none of them."""
    tags = [tag for tag, quality in request.accept_languages if quality > 0]
    return Naming(current_services().model_info.names, languages_for(tags))
