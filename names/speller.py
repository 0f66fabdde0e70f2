"""Corrects misspelled names: GROVED BILLED ANI, Artic Tern."""

import string
from collections.abc import Iterator
from itertools import product

SHORTEST_CORRECTED = 3  # letters of a word; with fewer, any other word is near
LONGEST_CORRECTED = 15  # letters; more would take long, and no word of a bird's name has many more
SHORTEST_NAME = 6  # letters of a name of one word, for the same reason
MOST_MISSPELLED = 2  # words of a name; with more, nothing is left to go by


class Speller:
    """Finds the words that were meant.

    A word that is in some name is never replaced, so a name is not taken for a similar one.

    :param vocabulary: all words of all names.
    """

    def __init__(self, vocabulary: frozenset[str]) -> None:
        self._vocabulary = vocabulary
        self._found: dict[tuple[str, int], list[str]] = {}

    def corrections(self, text: list[str]) -> Iterator[list[str]]:
        """The names that may have been meant, and the name itself.

        :param text: the words of a name.
        """
        if len(text) == 1 and len(text[0]) < SHORTEST_NAME:
            return
        most = 1 if len(text) == 1 else 2
        if sum(word not in self._vocabulary for word in text) <= MOST_MISSPELLED:
            yield from map(list, product(*(self._meant(word, most) for word in text)))

    def _meant(self, word: str, most: int) -> list[str]:
        """A word, and the words of the vocabulary that differ from it in fewest letters, at most ``most``."""
        if word in self._vocabulary or not SHORTEST_CORRECTED <= len(word) <= LONGEST_CORRECTED:
            return [word]
        if (word, most) not in self._found:
            found = _one_letter_off(word) & self._vocabulary
            if not found and most > 1:
                # The first letter is seldom wrong, and without it too many words are similar.
                nearly = {edited for edited in _one_letter_off(word) if edited[:1] == word[0]}
                found = {edited for near in nearly for edited in _one_letter_off(near)} & self._vocabulary
                found = {other for other in found if other[0] == word[0]}
            self._found[word, most] = [word, *sorted(found)]
        return self._found[word, most]


def _one_letter_off(word: str) -> set[str]:
    """All words that differ in one letter, or in the order of two that stand side by side."""
    splits = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    letters = string.ascii_lowercase
    return {
        *(left + right[1:] for left, right in splits if right),
        *(left + letter + right for left, right in splits for letter in letters),
        *(left + letter + right[1:] for left, right in splits if right for letter in letters),
        *(left + right[1] + right[0] + right[2:] for left, right in splits if len(right) > 1),
    }
