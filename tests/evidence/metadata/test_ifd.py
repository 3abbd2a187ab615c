from __future__ import annotations

import struct
from fractions import Fraction

import pytest

from tamperscope.evidence.metadata import ifd
from tamperscope.evidence.metadata.ifd import Field, read_directories

HEADER = b"II*\0" + struct.pack("<L", 8)


def directory(*entries: tuple[int, int, int, bytes], following: int = 0) -> bytes:
    packed = b"".join(struct.pack("<HHL4s", tag, kind, count, value) for tag, kind, count, value in entries)
    return struct.pack("<H", len(entries)) + packed + struct.pack("<L", following)


def number(value: int) -> bytes:
    return struct.pack("<L", value)


def test_a_value_of_each_kind_is_read() -> None:
    start = 8 + 2 + 4 * 12 + 4
    block = (
        HEADER
        + directory(
            (0x010F, 2, 6, number(start)),
            (0x0112, 3, 1, number(6)),
            (0x829A, 5, 1, number(start + 6)),
            (0x9000, 7, 4, b"0232"),
        )
        + b"Canon\0"
        + struct.pack("<LL", 1, 125)
    )

    assert list(read_directories(block)) == [
        Field("main", 0x010F, b"Canon\0"),
        Field("main", 0x0112, 6),
        Field("main", 0x829A, Fraction(1, 125)),
        Field("main", 0x9000, b"0232"),
    ]


def test_directories_that_the_first_one_points_to_are_read_by_name() -> None:
    first = directory((0x8769, 4, 1, number(26)), following=44)
    capture = directory((0x8825, 4, 1, number(62)))
    block = (
        HEADER + first + capture + directory((0x0103, 3, 1, number(6))) + directory((0, 1, 4, b"\2\3\0\0"))
    )

    assert [(field.directory, field.tag) for field in read_directories(block)] == [
        (ifd.THUMBNAIL, 0x0103),
        (ifd.GPS, 0),
    ]


def test_a_value_that_cannot_be_read_does_not_hide_the_others() -> None:
    block = HEADER + directory(
        (0x010E, 2, 500, number(2**31)),
        (0x0110, 99, 1, number(1)),
        (0x0111, 4, 2**32 - 1, number(8)),
        (0x0112, 3, 1, number(3)),
        (0x829A, 5, 1, number(0)),
    )

    assert [field.value for field in read_directories(block) if field.tag == 0x0112] == [3]


def test_a_fraction_over_zero_is_left_out() -> None:
    block = HEADER + directory((0x829A, 5, 1, number(26))) + struct.pack("<LL", 1, 0)

    assert list(read_directories(block)) == []


def test_a_directory_that_points_to_itself_is_read_once() -> None:
    block = HEADER + directory((0x8769, 4, 1, number(8)), (0x0112, 3, 1, number(1)), following=8)

    assert [field.tag for field in read_directories(block)] == [0x0112]


@pytest.mark.parametrize("block", [b"", b"II", b"II*\0", HEADER, b"\xff" * 100, HEADER + b"\xff" * 50])
def test_a_damaged_block_has_no_fields(block: bytes) -> None:
    assert list(read_directories(block)) == []


def test_the_number_of_fields_is_bounded() -> None:
    block = HEADER + directory(*[(0x0112, 3, 1, number(1))] * 60_000)

    assert len(list(read_directories(block))) == ifd.MOST_FIELDS
