"""Keywords in XMP, the metadata that photo programs keep beside a photo.

Part 1 of Adobe's XMP specification (ISO 16684-1) says how XMP is written. Keywords are added by inserting them into
the text of a file, so that all else in it stays byte for byte.

Which property a program reads its keywords from decides where they go:

- Lightroom reads ``dc:subject`` and ``lr:hierarchicalSubject``, and takes them together.
- darktable reads ``lr:hierarchicalSubject``, and ``dc:subject`` only without it (``src/common/exif.cc``).
- digiKam reads the first that a file has of ``digiKam:TagsList``, ``MicrosoftPhoto:LastKeywordXMP``,
  ``lr:hierarchicalSubject`` and ``dc:subject`` (``dmetadatasettingscontainer.cpp``).

So keywords that a file has only in ``dc:subject`` are repeated in an ``lr:hierarchicalSubject`` that is new: they would
vanish from darktable and digiKam otherwise. The properties that digiKam prefers are added to where they are, but not
created: they would hide what other programs add later.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from names.labels import LabelName

from .xmp_packet import RDF, NotXmpError, PropertyName, encoding_of, read_packet

ROOT = "Birds"

#: From the outermost keyword to the species.
KeywordPath = tuple[str, ...]

EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
""".encode()


@dataclass(frozen=True)
class _Property:
    """A property that holds keywords.

    :param separator: between the levels of a keyword; empty if only the last one stands there.
    :param is_created: whether it is added to a file that lacks it.
    """

    prefix: str
    namespace: str
    name: str
    separator: str
    is_created: bool

    @property
    def qualified(self) -> PropertyName:
        return self.namespace, self.name

    def value(self, path: KeywordPath) -> str:
        return self.separator.join(path) if self.separator else path[-1]


_FLAT = _Property("dc", "http://purl.org/dc/elements/1.1/", "subject", "", True)
_HIERARCHICAL = _Property("lr", "http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject", "|", True)
_PROPERTIES = (
    _FLAT,
    _HIERARCHICAL,
    _Property("digiKam", "http://www.digikam.org/ns/1.0/", "TagsList", "/", False),
    _Property("MicrosoftPhoto", "http://ns.microsoft.com/photo/1.0/", "LastKeywordXMP", "/", False),
)


def keyword_path(name: LabelName, language: str) -> KeywordPath:
    """The levels of a species' keyword: birds, order, family, species, as far as they are known.

    :param language: of the species' name.
    """
    order, family = (name.species.order, name.species.family) if name.species else ("", "")
    levels = (ROOT, order, family, name.name_in(language))
    return tuple(_level(level) for level in levels if level)


def with_keywords(content: bytes, paths: Collection[KeywordPath]) -> bytes:
    """A file of XMP with keywords, each once; the same bytes if it has them all.

    :raises NotXmpError: it cannot be read, or its keywords are written in a way that XMP does not allow.
    """
    if encoding := encoding_of(content):
        try:
            return _with_keywords(content.decode(encoding).encode(), paths, "utf-8").decode().encode(encoding)
        except UnicodeError as error:
            raise NotXmpError("It is damaged.") from error
    return _with_keywords(content, paths)


def _with_keywords(content: bytes, paths: Collection[KeywordPath], encoding: str | None = None) -> bytes:
    packet = read_packet(content, [each.qualified for each in _PROPERTIES], encoding)
    new: list[str] = []
    for each in _PROPERTIES:
        values = list(dict.fromkeys(each.value(path) for path in paths))
        if there := packet.lists.get(each.qualified):
            packet.add_items(there, [value for value in values if value not in there.items])
        elif each.is_created and values:
            flat = packet.lists.get(_FLAT.qualified)
            new.append(_element(each, [*flat.items, *values] if flat else values))
    if new:
        packet.add_description(_description(packet.about, new))
    return packet.content()


def _description(about: str, elements: list[str]) -> str:
    namespaces = {"rdf": RDF} | {each.prefix: each.namespace for each in _PROPERTIES if each.is_created}
    declared = "".join(f" xmlns:{prefix}={quoteattr(namespace)}" for prefix, namespace in namespaces.items())
    return f"<rdf:Description rdf:about={quoteattr(about)}{declared}>{''.join(elements)}\n  </rdf:Description>"


def _element(kind: _Property, values: Collection[str]) -> str:
    items = "".join(f"\n     <rdf:li>{escape(value)}</rdf:li>" for value in values)
    name = f"{kind.prefix}:{kind.name}"
    return f"\n   <{name}>\n    <rdf:Bag>{items}\n    </rdf:Bag>\n   </{name}>"


def _level(name: str) -> str:
    """A name without what would make two levels of it, or what XML does not allow."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    return re.sub(r"\s*[|/]\s*", "-", printable).strip()
