"""Data sources. Importing this package registers one for each data layer type: Data, HDF5Data, MemoryData."""

from __future__ import annotations

from caffe_compat.data import hdf5, lmdb_source, memory

__all__ = ["hdf5", "lmdb_source", "memory"]
