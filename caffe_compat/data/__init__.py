"""Data sources. Importing this package registers one for each data layer type: Data, HDF5Data, MemoryData."""

from __future__ import annotations

from caffe_compat.data import database_source, hdf5, memory

__all__ = ["database_source", "hdf5", "memory"]
