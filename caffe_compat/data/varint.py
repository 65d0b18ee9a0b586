"""Whole numbers of 7 bits a byte, lowest first, as LevelDB and Snappy store them."""

from __future__ import annotations


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at ``place``, and the place after it. Raises IndexError at the end of ``data``."""
    byte = data[place]
    value, shift = byte & 127, 7
    while byte > 127:
        place += 1
        byte = data[place]
        value |= (byte & 127) << shift
        shift += 7
    return value, place + 1


def read_prefixed(data: bytes, place: int) -> tuple[bytes, int]:
    """The bytes at ``place``, whose number stands before them, and the place after them. Raises ValueError."""
    length, place = read_varint(data, place)
    if place + length > len(data):
        raise ValueError(f"{length} bytes are announced, {len(data) - place} are left")
    return bytes(data[place : place + length]), place + length
