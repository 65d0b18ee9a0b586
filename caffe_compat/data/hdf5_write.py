"""What the HDF5Output layer writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from caffe_compat.data.hdf5 import require_h5py
from caffe_compat.files import atomic_write
from caffe_compat.layers.sink import array_writer


@array_writer("HDF5")
def write_hdf5(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """One data set for each array, in a file that appears whole. Raises DataError without h5py, CaffeCompatError
    where the system refuses."""
    h5py = require_h5py()
    with atomic_write(path, "w+b") as file, h5py.File(file, "w") as content:
        for name, values in arrays.items():
            content[name] = values
