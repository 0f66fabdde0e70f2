"""The names of species for people to read, made from labels that were written for programs.

Labels are often the names of folders in a public data set: ``003.Sooty_Albatross`` (CUB-200), ``n01530575_brambling``
(ImageNet), ``00042_Animalia_Chordata_Aves_Passeriformes_Paridae_Parus_major`` (iNaturalist). The label itself never
changes, because programs compare it.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from urllib.parse import unquote

from .labels import is_label

#: Seven ranks from the kingdom to the species, after a number.
_TAXONOMY = re.compile(r"\d+(?:_[A-Z][a-z]+){5}_(?P<genus>[A-Z][a-z]+)_(?P<species>[a-z-]+)")

#: A number before the name. "3-toed Woodpecker" and "3 Kings" are names: there it must begin with 0, or stand apart.
_NUMBER = re.compile(r"^\s*(?:n\d{8}[ _-]|\d+[._)]|0\d+[ -]|\d+ - )[ _]*(?=[^\W\d_])")

#: A number that may belong to the name after all: ``3_toed_Woodpecker``, ``2_barred_crossbill``.
_DOUBTFUL_NUMBER = re.compile(r"[1-9]\d?_[a-z]")


def species_names(labels: Collection[str]) -> Mapping[str, str]:
    """The name of each label; labels that would have the same name keep the label as their name.

    A number that may belong to the name stays where most labels are not numbered.
    """
    are_numbered = 2 * sum(bool(_NUMBER.match(label)) for label in labels) > len(labels)
    names = {
        label: species_name(label) if are_numbered or not _DOUBTFUL_NUMBER.match(label) else _spaced(label)
        for label in labels
    }
    times = Counter(name.casefold() for name in names.values())
    return {label: name if times[name.casefold()] == 1 else label for label, name in names.items()}


def species_name(label: str) -> str:
    """The name of a species, from its label.

    Hyphens and capitals are left alone: they may belong to the name.
    """
    text = _percent_decoded(label)
    if taxonomy := _TAXONOMY.fullmatch(text):
        return f"{taxonomy['genus']} {taxonomy['species']}"
    if not any(map(str.isalpha, text)):
        return label
    return _spaced(_NUMBER.sub("", text, count=1))


def _spaced(text: str) -> str:
    return " ".join(text.replace("_", " ").split())


def _percent_decoded(label: str) -> str:
    """A label such as ``American%20Goldfinch``, decoded; any other as it is."""
    try:
        decoded = unquote(label, errors="strict")
    except UnicodeDecodeError:
        return label
    return decoded if is_label(decoded) else label
