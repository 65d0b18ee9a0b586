"""LevelDB's log format: the MANIFEST, which lists the tables, and the .log files, which hold the newest records.

A file is made of blocks of 32 KiB; a record lies in one or several pieces, each with a head of 7 bytes: checksum,
length, and whether it is the whole record, its first, a middle or its last piece. A record that was cut off at the
end of the file was never acknowledged and does not count, as in LevelDB. Checksums are not verified.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from caffe_compat.data.varint import read_prefixed, read_varint

_BLOCK = 1 << 15
_HEAD = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_COMPARATOR = b"leveldb.BytewiseComparator"

SortKey = tuple[bytes, int]


def sort_key(internal_key: bytes) -> SortKey:
    """(the user's key, - the tag): of two records with one key the newer comes first.

    The tag is 256 * the sequence number + 1 for a value or + 0 for a deletion.
    """
    if len(internal_key) < 8:
        raise ValueError(f"the key {internal_key!r} is shorter than its tag")
    return internal_key[:-8], -int.from_bytes(internal_key[-8:], "little")


def read_log(data: bytes) -> Iterator[bytes]:
    """The records of a file in log format. Raises ValueError where it is damaged."""
    place = 0
    begun: bytes | None = None  # may well be empty: where only the head found room in a block
    while place + _HEAD.size <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEAD.size:
            place += left
            continue
        _, length, kind = _HEAD.unpack_from(data, place)
        piece = data[place + _HEAD.size : place + _HEAD.size + length]
        if kind == 0 and length == 0:  # room reserved for more records
            place += left
            continue
        if len(piece) < length:
            return
        if kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST) or (kind in (_MIDDLE, _LAST)) != (begun is not None):
            raise ValueError(f"byte {place} begins a piece of kind {kind} that does not belong there")
        begun = (begun or b"") + piece
        place += _HEAD.size + length
        if kind in (_WHOLE, _LAST):
            yield begun
            begun = None


def read_batch(record: bytes) -> Iterator[tuple[SortKey, bytes]]:
    """The (sort key, value) of what one record of a .log file writes or deletes."""
    sequence, count = struct.unpack_from("<QI", record)
    place = 12
    for number in range(sequence, sequence + count):
        kind = record[place]
        if kind not in (0, 1):
            raise ValueError(f"a batch holds an operation of kind {kind}")
        key, place = read_prefixed(record, place + 1)
        value = b""
        if kind == 1:
            value, place = read_prefixed(record, place)
        yield (key, -(number << 8 | kind)), value


@dataclass
class Manifest:
    """The files that make up the data base now."""

    tables: dict[int, dict[int, SortKey]] = field(default_factory=dict)
    """Level -> number of the table -> its smallest key."""
    log_number: int = 0
    """The .log files from this number on hold records that lie in no table."""
    previous_log: int = 0

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Raises ValueError, IndexError or OSError where the file is damaged or of an unknown kind."""
        manifest = cls()
        for record in read_log(path.read_bytes()):
            manifest._apply(record)
        return manifest

    def _apply(self, edit: bytes) -> None:
        place = 0
        while place < len(edit):
            kind, place = read_varint(edit, place)
            if kind == 1:
                name, place = read_prefixed(edit, place)
                if name != _COMPARATOR:
                    raise ValueError(f"the keys are ordered by {name.decode(errors='replace')}, which is unknown")
            elif kind in (2, 3, 4, 9):  # the log, the next file's number, the last sequence number, the previous log
                number, place = read_varint(edit, place)
                if kind == 2:
                    self.log_number = number
                elif kind == 9:
                    self.previous_log = number
            elif kind in (5, 6, 7):
                place = self._apply_to_level(kind, edit, place)
            else:
                raise ValueError(f"an entry of kind {kind} is unknown")

    def _apply_to_level(self, kind: int, edit: bytes, place: int) -> int:
        """5: where the last compaction ended; 6: a table goes; 7: a table comes."""
        level, place = read_varint(edit, place)
        if kind == 5:
            return read_prefixed(edit, place)[1]
        table, place = read_varint(edit, place)
        if kind == 6:
            self.tables.get(level, {}).pop(table, None)
            return place
        _, place = read_varint(edit, place)
        smallest, place = read_prefixed(edit, place)
        _, place = read_prefixed(edit, place)
        self.tables.setdefault(level, {})[table] = sort_key(smallest)
        return place
