"""The mean image of a data base, as Caffe's compute_image_mean makes it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from caffe_compat.data.database import open_database
from caffe_compat.data.datum import decode_records
from caffe_compat.errors import DataError

_PART = 256


def compute_mean(source: str | os.PathLike[str]) -> np.ndarray:
    """mean[c, h, w] = the sum of the images of the data base ``source`` / their number; float32, summed in float64.

    Encoded images are decoded. Raises DataError where two images have different shapes.
    """
    database = open_database(Path(source))
    total: np.ndarray | None = None
    try:
        for start in range(0, database.size, _PART):
            records = database.records(start, min(_PART, database.size - start))
            images = decode_records(records, source).images
            for part in [images] if isinstance(images, np.ndarray) else [image[None] for image in images]:
                if total is None:
                    total = np.zeros(part.shape[1:])
                if total.shape != part.shape[1:]:
                    raise DataError(
                        f"{source} holds images of the shapes {total.shape} and {part.shape[1:]}: a mean needs images "
                        "of one shape; resize them when converting"
                    )
                total += part.sum(axis=0, dtype=np.float64)
        assert total is not None, "a Database is never empty"
        return (total / database.size).astype(np.float32)
    finally:
        database.close()
