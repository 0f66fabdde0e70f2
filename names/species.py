"""A species and its names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .languages import ENGLISH


@dataclass(frozen=True)
class Species:
    """A species.

    :param english: its English name.
    :param scientific: its scientific name; empty if nobody gave one.
    :param family: in Latin; empty as above.
    :param order: in Latin; empty as above.
    :param names: in other languages, by their codes; only those that differ from the English one.
    """

    english: str
    scientific: str = ""
    family: str = ""
    order: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

    def name_in(self, language: str) -> str:
        """Its name in a language, or in English if there is none, as it stands by itself on a page.

        :param language: one of ``languages.LANGUAGES``.
        """
        name = self.names.get(language) if language != ENGLISH else None
        return name[:1].upper() + name[1:] if name else self.english  # many languages write birds with small letters
