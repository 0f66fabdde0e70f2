"""A language in which every text of the interface is bracketed, so that texts that were not translated stand out."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from deploy.translations import collect

LOCALE = "eo"  # one that Babel knows and the interface does not have
#: What stands in a text and is not to be translated: tags, and the places of values.
NOT_TEXT = re.compile(r"(<(?:code|kbd)>.*?</(?:code|kbd)>|<[^>]*>|%\(\w+\)s|\{\w+\})")
BRACKETED = re.compile(r"⟦[^⟧]*⟧")
LETTERS = re.compile(r"[^\W\d_]{2,}")
SPOKEN = {"alt", "title", "placeholder", "aria-label"}  # attributes that people see or hear
#: Elements whose content is no text, or a text for programs.
CODE = {"script", "style", "code", "pre", "kbd", "time"}
VOID = {"meta", "link", "img", "input", "br", "wbr", "hr"}
#: What is the same in every language: formats of files, and what this language calls the months.
KNOWN = {"JPEG", "MB", "MiB", "UTC", *Locale(LOCALE).months["format"]["wide"].values()}


def bracketed(text: str) -> str:
    """A text with each of its parts in brackets; values stand outside, so that they must have their own."""
    parts = NOT_TEXT.split(text)
    return "".join(
        re.sub(r"\S(.*\S)?", lambda found: f"⟦{found[0]}⟧", part, count=1, flags=re.DOTALL)
        if index % 2 == 0 and LETTERS.search(part)
        else part
        for index, part in enumerate(parts)
    )


def write_catalogue(folder: Path) -> None:
    """Write the compiled catalogue of this language to a folder of translations."""
    catalog = Catalog(locale=LOCALE)
    for message in collect():
        if message.id:
            texts = message.id if isinstance(message.id, tuple) else (message.id,)
            translations = tuple(map(bracketed, texts))
            catalog.add(message.id, translations if len(texts) > 1 else translations[0], context=message.context)
    file = folder / LOCALE / "LC_MESSAGES" / "messages.mo"
    file.parent.mkdir(parents=True)
    with file.open("wb") as written:
        write_mo(written, catalog)


class _Reader(HTMLParser):
    def __init__(self, known: set[str]) -> None:
        super().__init__()
        self.known = known | KNOWN
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []  # elements, and whether nothing in them needs a translation

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        inherited = bool(self._open) and self._open[-1][1]
        is_exempt = inherited or tag in CODE or attributes.get("translate") == "no"
        is_exempt = is_exempt or (tag != "html" and "lang" in attributes)
        if not is_exempt:
            for name in SPOKEN & attributes.keys():
                self._check(attributes[name] or "")
        if attributes.get("id") == "texts":
            is_exempt = False  # of scripts; handle_data reads it
        if tag not in VOID:
            self._open.append((tag, is_exempt))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1][1]:
            return
        for text in json.loads(data).values() if self._open[-1][0] == "script" else [data]:
            self._check(NOT_TEXT.sub("", text) if self._open[-1][0] == "script" else text)

    def _check(self, text: str) -> None:
        rest = BRACKETED.sub("", text)
        for name in sorted(self.known, key=len, reverse=True):
            rest = rest.replace(name, "")
        if LETTERS.search(rest):
            self.found.append(" ".join(text.split()))


def untranslated(page: str, known: set[str]) -> list[str]:
    """The texts on a page in this language that are not translated.

    :param known: names that are the same in every language.
    """
    reader = _Reader(known)
    reader.feed(page)
    reader.close()
    return reader.found
