from __future__ import annotations

import pytest

from tamperscope.evidence.metadata import xmp
from tamperscope.evidence.metadata.xmp import read_packet

RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
XMP = 'xmlns:xmp="http://ns.adobe.com/xap/1.0/"'


def packet(inside: str, attributes: str = "") -> bytes:
    description = f"<rdf:Description {RDF} {XMP} {attributes}>{inside}</rdf:Description>"
    return f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF {RDF}>{description}</rdf:RDF></x:xmpmeta>".encode()


@pytest.mark.parametrize(
    "form",
    [
        packet("", 'xmp:CreatorTool="GIMP"'),
        packet("", "xmp:CreatorTool='GIMP'"),
        packet("", "xmp:CreatorTool = 'GIMP'"),
        packet("<xmp:CreatorTool>GIMP</xmp:CreatorTool>"),
        packet("<xmp:CreatorTool>\n  GIMP\n</xmp:CreatorTool>"),
        packet("").replace(
            b"></rdf:Desc", b' xmlns:a="http://ns.adobe.com/xap/1.0/" a:CreatorTool="GIMP"></rdf:Desc'
        ),
        b"\xef\xbb\xbf" + packet("", 'xmp:CreatorTool="GIMP"'),
        b"<?xpacket begin=''?>" + packet("", 'xmp:CreatorTool="GIMP"') + 200 * b" " + b"<?xpacket end='w'?>",
        b'<rdf:Description xmp:CreatorTool="GIMP">',  # no namespaces: not XML
    ],
)
def test_a_property_is_read_in_any_form(form: bytes) -> None:
    assert ("xmp:CreatorTool", "GIMP") in list(read_packet(form))


def test_items_of_lists_and_structures_keep_the_name_of_their_property() -> None:
    history = (
        '<m:History xmlns:m="http://ns.adobe.com/xap/1.0/mm/" '
        'xmlns:e="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"><rdf:Seq>'
        '<rdf:li e:action="saved" e:softwareAgent="Adobe Photoshop 25.0"/></rdf:Seq></m:History>'
    )

    assert list(read_packet(packet(history))) == [
        ("xmpMM:History/stEvt:action", "saved"),
        ("xmpMM:History/stEvt:softwareAgent", "Adobe Photoshop 25.0"),
    ]


def test_what_stands_before_a_break_is_read() -> None:
    broken = packet("<xmp:CreatorTool>GIMP</xmp:CreatorTool><xmp:Label>x</xmp:Oops>")

    assert list(read_packet(broken)) == [("xmp:CreatorTool", "GIMP")]


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'

    assert list(read_packet(bomb)) == []


@pytest.mark.parametrize(
    "hostile",
    [
        packet("<xmp:Label>x</xmp:Label>" * 100_000),
        packet("<xmp:Nested>" * 10_000),
        packet("", 'xmp:Label="' + "x" * 8_000_000 + '"'),
    ],
    ids=["many", "deep", "long"],
)
def test_the_answer_is_bounded(hostile: bytes) -> None:
    found = list(read_packet(hostile))

    assert len(found) <= xmp.MOST_PROPERTIES
    assert sum(len(value) for _, value in found) < 2**20
