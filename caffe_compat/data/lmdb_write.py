"""Writing an LMDB as Caffe's converters do: records under the keys 00000000, 00000001, ..."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from caffe_compat.errors import DataError
from caffe_compat.files import atomic_folder, refused_as, write_error

_COMMIT_EVERY = 1000
_FIRST_MAP_SIZE = 1 << 24
_FULL = 1 << 20  # a disk with fewer bytes free is full
Put = Callable[[Sequence[tuple[bytes, Any]]], None]


def write_lmdb(path: str | os.PathLike[str], items: Iterable[Any], overwrite: bool = False) -> int:
    """Writes ``items``, Datum messages or their bytes, into a new LMDB folder ``path``; returns their number.

    The folder appears when it is complete. Raises DataError if ``path`` exists (unless ``overwrite``), or
    the disk is full.
    """
    records = ((b"%08d" % index, item) for index, item in enumerate(items))
    count = 0
    with lmdb_writer(path, overwrite) as put:
        while part := list(islice(records, _COMMIT_EVERY)):
            put(part)
            count += len(part)
    return count


@contextmanager
def lmdb_writer(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Put]:
    """Gives a function that puts (key, Datum message or bytes) pairs into a new LMDB folder ``path``.

    The folder appears, whole, at the end of the ``with`` block. Raises as ``write_lmdb`` does.
    """
    with refused_as(DataError), atomic_folder(path, overwrite) as folder:
        try:
            environment = lmdb.open(str(folder), map_size=_FIRST_MAP_SIZE, lock=False, sync=False, mode=0o644)
            try:
                yield lambda records: _commit(environment, records)
                environment.sync(True)
            finally:
                environment.close()
        except lmdb.Error as error:
            raise _readable(path, folder, error) from error


def _commit(environment: Any, records: Sequence[tuple[bytes, Any]]) -> None:
    """Writes the records in one transaction; doubles the map until they fit."""
    values = [(key, item if isinstance(item, bytes) else item.SerializeToString()) for key, item in records]
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in values:
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def _readable(path: str | os.PathLike[str], folder: Path, error: lmdb.Error) -> Exception:
    """LMDB reports system errors by their text alone, and a disk that becomes full as an input/output error."""
    if shutil.disk_usage(folder).free < _FULL:
        return write_error(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    return write_error(path, OSError(0, str(error)))
