"""Keep the translations of the interface up to date with its texts: ``python -m deploy.translations``.

It collects the texts into ``translations/messages.pot``, adds new ones to each language's ``messages.po``, takes out
those that are gone, and compiles ``messages.mo``, which the app reads. docs/languages.md says how to translate.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "translations"
TEMPLATE = FOLDER / "messages.pot"
#: Where texts are, and how they are found there.
SOURCES = {
    "templates/*.html": "jinja2",
    "web/*.py": "python",
    "feedback/*.py": "python",
    "jobs/*.py": "python",
    "inference/*.py": "python",
}
#: The calls that hold texts, and in which of their arguments.
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "Sentence": None,  # inference/sentences.py
    "counted": (1, 2),
}
JINJA_OPTIONS = {"trimmed": "true", "silent": "false"}  # as web/languages.py sets the former
WIDTH = 100  # characters of a line in the files


def collect() -> Catalog:
    """All texts of the interface, in the order of the alphabet."""
    catalog = Catalog(project="bird-classifier", fuzzy=False)
    for pattern, method in SOURCES.items():
        for file in sorted(ROOT.glob(pattern)):
            found = extract_from_file(method, file, KEYWORDS, options=JINJA_OPTIONS if method == "jinja2" else None)
            for _line, text, _comments, context in found:
                catalog.add(text, context=context)
    return catalog


def files() -> Iterator[tuple[Path, bytes]]:
    """Every file and what it is to contain."""
    texts = collect()
    yield TEMPLATE, _po(texts, omit_header=True)
    for folder in sorted(path for path in FOLDER.iterdir() if path.is_dir()):
        file = folder / "LC_MESSAGES" / "messages.po"
        catalog = read_catalog(file, folder.name)
        catalog.update(texts, no_fuzzy_matching=True, update_creation_date=False)
        catalog.obsolete.clear()
        written, compiled = _po(catalog), io.BytesIO()
        write_mo(compiled, read_po(io.BytesIO(written), locale=folder.name))
        yield file, written
        yield file.with_suffix(".mo"), compiled.getvalue()


def read_catalog(file: Path, locale: str) -> Catalog:
    """The translations of a language."""
    with file.open("rb") as po:
        return read_po(po, locale=locale)


def _po(catalog: Catalog, *, omit_header: bool = False) -> bytes:
    written = io.BytesIO()
    write_po(written, catalog, width=WIDTH, sort_output=True, no_location=True, omit_header=omit_header)
    return written.getvalue()


def main() -> None:
    """Write the files that differ."""
    for file, content in files():
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)


if __name__ == "__main__":
    main()
