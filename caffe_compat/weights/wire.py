"""Protobuf's wire format, as far as weight files need it.

A weight file is a few kilobytes of message around large packed arrays. Reading the arrays as views of the file, and
writing them from memory, is many times faster than through message objects, and knows no limit of 2 GiB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


class DamagedError(ValueError):
    """The bytes are no message: they end too early, or hold an impossible tag. The text says where."""


class Field(NamedTuple):
    """A field of a message: ``value`` of a varint (else 0), ``content`` of any other, ``whole``: with its tag."""

    number: int
    kind: int
    value: int
    content: memoryview
    whole: memoryview


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message, in the order of the file, as views of ``data``. Raises DamagedError."""
    end = 0
    while end < len(data):
        start = end
        tag, end = _varint(data, end)
        number, kind = tag >> 3, tag & 7
        if number == 0 or kind not in (VARINT, FIXED64, BYTES, FIXED32):
            raise DamagedError(f"at byte {start} of {len(data)} there is no field of a message")
        value = length = 0
        if kind == VARINT:
            value, end = _varint(data, end)
        else:
            length, end = _varint(data, end) if kind == BYTES else (_FIXED[kind], end)
        if length > len(data) - end:
            raise DamagedError(
                f"at byte {end} there should be {length} bytes of field {number}, but only {len(data) - end} follow"
            )
        end += length
        yield Field(number, kind, value, data[end - length : end], data[start:end])


def varints(data: memoryview) -> Iterator[int]:
    """The numbers of a packed field."""
    position = 0
    while position < len(data):
        number, position = _varint(data, position)
        yield number


def bytes_header(field: int, length: int) -> bytes:
    """What stands before ``length`` bytes of a message, string or packed field."""
    return varint(field << 3 | BYTES) + varint(length)


def varint(number: int) -> bytes:
    """A number of 0 or more, seven bits a byte."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    start = position
    while position < len(data):
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise DamagedError(f"at byte {start} of {len(data)} there is a number of more than ten bytes")
    raise DamagedError(f"at byte {start} of {len(data)} a number is cut off")
