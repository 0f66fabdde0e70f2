"""The names of species in the languages that a client understands."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import Flask, g
from markupsafe import Markup

from names.labels import LabelName, Names
from names.search import folded, sort_key

from .languages import interface_tag, lang_attribute, reader_languages
from .services import current_services

WIKIPEDIA = "https://{language}.wikipedia.org/wiki/Special:Search?search={name}"


@dataclass(frozen=True)
class Naming:
    """What an answer says of a species beside its label.

    :param languages: that it is named in, the best first.
    """

    names: Names
    languages: Sequence[str]

    @property
    def language(self) -> str:
        """The language that a person reads names in."""
        return self.languages[0]

    def name(self, label: str) -> str:
        """The name of a species for people to read. A worker's model may have labels that are unknown here."""
        return self.names[label].name_in(self.language)

    def all_names(self) -> list[str]:
        """The names of all species, in alphabetical order."""
        return sorted({self.name(each.label) for each in self.names}, key=self.sort_key)

    def sort_key(self, name: str) -> Any:
        """What puts names in the reader's language into alphabetical order."""
        return sort_key(name, self.language)

    def label_of(self, name: str) -> str | None:
        """The label of the species that has a name in the reader's language; None if none has, or several have."""
        labels = [each.label for each in self.names if folded(self.name(each.label)) == folded(name)]
        return labels[0] if len(labels) == 1 else None

    def language_of(self, label: str) -> str:
        """The language of that name, for the attribute ``lang``."""
        return self.names[label].language_of(self.language)

    def json(self, label: str) -> dict[str, object]:
        """The names of a species: the scientific one, or null, and those in each of the languages."""
        name = self.names[label]
        return {
            "scientific": name.scientific or None,
            "names": {language: name.name_in(language) for language in self.languages},
        }

    def look_up_url(self, label: str) -> str:
        """The address of a page about a species in Wikipedia, which knows birds by their scientific names."""
        name = self.names[label].scientific or self.name(label)
        # zh_TW reads the Chinese one.
        return WIKIPEDIA.format(language=self.language.partition("_")[0], name=quote(name, safe=""))


def requested_naming() -> Naming:
    """Names in the languages that the reader wants, or in English if there is none of them."""
    if "naming" not in g:
        g.naming = Naming(current_services().model_info.names, reader_languages())
    naming: Naming = g.naming
    return naming


def scientific(name: LabelName) -> Markup:
    """The scientific name as HTML: in italics, unless it is that of a family. Nothing if it is not known."""
    if not name.scientific:
        return Markup()
    html = Markup('<{0} class="scientific" lang="la" translate="no">{1}</{0}>')
    return html.format("i" if name.is_of_one_genus else "span", name.scientific)


def init_app(app: Flask) -> None:
    """Make the names available in templates."""

    @lru_cache(maxsize=4096)  # a page has dozens of names
    def link(label: str, language: str, _interface: str) -> Markup:
        naming = requested_naming()
        html = Markup('<a href="{}" target="_blank" rel="noreferrer"{} translate="no">{}</a> {}')
        attribute = lang_attribute(naming.language_of(label))
        return html.format(naming.look_up_url(label), attribute, naming.name(label), scientific(naming.names[label]))

    app.add_template_filter(lambda label: requested_naming().name(label), "species_name")
    app.add_template_filter(lambda label: requested_naming().language_of(label), "name_language")
    app.add_template_filter(lambda label: scientific(requested_naming().names[label]), "scientific")
    app.add_template_filter(lambda label: requested_naming().look_up_url(label), "look_up_url")
    app.add_template_filter(lambda label: link(label, requested_naming().language, interface_tag()), "bird_link")
