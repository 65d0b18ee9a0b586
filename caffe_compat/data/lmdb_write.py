"""Writing an LMDB as Caffe's converters do: records under the keys 00000000, 00000001, ..."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from caffe_compat.files import atomic_folder, write_error

_COMMIT_EVERY = 1000
_FIRST_MAP_SIZE = 1 << 24
_FULL = 1 << 20  # a disk with fewer bytes free is full


def write_lmdb(path: str | os.PathLike[str], items: Iterable[Any], overwrite: bool = False) -> int:
    """Writes ``items``, Datum messages or their bytes, into a new LMDB folder ``path``; returns their number.

    The folder appears when it is complete. Raises CaffeCompatError if ``path`` exists (unless ``overwrite``), or
    the disk is full.
    """
    with atomic_folder(path, overwrite) as folder:
        try:
            return _write(folder, items)
        except lmdb.Error as error:
            raise _readable(path, folder, error) from error


def _write(folder: Path, items: Iterable[Any]) -> int:
    environment = lmdb.open(str(folder), map_size=_FIRST_MAP_SIZE, lock=False, sync=False, mode=0o644)
    try:
        count = 0
        values = iter(items)
        while part := list(islice(values, _COMMIT_EVERY)):
            _commit(environment, count, [v if isinstance(v, bytes) else v.SerializeToString() for v in part])
            count += len(part)
        environment.sync(True)
        return count
    finally:
        environment.close()


def _commit(environment: Any, first: int, values: list[bytes]) -> None:
    """Writes the values under the keys from number ``first`` on; doubles the map until they fit."""
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for i, value in enumerate(values):
                    transaction.put(b"%08d" % (first + i), value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def _readable(path: str | os.PathLike[str], folder: Path, error: lmdb.Error) -> Exception:
    """LMDB reports system errors by their text alone, and a disk that becomes full as an input/output error."""
    if shutil.disk_usage(folder).free < _FULL:
        return write_error(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    return write_error(path, OSError(0, str(error)))
