"""Reading an LMDB: its records in key order, around and around, from any record on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from caffe_compat.data.lmdb_check import PageCheck
from caffe_compat.errors import DataError

_DAMAGED = "copy it again from where it came from, or convert the data set again"


class Database:
    """The records of the LMDB at ``path``, a folder (as Caffe writes) or a single file.

    Any number of them may be open on one path. Used by one thread at a time. Raises DataError where the data base
    is missing, empty, cut short or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._environment = _acquire(path)
        try:
            self._transaction = self._environment.begin()
            self.size = int(self._transaction.stat()["entries"])
            if self.size == 0:
                raise DataError(f"the LMDB {path} holds no record: convert the data set again")
            self._pages = self._page_check()
            self._cursor = self._transaction.cursor()
        except BaseException:
            _release(self._environment)
            raise
        self._next = -1  # the index of the record that the iterator gives next
        self._iterator: Iterator[tuple[bytes, bytes]] = iter(())
        self._closed = False

    def records(self, start: int, count: int) -> list[tuple[bytes, bytes]]:
        """(key, value) of ``count`` records from number ``start`` on; after the last one comes the first again."""
        found: list[tuple[bytes, bytes]] = []
        try:
            while len(found) < count:
                index = (start + len(found)) % self.size
                if index != self._next:
                    self._move(index)
                found += self._take(count - len(found), index)
        except (lmdb.Error, ValueError) as error:
            after = f" after the record {found[-1][0]!r}" if found else ""
            raise DataError(f"the LMDB {self.path} is damaged{after}: {error}; {_DAMAGED}") from error
        return found

    def close(self) -> None:
        """Frees the data base; may be called twice."""
        if not self._closed:
            self._closed = True
            self._iterator = iter(())
            self._cursor.close()
            self._transaction.abort()
            _release(self._environment)

    def _page_check(self) -> PageCheck:
        file, page_size = _data_file(self.path), self._transaction.stat()["psize"]
        try:
            return PageCheck(file, page_size, self._transaction.id())
        except ValueError as error:
            raise DataError(f"the LMDB {self.path} is damaged: {error}; {_DAMAGED}") from error

    def _take(self, count: int, index: int) -> list[tuple[bytes, bytes]]:
        self._pages.look_at(min(index + count, self.size))
        some = list(islice(self._iterator, min(count, self.size - index)))
        if not some:
            raise DataError(f"the LMDB {self.path} ends before its record number {index}; {_DAMAGED}")
        self._next = index + len(some)
        return some

    def _move(self, index: int) -> None:
        """Puts the iterator on record ``index``, over the keys from the nearer end; no value is read."""
        self._pages.look_at(index + 1 if index <= self.size // 2 else self.size)
        if index <= self.size // 2:
            self._cursor.first()
            keys, steps = self._cursor.iternext(keys=True, values=False), index + 1
        else:
            self._cursor.last()
            keys, steps = self._cursor.iterprev(keys=True, values=False), self.size - index
        for _ in islice(keys, steps):
            pass
        self._iterator = self._cursor.iternext()


# LMDB forbids a process to open one data base twice, so all its readers share one environment.
_shared: dict[tuple[int, int], tuple[Any, int]] = {}
_lock = threading.Lock()


def _acquire(path: Path) -> Any:
    """The environment of the data base at ``path``; give it back with `_release`."""
    file = _data_file(path)
    status = file.stat()
    identity = (status.st_dev, status.st_ino)
    with _lock:
        environment, readers = _shared.get(identity, (None, 0))
        if environment is None:
            environment = _open(file)
        _shared[identity] = (environment, readers + 1)
    return environment


def _release(environment: Any) -> None:
    with _lock:
        for identity, (shared, readers) in list(_shared.items()):
            if shared is environment:
                if readers > 1:
                    _shared[identity] = (shared, readers - 1)
                else:
                    del _shared[identity]
                    environment.close()


def _data_file(path: Path) -> Path:
    """The file that holds the records; DataError where ``path`` is no LMDB."""
    if path.is_file():
        return path
    if (path / "data.mdb").is_file():
        return path / "data.mdb"
    raise DataError(
        f"{path} is no LMDB: it has no file data.mdb, nor a LevelDB's CURRENT; give the folder that convert-* commands "
        "write"
    )


def _open(file: Path) -> Any:
    if file.stat().st_size == 0:
        raise DataError(f"{file} cannot be opened as an LMDB: it is empty (0 bytes); {_DAMAGED}")
    try:
        environment = lmdb.open(str(file), subdir=False, readonly=True, lock=False, create=False)
    except lmdb.Error as error:
        remedy = "close the lmdb.Environment that your program holds" if "already open" in str(error) else _DAMAGED
        raise DataError(f"{file} cannot be opened as an LMDB: {str(error).split(': ')[-1]}; {remedy}") from error
    # LMDB maps the file into memory, where touching what was cut off would kill the process (SIGBUS)
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if file.stat().st_size < needed:
        environment.close()
        raise DataError(f"{file} is cut short: {file.stat().st_size} of {needed} bytes are there; {_DAMAGED}")
    return environment
