"""Searching species by any of their names, in any language."""

import re
import unicodedata
from collections.abc import Collection
from functools import cached_property

from .labels import LabelName, Names

#: How people write umlauts on a keyboard that lacks them, and what is left of those without their dots.
_UMLAUTS = re.compile("([aou])e")
_APART = str.maketrans(dict.fromkeys("-_./", " ") | dict.fromkeys("'’‘ʻʼ`´"))


class Search:
    """All that the labels of a model may be called, to be searched.

    :param names: of these labels.
    """

    def __init__(self, names: Names) -> None:
        self._names = names

    def find(self, query: str) -> Collection[str]:
        """The labels that have a name in which each word of a query occurs; a part of a word counts, too.

        If there is none, ``ae``, ``oe`` and ``ue`` in the query are taken for umlauts.
        """
        words = folded(query)
        return self._with(words.split()) or self._with(_UMLAUTS.sub(r"\1", words).split())

    def _with(self, words: list[str]) -> Collection[str]:
        return {
            label for label, texts in self._texts.items() if any(all(word in text for word in words) for text in texts)
        }

    @cached_property
    def _texts(self) -> dict[str, tuple[str, ...]]:
        return {name.label: tuple({folded(text) for text in _all_names(name)}) for name in self._names}


def _all_names(name: LabelName) -> list[str]:
    species = name.species
    others = [species.english, species.scientific, species.family, *species.names.values()] if species else []
    return [name.label, name.readable, *others]


def sort_key(name: str, language: str) -> object:
    """What puts names of a language into its alphabetical order, roughly."""
    if language == "zh":
        return name.encode("gb18030")  # has the usual characters in the order of how they are pronounced
    return folded(name)


def folded(text: str) -> str:
    """A text without what people leave out when they search: capitals, accents, apostrophes and hyphens."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).translate(_APART)
