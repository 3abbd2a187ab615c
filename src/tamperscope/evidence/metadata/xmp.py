"""The properties of XMP packets (ISO 16684-1), in whatever form they are written: attribute, element, list.

for name, value in read_packet(packet):
    name    # such as xmp:CreatorTool, or xmpMM:History/stEvt:softwareAgent
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

LONGEST_PACKET = 2**21
"""Bytes that are read of one packet. Longer ones hold pictures and depth maps."""
MOST_PROPERTIES = 1000
_LONGEST_VALUE = 2**16
_DEEPEST = 40

_PREFIXES = {
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#": "stEvt",
    "http://ns.adobe.com/xap/1.0/sType/ResourceRef#": "stRef",
    "http://ns.adobe.com/xap/1.0/g/img/": "xmpGImg",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/camera-raw-settings/1.0/": "crs",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/hdr-gain-map/1.0/": "hdrgm",
    "http://ns.adobe.com/xmp/note/": "xmpNote",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://www.tc260.org.cn/ns/AIGC/1.0/": "TC260",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
    "http://ns.google.com/photos/1.0/container/": "Container",
    "http://ns.google.com/photos/1.0/image/": "GImage",
    "http://www.w3.org/XML/1998/namespace": "xml",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
    "adobe:ns:meta/": "x",
}
"""The prefix by which people know a namespace, whatever a file calls it."""
_FRAME = {"rdf:RDF", "rdf:Description", "rdf:li", "rdf:Seq", "rdf:Bag", "rdf:Alt", "x:xmpmeta", "x:xapmeta"}
"""Elements that hold properties and are none themselves."""
_FORM = {"rdf:about", "rdf:parseType", "rdf:ID", "rdf:nodeID", "xml:lang", "rdf:resource"}


def read_packet(packet: bytes) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each property; of a broken packet, those before the break."""
    collected: list[tuple[str, str]] = []
    parser = DefusedXMLParser(target=_Properties(collected), forbid_dtd=True)
    start = max(0, packet.find(b"<"))
    try:
        # In pieces, so that what stands before a break is kept.
        for place in range(start, min(len(packet), start + LONGEST_PACKET), 2**14):
            parser.feed(packet[place : place + 2**14])
            if len(collected) >= MOST_PROPERTIES:
                break
    except (ParseError, DefusedXmlException, ValueError, _TooDeepError):
        pass
    yield from collected[:MOST_PROPERTIES]
    if not collected:
        yield from _loose_properties(packet)


_ATTRIBUTE = re.compile(
    r"([A-Za-z][\w.-]{0,40}:[A-Za-z][\w.-]{0,60})\s*=\s*(?:\"([^\"<]{1,1000})\"|'([^'<]{1,1000})')"
)
_ELEMENT = re.compile(r"<([A-Za-z][\w.-]{0,40}:[A-Za-z][\w.-]{0,60})[^<>]{0,200}>([^<>]{1,1000})</")


_SOURCE_TYPE = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/\w{1,60}")


def _loose_properties(packet: bytes) -> Iterator[tuple[str, str]]:
    """Yield what looks like properties in a packet that is not XML, such as one without its namespaces."""
    text = packet[:LONGEST_PACKET].decode("utf-8", "replace")
    for count, found in enumerate((*_ATTRIBUTE.finditer(text), *_ELEMENT.finditer(text))):
        if count >= MOST_PROPERTIES:
            return
        value = next(filter(None, found.groups()[1:]), "").strip()
        if value and not found[1].startswith(("xmlns:", "xml:", "rdf:about")):
            yield found[1], value
    if declared := _SOURCE_TYPE.search(text):
        yield "Iptc4xmpExt:DigitalSourceType", declared[0]


class _TooDeepError(Exception):
    pass


class _Properties:
    """Collects properties from the events of an XML parser."""

    def __init__(self, collected: list[tuple[str, str]]) -> None:
        self._collected = collected
        self._path: list[str] = []
        self._text: list[str] = []
        self._length = 0

    def start(self, tag: str, attributes: dict[str, Any]) -> None:
        if len(self._path) >= _DEEPEST:
            raise _TooDeepError
        self._path.append(_named(tag))
        self._text, self._length = [], 0
        for name, value in attributes.items():
            short = _named(name)
            if short == "rdf:resource":
                self._add(self._path, value)
            elif short not in _FORM and not short.startswith("x:"):
                self._add([*self._path, short], value)

    def data(self, text: str) -> None:
        if self._length < _LONGEST_VALUE:
            self._text.append(text)
            self._length += len(text)

    def end(self, _tag: str) -> None:
        if text := "".join(self._text).strip():
            self._add(self._path, text)
        self._text, self._length = [], 0
        self._path.pop()

    def close(self) -> None:
        pass

    def _add(self, path: Sequence[str], value: str) -> None:
        name = "/".join(part for part in path if part not in _FRAME)
        if name and len(self._collected) < MOST_PROPERTIES:
            self._collected.append((name[:200], value[:_LONGEST_VALUE]))


def _named(tag: str) -> str:
    """Return the name of an element or attribute with the usual prefix of its namespace."""
    namespace, _, name = tag.removeprefix("{").rpartition("}")
    if not namespace:
        return name
    prefix = _PREFIXES.get(namespace)
    return f"{prefix or namespace.rstrip('/#').rpartition('/')[2][:40]}:{name}"
