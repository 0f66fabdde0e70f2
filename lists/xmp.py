"""Keywords in XMP, the metadata that photo programs keep beside a photo.

Part 1 of Adobe's XMP specification (ISO 16684-1) says how XMP is written. Keywords are added by inserting them into
the text of a file, so that all else in it stays byte for byte.

Which property a program reads its keywords from decides where they go:

- Lightroom reads ``dc:subject`` and ``lr:hierarchicalSubject``, and takes them together.
- darktable reads ``lr:hierarchicalSubject``, and ``dc:subject`` only without it (``src/common/exif.cc``).
- digiKam reads the first that a file has of ``digiKam:TagsList``, ``MicrosoftPhoto:LastKeywordXMP``,
  ``lr:hierarchicalSubject`` and ``dc:subject`` (``dmetadatasettingscontainer.cpp``).

So keywords that a file has only in ``dc:subject`` are repeated in an ``lr:hierarchicalSubject`` that is new: they would
vanish from darktable and digiKam otherwise. For the same reason, a new sidecar begins with the keywords that are in the
photo itself, which programs no longer read if there is a sidecar. The properties that digiKam prefers are added to
where they are, but not created: they would hide what other programs add later.
"""

import codecs
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from names.labels import LabelName

from .xmp_packet import RDF, NotXmpError, PropertyName, read_packet

ROOT = "Birds"

#: What surrounds XMP inside other files, so that it can be found without knowing their formats (part 1, 7.3.2).
_BEGIN, _END = b"<?xpacket begin=", b"<?xpacket end="

#: By the byte order mark. XMP without one of these is in UTF-8.
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

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

    :param container: the kind of its list.
    :param separator: between the levels of a keyword; empty if only the last one stands there.
    :param is_created: whether it is added to a file that lacks it.
    """

    prefix: str
    namespace: str
    name: str
    container: str
    separator: str
    is_created: bool

    @property
    def qualified(self) -> PropertyName:
        return self.namespace, self.name

    def value(self, path: KeywordPath) -> str:
        return self.separator.join(path) if self.separator else path[-1]


_FLAT = _Property("dc", "http://purl.org/dc/elements/1.1/", "subject", "Bag", "", True)
_HIERARCHICAL = _Property("lr", "http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject", "Bag", "|", True)
_PROPERTIES = (
    _FLAT,
    _HIERARCHICAL,
    _Property("digiKam", "http://www.digikam.org/ns/1.0/", "TagsList", "Seq", "/", False),
    _Property("MicrosoftPhoto", "http://ns.microsoft.com/photo/1.0/", "LastKeywordXMP", "Bag", "/", False),
)


def keyword_path(name: LabelName, language: str) -> KeywordPath:
    """The levels of a species' keyword: birds, order, family, species, as far as they are known.

    :param language: of the species' name.
    """
    order, family = (name.species.order, name.species.family) if name.species else ("", "")
    levels = (ROOT, order, family, name.name_in(language))
    return tuple(filter(None, map(_level, levels)))


def new_sidecar(photo: bytes) -> bytes:
    """A sidecar with the keywords that are in a photo.

    :param photo: the file; what is compressed or damaged in it is not found.
    """
    packet = read_packet(EMPTY, [])
    _before, begin, rest = photo.partition(_BEGIN)
    try:
        there = read_packet(begin + rest.partition(_END)[0], [each.qualified for each in _PROPERTIES]).lists
    except NotXmpError:
        there = {}
    if keywords := {each: there[each.qualified].items for each in _PROPERTIES if each.qualified in there}:
        packet.add_description(_description("", keywords))
    return packet.content()


def with_keywords(content: bytes, paths: Collection[KeywordPath]) -> bytes:
    """A file of XMP with keywords, each once; the same bytes if it has them all.

    :raises NotXmpError: it cannot be read, or its keywords are written in a way that XMP does not allow.
    """
    encoding = _UTF_16.get(content[:2], "utf-8")
    try:
        source = content.decode(encoding).encode()
        return _with_keywords(source, paths).decode().encode(encoding)
    except UnicodeError as error:
        raise NotXmpError("It is damaged.") from error


def _with_keywords(source: bytes, paths: Collection[KeywordPath]) -> bytes:
    packet = read_packet(source, [each.qualified for each in _PROPERTIES])
    new: dict[_Property, list[str]] = {}
    for each in _PROPERTIES:
        values = list(dict.fromkeys(each.value(path) for path in paths))
        if there := packet.lists.get(each.qualified):
            packet.add_items(there, [value for value in values if value not in there.items])
        elif each.is_created and values:
            flat = packet.lists.get(_FLAT.qualified)
            new[each] = [*flat.items, *values] if flat else values
    if new:
        packet.add_description(_description(packet.about, new))
    return packet.content()


def _description(about: str, keywords: Mapping[_Property, Collection[str]]) -> str:
    namespaces = {"rdf": RDF} | {each.prefix: each.namespace for each in keywords}
    declared = "".join(f" xmlns:{prefix}={quoteattr(namespace)}" for prefix, namespace in namespaces.items())
    elements = "".join(_element(each, values) for each, values in keywords.items())
    return f"<rdf:Description rdf:about={quoteattr(about)}{declared}>{elements}\n  </rdf:Description>"


def _element(kind: _Property, values: Collection[str]) -> str:
    items = "".join(f"\n     <rdf:li>{escape(value)}</rdf:li>" for value in values)
    name, container = f"{kind.prefix}:{kind.name}", f"rdf:{kind.container}"
    return f"\n   <{name}>\n    <{container}>{items}\n    </{container}>\n   </{name}>"


def _level(name: str) -> str:
    """A name without what would make two levels of it, or what XML does not allow."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    return re.sub(r"\s*[|/]\s*", "-", printable).strip()
