"""Data sources. Importing this package registers one for each data layer type, and what HDF5Output writes with."""

from __future__ import annotations

from caffe_compat.data import database_source, hdf5, hdf5_write, image_source, memory, window_source

__all__ = ["database_source", "hdf5", "hdf5_write", "image_source", "memory", "window_source"]
