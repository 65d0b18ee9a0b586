"""Reading a LevelDB, which Caffe's tools wrote by default: its records in key order, around and around.

A LevelDB does not know how many records it has. They are found while they are read for the first time; ``size`` and
a far jump read on to where they have to. Nobody may write to it at the same time.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caffe_compat.data.leveldb_log import Manifest, SortKey, read_batch, read_log
from caffe_compat.data.leveldb_table import Handle, Table
from caffe_compat.errors import DataError
from caffe_compat.files import reason

_DAMAGED = "copy it again from where it came from, or convert the data set again"
_TABLES_OPEN = 32
_IN_LOG = -1

# the sort key of a record, and where it lies: table (or _IN_LOG), the block's offset and size, start and length in it
Entry = tuple[SortKey, int, int, int, int, int]


class LevelDatabase:
    """The records of the LevelDB in the folder ``path``. Raises DataError where it is empty, cut short or damaged.

    Used by one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: OrderedDict[int, Table] = OrderedDict()
        self._log_values: list[bytes] = []
        with self._reading("CURRENT"):
            name = (path / "CURRENT").read_text().strip()
        with self._reading(name):
            self._manifest = Manifest.read(path / name)
        self._new = self._newest(heapq.merge(*self._sources()))
        self._keys, self._key_ends = bytearray(), array("q", [0])
        self._places = tuple(array("q") for _ in range(5))
        self._complete = False
        if not self._find(1):
            raise DataError(f"the LevelDB {path} holds no record: convert the data set again")

    @property
    def size(self) -> int:
        """The number of records. Reads all keys when asked first."""
        while not self._complete:
            self._find(len(self._places[0]) + 1)
        return len(self._places[0])

    def records(self, start: int, count: int) -> list[tuple[bytes, bytes]]:
        """(key, value) of ``count`` records from number ``start`` on; after the last one comes the first again."""
        found: list[tuple[bytes, bytes]] = []
        for index in range(start, start + count):
            place = index if self._find(index + 1) else index % self.size
            key = bytes(self._keys[self._key_ends[place] : self._key_ends[place + 1]])
            found.append((key, self._value(*(column[place] for column in self._places))))
        return found

    def close(self) -> None:
        """Frees the files; may be called twice."""
        for table in self._open.values():
            table.close()
        self._open.clear()

    def _find(self, count: int) -> bool:
        """Whether there are ``count`` records; looks for them."""
        while len(self._places[0]) < count and not self._complete:
            entry = next(self._new, None)
            if entry is None:
                self._complete = True
                break
            self._keys += entry[0][0]
            self._key_ends.append(len(self._keys))
            for column, number in zip(self._places, entry[1:], strict=True):
                column.append(number)
        return len(self._places[0]) >= count

    def _value(self, table: int, offset: int, size: int, start: int, length: int) -> bytes:
        if table == _IN_LOG:
            return self._log_values[offset]
        with self._reading(f"table {table}"):
            return self._table(table).block((offset, size))[start : start + length]

    @staticmethod
    def _newest(entries: Iterator[Entry]) -> Iterator[Entry]:
        """Of the entries with one key the first, which is the newest, unless it deletes."""
        before: bytes | None = None
        for entry in entries:
            key, tag = entry[0]
            if key != before and -tag & 0xFF:
                yield entry
            before = key

    def _sources(self) -> Iterator[Iterator[Entry]]:
        """What is sorted already: the logs, every table of level 0, and every further level as a whole."""
        yield iter(self._log_entries())
        for level, tables in self._manifest.tables.items():
            in_order = sorted(tables, key=lambda number: tables[number])
            yield from [self._table_entries([n]) for n in in_order] if level == 0 else [self._table_entries(in_order)]

    def _log_entries(self) -> list[Entry]:
        entries: list[Entry] = []
        manifest = self._manifest
        for path in sorted(self.path.glob("*.log")):
            number = int(path.stem) if path.stem.isdigit() else -1
            if number < manifest.log_number and number != manifest.previous_log:
                continue
            with self._reading(path.name):
                for record in read_log(path.read_bytes()):
                    for key, value in read_batch(record):
                        entries.append((key, _IN_LOG, len(self._log_values), 0, 0, 0))
                        self._log_values.append(value)
        return sorted(entries)

    def _table_entries(self, tables: list[int]) -> Iterator[Entry]:
        for number in tables:
            with self._reading(f"table {number}"):
                blocks: list[Handle] = self._table(number).blocks
                for handle in blocks:
                    for key, start, length in self._table(number).entries(handle):
                        yield key, number, *handle, start, length

    def _table(self, number: int) -> Table:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        names = [self.path / f"{number:06d}{end}" for end in (".ldb", ".sst")]
        table = self._open[number] = Table(next((name for name in names if name.exists()), names[0]))
        if len(self._open) > _TABLES_OPEN:
            self._open.popitem(last=False)[1].close()
        return table

    @contextmanager
    def _reading(self, part: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, IndexError, struct.error) as error:
            raise DataError(f"{part} of the LevelDB {self.path} cannot be read: {reason(error)}; {_DAMAGED}") from error
