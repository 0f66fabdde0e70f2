"""English names that are spelled differently and mean the same: Grey-headed Gull, GRAY HEADED GULL, gray_head_gull."""

import re
import unicodedata
from collections.abc import Iterator

_APOSTROPHES = "'’‘ʻʼ`´"
_WITHOUT_APOSTROPHES = str.maketrans("", "", _APOSTROPHES)
_POSSESSIVE = re.compile(f"(?<=[^\\W\\d_])[{_APOSTROPHES}]s\\b")
_WORD = re.compile(r"[^\W_]+")

#: American spelling for British, and what is written in full for what is abbreviated.
_SPELLINGS = (("grey", "gray"), ("colour", "color"), ("moustache", "mustache"), ("sulphur", "sulfur"))
_WORDS = {"saint": "st", "mount": "mt", "racquet": "racket", "blond": "blonde", "gold": "golden", "leg": "legged"} | {
    part: f"{part}ed" for part in ("tail", "head", "neck", "bill", "breast", "throat", "crest", "wing")
}

#: What some people add to a name that says it without: Mallard Duck, Openbill Stork.
_GROUPS = ("bird", "duck", "goose", "gull", "hawk", "owl", "parrot", "partridge", "pigeon", "stork")


def words(name: str) -> list[str]:
    """The words of a name, without what spellings differ in: capitals, hyphens, apostrophes, accents, grey and gray."""
    text = name.translate(_WITHOUT_APOSTROPHES).replace("&", " and ")
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    text = text.casefold()
    for british, american in _SPELLINGS:
        text = text.replace(british, american)
    return [_WORDS.get(word, word) for word in _WORD.findall(text)]


def key(name: str) -> str:
    """The same for all spellings of a name; spaces do not count, for there are Oystercatchers and Oyster Catchers."""
    return "".join(words(name))


def without_possessives(name: str) -> str:
    """A name without its ``'s``, which some lists of species leave out: Brandt Cormorant."""
    return _POSSESSIVE.sub("", name)


def without_group(spelled: str) -> Iterator[str]:
    """The keys of a name without the group of birds at its end, if there is one.

    :param spelled: the key of the name.
    """
    for group in _GROUPS:
        if spelled.endswith(group):
            yield spelled.removesuffix(group)
