"""The mean image of a data base, and its mean per channel."""

from __future__ import annotations

import os
from pathlib import Path

from caffe_compat.data.mean import compute_mean
from caffe_compat.errors import DataError
from caffe_compat.weights import write_mean


def mean_image(database: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> str:
    """Compute the mean of an LMDB, write it to ``out`` (.binaryproto), and tell it per channel, as Caffe's tool does.

    Raises DataError for a data base that is missing, damaged, or of images of several shapes.
    """
    if not Path(database).exists():
        raise DataError(f"there is no data base {database}; give the folder of an LMDB")
    mean = compute_mean(database)
    lines = [f"Write to {out}"] if out else []
    if out:
        write_mean(out, mean)
    lines.append(f"Number of channels: {len(mean)}")
    values = mean.reshape(len(mean), -1).mean(axis=1, dtype="float64")
    lines += [f"mean_value channel [{index}]: {value:g}" for index, value in enumerate(values)]
    return "\n".join(lines)
