"""Find the external files that an ONNX graph loads its weights from.

A graph names these files itself. Loading a graph from an untrusted source therefore reads files that
the source chose. The base install has no `onnx` package, so this module parses only the fields that lead to
a file name (`onnx.proto`, field numbers of IR version 3 and later; wire format of Protocol Buffers).
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# message -> field number -> message inside it
_PATHS: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}


def external_files(model: bytes) -> frozenset[str]:
    """Return the locations of all external data in a serialised ONNX model.

    Raises `ValueError` when the bytes are malformed.
    """
    return frozenset(_locations(memoryview(model), "Model"))


def _locations(message: memoryview, kind: str) -> Iterator[str]:
    if kind == "Entry":
        entry = {number: bytes(value).decode() for number, value in _fields(message)}
        if entry.get(1) == "location":
            yield entry.get(2, "")
        return
    for number, value in _fields(message):
        if inner := _PATHS[kind].get(number):
            yield from _locations(value, inner)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the content of each length-delimited field."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _BYTES:
            length, position = _varint(message, position)
            if position + length > len(message):
                raise ValueError("a field ends beyond its message")
            yield number, message[position : position + length]
            position += length
        elif wire_type == _VARINT:
            _, position = _varint(message, position)
        elif wire_type in (_FIXED64, _FIXED32):
            position += 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"unknown wire type {wire_type}")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message) and shift < 70:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise ValueError("a varint does not end")
