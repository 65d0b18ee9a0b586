"""LevelDB's tables (.ldb, .sst): sorted records in blocks, an index of the blocks, and a foot that says where it is.

A block is a run of entries whose keys leave out what they share with the key before, then a list of places where
nothing is left out; after it stand its compression and a checksum, which is not verified.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from caffe_compat.data.leveldb_log import SortKey, sort_key
from caffe_compat.data.snappy import decompress
from caffe_compat.data.varint import read_varint

_MAGIC = 0xDB4775248B80FB57
_FOOT = 48
_RAW, _SNAPPY = 0, 1
_BLOCKS_HELD = 2

Handle = tuple[int, int]


class Table:
    """One table file, mapped into memory. Raises OSError, ValueError or IndexError where it is damaged."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            foot = self._bytes[-_FOOT:]
            if len(foot) < _FOOT or int.from_bytes(foot[-8:], "little") != _MAGIC:
                raise ValueError("it does not end as a table does")
            _, place = _read_handle(foot, 0)
            index, _ = _read_handle(foot, place)
            content = self._read(index)
            self.blocks = [_read_handle(content[start : start + n], 0)[0] for _, start, n in _entries(content)]
        except BaseException:
            self._bytes.close()
            raise
        self.block = lru_cache(maxsize=_BLOCKS_HELD)(self._read)

    def entries(self, handle: Handle) -> Iterator[tuple[SortKey, int, int]]:
        """(sort key, start, length) of a block's entries: each value is ``block(handle)[start : start + length]``."""
        for key, start, length in _entries(self.block(handle)):
            yield sort_key(key), start, length

    def close(self) -> None:
        self._bytes.close()

    def _read(self, handle: Handle) -> bytes:
        offset, size = handle
        data = self._bytes[offset : offset + size + 1]
        if len(data) <= size:
            raise ValueError(f"a block of {size} bytes at {offset} lies beyond its end")
        if data[-1] == _RAW:
            return data[:-1]
        if data[-1] == _SNAPPY:
            return decompress(data[:-1])
        raise ValueError(f"a block is compressed by method {data[-1]}; none (0) and Snappy (1) are read")


def _read_handle(data: bytes, place: int) -> tuple[Handle, int]:
    offset, place = read_varint(data, place)
    size, place = read_varint(data, place)
    return (offset, size), place


def _entries(block: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(key, start of the value, its length) of the entries of a block."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise ValueError(f"a block of {len(block)} bytes announces {restarts} restarts")
    place, key = 0, b""
    while place < end:
        shared, place = read_varint(block, place)
        own, place = read_varint(block, place)
        length, place = read_varint(block, place)
        start = place + own
        if shared > len(key) or start + length > end:
            raise ValueError("an entry of a block reaches beyond it")
        key = key[:shared] + block[place:start]
        yield key, start, length
        place = start + length
