"""Reads an XMP packet, and inserts into it without changing a byte of what is there."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ROOT, _DESCRIPTION, _ITEM, _ABOUT = (f"{RDF} {name}" for name in ("RDF", "Description", "li", "about"))
_CONTAINERS = {f"{RDF} {name}" for name in ("Bag", "Seq", "Alt")}

_TAG = re.compile(rb"""<([^\s/>]+)(?:"[^"]*"|'[^']*'|[^>"']+)*>""")

PropertyName = tuple[str, str]  # the namespace and the name in it


class NotXmpError(ValueError):
    """A file is no XMP to which keywords could be added; the message is a sentence for people."""


@dataclass
class Container:
    """An element that something can be added to.

    :param start: where its start tag begins, in bytes.
    :param end: where its end tag begins; if one tag is both, where that ends.
    :param items: the texts of its ``rdf:li``.
    """

    start: int = -1
    end: int = -1
    items: list[str] = field(default_factory=list)


class Packet:
    """What is in a packet, and what is to be added.

    :ivar lists: the values of the properties that were looked for.
    :ivar about: what the packet is about, which all its descriptions must repeat.
    :ivar root: ``rdf:RDF``, which holds the descriptions.
    """

    def __init__(self, source: bytes) -> None:
        self.lists: dict[PropertyName, Container] = {}
        self.about = ""
        self.root = Container()
        self._source = source
        self._insertions: dict[int, tuple[Container, list[str]]] = {}  # by the place of the end tag

    def add_items(self, container: Container, values: Collection[str]) -> None:
        """Add items to a list."""
        prefix, colon, _name = self._tag(container)[1].decode().rpartition(":")
        name = f"{prefix}{colon}li"
        for value in values:
            self._insert(container, f"<{name}>{escape(value)}</{name}>")

    def add_description(self, element: str) -> None:
        """Add an ``rdf:Description``."""
        self._insert(self.root, element)

    def content(self) -> bytes:
        """The packet with what was added."""
        content = self._source
        for end in sorted(self._insertions, reverse=True):  # what comes before stays where it is
            content = self._with_insertions(content, *self._insertions[end])
        return content

    def _insert(self, container: Container, text: str) -> None:
        self._insertions.setdefault(container.end, (container, []))[1].append(text)

    def _with_insertions(self, content: bytes, container: Container, texts: list[str]) -> bytes:
        tag = self._tag(container)
        if tag[0].endswith(b"/>"):
            start_tag = tag[0].removesuffix(b"/>").rstrip() + b">"
            inserted = "".join(texts).encode()
            return content[: tag.start()] + start_tag + inserted + b"</" + tag[1] + b">" + content[tag.end() :]
        before = content[: container.end]
        space = before[len(before.rstrip()) :]  # the end tag's indentation; what is inserted gets one space more
        inserted = b"".join((b" " if space else b"") + text.encode() + space for text in texts)
        return before + inserted + content[container.end :]

    def _tag(self, container: Container) -> re.Match[bytes]:
        found = _TAG.match(self._source, container.start)
        assert found  # expat has found a tag there
        return found


def read_packet(content: bytes, properties: Collection[PropertyName]) -> Packet:
    """Read a packet.

    :param content: in UTF-8, whatever it says itself.
    :param properties: whose lists to look for.
    :raises NotXmpError: it is not XMP, is damaged, or has such a property in another form than as a list.
    """
    packet = Packet(content)
    try:
        _Reader(packet, properties).read(content)
    except expat.ExpatError as error:
        raise NotXmpError(f"It is damaged in line {error.lineno}.") from error
    if packet.root.end < 0:
        raise NotXmpError("It holds no XMP.")
    if any(each.end < 0 for each in packet.lists.values()):
        raise NotXmpError("It has keywords, but not as a list.")
    return packet


class _Reader:
    """Walks through a packet with expat, which says where in the file each tag is."""

    def __init__(self, packet: Packet, properties: Collection[PropertyName]) -> None:
        self._packet = packet
        self._properties = {f"{namespace} {name}": (namespace, name) for namespace, name in properties}
        self._path: list[str] = []  # from the outermost element to the one that is being read
        self._list: Container | None = None  # that is being read
        self._text: list[str] = []  # since the last ``rdf:li`` began
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.StartDoctypeDeclHandler = self._refuse_document_type
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append

    def read(self, content: bytes) -> None:
        self._parser.Parse(content, True)

    def _refuse_document_type(self, *_declaration: object) -> None:
        raise NotXmpError("It declares a document type, which XMP does not have.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        outer, start = self._path[-3:], self._parser.CurrentByteIndex
        self._path.append(name)
        if name == _ROOT:
            self._begin_root(start)
        elif name == _ITEM:
            self._text.clear()
        elif name == _DESCRIPTION and outer[-1:] == [_ROOT]:
            self._describe(attributes)
        elif name in self._properties and outer[-2:] == [_ROOT, _DESCRIPTION]:
            self._packet.lists[self._new(name)] = Container()
        elif name in _CONTAINERS and outer[:2] == [_ROOT, _DESCRIPTION] and outer[-1] in self._properties:
            self._list = self._packet.lists[self._properties[outer[-1]]]
            self._list.start = start

    def _begin_root(self, start: int) -> None:
        if self._packet.root.start >= 0:
            raise NotXmpError("It holds XMP more than once.")
        self._packet.root.start = start

    def _describe(self, attributes: dict[str, str]) -> None:
        for attribute in self._properties.keys() & attributes.keys():
            self._packet.lists[self._new(attribute)] = Container()  # with a text instead of a list
        self._packet.about = attributes.get(_ABOUT) or attributes.get("about") or self._packet.about

    def _new(self, qualified: str) -> PropertyName:
        name = self._properties[qualified]
        if name in self._packet.lists:
            raise NotXmpError("It has the same kind of keywords twice.")
        return name

    def _end(self, name: str) -> None:
        self._path.pop()
        end = self._parser.CurrentByteIndex
        if name == _ROOT:
            self._packet.root.end = end
        elif self._list and name == _ITEM and self._path[-4:-2] == [_ROOT, _DESCRIPTION]:
            self._list.items.append("".join(self._text))
        elif self._list and name in _CONTAINERS and self._path[-3:-1] == [_ROOT, _DESCRIPTION]:
            self._list.end = end
            self._list = None
