"""The two kinds of data base that Caffe reads, told apart by what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from caffe_compat.data.leveldb_read import LevelDatabase
from caffe_compat.data.lmdb_read import Database


class Records(Protocol):
    """Records in the order of their keys. Used by one thread at a time."""

    path: Path

    @property
    def size(self) -> int:
        """The number of records."""

    def records(self, start: int, count: int) -> list[tuple[bytes, bytes]]:
        """(key, value) of ``count`` records from number ``start`` on; after the last one comes the first again."""

    def close(self) -> None:
        """Frees the files; may be called twice."""


def open_database(path: Path) -> Records:
    """Opens the LMDB or LevelDB at ``path``. Raises DataError where there is neither, or it is damaged."""
    if (path / "CURRENT").is_file() and not (path / "data.mdb").exists():
        return LevelDatabase(path)
    return Database(path)
