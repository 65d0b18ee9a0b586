"""Snappy's block format, in which LevelDB compresses: literals, and copies of what stands before."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from caffe_compat.data.varint import read_varint


def decompress(data: bytes) -> bytes:
    """The bytes that ``data`` was made of. Raises ValueError where it is damaged. With cramjam installed it is fast."""
    library = _cramjam()
    if library is None:
        return decompress_plain(data)
    try:
        return bytes(library.snappy.decompress_raw(data))
    except library.DecompressionError as error:
        raise ValueError(str(error)) from error


def decompress_plain(data: bytes) -> bytes:
    """`decompress` in Python alone."""
    wanted, place = read_varint(data, 0)
    out = bytearray()
    while place < len(data):
        kind, rest = data[place] & 3, data[place] >> 2
        if kind == 0:
            more = rest - 59 if rest >= 60 else 0  # the bytes that tell the length
            length = (int.from_bytes(data[place + 1 : place + 1 + more], "little") if more else rest) + 1
            place += 1 + more
            out += data[place : place + length]
            place += length
            continue
        if kind == 1:
            length, offset, used = (rest & 7) + 4, (rest >> 3 << 8) | data[place + 1], 2
        else:
            used = 3 if kind == 2 else 5
            length, offset = rest + 1, int.from_bytes(data[place + 1 : place + used], "little")
        _copy(out, offset, length)
        place += used
    if len(out) != wanted:
        raise ValueError(f"the compressed block holds {len(out)} of {wanted} bytes")
    return bytes(out)


def _copy(out: bytearray, offset: int, length: int) -> None:
    """Appends ``length`` bytes from ``offset`` before the end, which repeat themselves where there are not so many."""
    if not 0 < offset <= len(out):
        raise ValueError(f"the compressed block copies from {offset} bytes before byte {len(out)}")
    start = len(out) - offset
    part = out[start : start + length]
    out += part if len(part) == length else (part * (length // len(part) + 1))[:length]


@cache
def _cramjam() -> Any:
    try:
        return importlib.import_module("cramjam")
    except ImportError:
        return None
