"""What the HDF5Output layer writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.data.hdf5 import require_h5py
from caffe_compat.errors import DataError
from caffe_compat.files import atomic_write, refused_as
from caffe_compat.layers.sink import array_writer


@array_writer("HDF5")
def write_hdf5(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """One data set for each array, in a file that appears whole. Raises DataError without h5py, and where
    the system refuses."""
    h5py = require_h5py()
    with refused_as(DataError), atomic_write(path, "w+b") as file, h5py.File(file, "w") as content:
        for name, values in arrays.items():
            content[name] = values


@array_writer("more HDF5")
def add_to_hdf5(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """The rows of ``arrays`` behind those of the data sets that `write_hdf5` wrote. The first call makes a new file of
    data sets that can grow, each further one writes its own rows alone. Raises DataError where the file is another."""
    try:
        with require_h5py().File(path, "r") as content:
            old = {name: content[name] for name in arrays}
            _check_rows(path, old, arrays)
            fixed = {name: values[...] for name, values in old.items() if values.chunks is None}
        if fixed:
            _write_growing(path, fixed)
        with require_h5py().File(path, "r+") as content:
            for name, values in arrays.items():
                content[name].resize(len(content[name]) + len(values), axis=0)
                content[name][-len(values) :] = values
    except (OSError, KeyError) as error:
        raise DataError(
            f"cannot add to {path}: {error}; it must stay as it is, and on a disk with room, until the last pass"
        ) from error


def _check_rows(path: str | Path, old: Mapping[str, Any], new: Mapping[str, np.ndarray]) -> None:
    for name, values in new.items():
        if old[name].shape[1:] != values.shape[1:]:
            raise DataError(
                f'"{name}" of {path} has rows of shape {list(old[name].shape[1:])}, and rows of shape '
                f"{list(values.shape[1:])} are to be added: write them into another file"
            )


def _write_growing(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    with refused_as(DataError), atomic_write(path, "w+b") as file, require_h5py().File(file, "w") as content:
        for name, values in arrays.items():
            content.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]), chunks=values.shape)
