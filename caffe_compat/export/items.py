"""How many items a data layer's source has: the length of one pass over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from caffe_compat.data.lmdb_read import Database
from caffe_compat.data.paths import resolve_path
from caffe_compat.layers.source import Source


def item_count(layer: Any, source: Source, folder: Path) -> int | None:
    """Items of the opened ``source`` of a data layer (message); None where nothing tells.

    The source's own ``size`` decides, where it has one. ``folder``: of the prototxt.
    """
    size = getattr(source, "size", None)
    if size:
        return int(size)
    counter = _COUNTERS.get(layer.type)
    return counter(layer, folder) if counter is not None else None


def _database(layer: Any, folder: Path) -> int:
    database = Database(resolve_path(layer.data_param.source, folder, "data_param's source"))
    try:
        return database.size
    finally:
        database.close()


def _image_list(layer: Any, folder: Path) -> int:
    path = resolve_path(layer.image_data_param.source, folder, "image_data_param's source")
    return sum(1 for line in path.read_text("utf-8", "replace").splitlines() if line.strip())


def _hdf5(layer: Any, folder: Path) -> int:
    import h5py

    path = resolve_path(layer.hdf5_data_param.source, folder, "hdf5_data_param's source")
    total = 0
    for line in path.read_text("utf-8").split():
        with h5py.File(resolve_path(line, path.parent, "HDF5 file"), "r") as file:
            total += len(file[layer.top[0]])
    return total


_COUNTERS: dict[str, Callable[[Any, Path], int]] = {
    "Data": _database,
    "HDF5Data": _hdf5,
    "ImageData": _image_list,
}
