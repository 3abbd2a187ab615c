from __future__ import annotations

import pytest

from tamperscope.evidence.metadata.photoshop import IPTC, read_iptc, read_resources


def resource(number: int, data: bytes, name: bytes = b"") -> bytes:
    named = bytes([len(name)]) + name
    padded = named + b"\0" * (len(named) % 2)
    return b"8BIM" + number.to_bytes(2) + padded + len(data).to_bytes(4) + data + b"\0" * (len(data) % 2)


def record(dataset: int, value: bytes, number: int = 2) -> bytes:
    return bytes([0x1C, number, dataset]) + len(value).to_bytes(2) + value


def test_resources_are_read_with_names_and_odd_lengths() -> None:
    block = resource(1, b"abc") + resource(IPTC, b"defg", name=b"name") + resource(3, b"")

    assert list(read_resources(block)) == [(1, b"abc"), (IPTC, b"defg"), (3, b"")]


@pytest.mark.parametrize("end", [b"", b"8BIM", b"8BIM\4\4\0\0\0\0\0\x09short", b"garbage" * 9])
def test_resources_before_the_damage_are_read(end: bytes) -> None:
    assert list(read_resources(resource(1, b"ab") + end)) == [(1, b"ab")]


def test_records_are_read_in_their_own_coding() -> None:
    latin = record(80, "Åse".encode("latin-1"))
    utf8 = record(90, b"\x1b%G", number=1) + record(80, "Åse".encode())

    assert list(read_iptc(latin)) == list(read_iptc(utf8)) == [("By-line", "Åse")]


@pytest.mark.parametrize("end", [b"\x1c\2\x50\xff\xff", b"\x1c\2", record(80, b"abc")[:-1], b"garbage"])
def test_records_before_the_damage_are_read(end: bytes) -> None:
    assert before_the_damage(record(65, b"GIMP") + end) == [("OriginatingProgram", "GIMP")]


def test_records_behind_the_damage_are_read() -> None:
    too_long = b"\x1c\1\x5a\0\4\0\xc4"

    block = too_long + record(5, b"lost") + record(65, b"GIMP") + record(120, b"A caption")

    assert before_the_damage(block)[-2:] == [("OriginatingProgram", "GIMP"), ("Caption", "A caption")]


def test_padding_behind_the_records_is_no_damage() -> None:
    assert list(read_iptc(record(65, b"GIMP") + bytes(6))) == [("OriginatingProgram", "GIMP")]


def before_the_damage(block: bytes) -> list[tuple[str, str]]:
    """Return the records of a block that is damaged."""
    records: list[tuple[str, str]] = []
    with pytest.raises(ValueError, match="damaged"):
        records.extend(read_iptc(block))
    return records
