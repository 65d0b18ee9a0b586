"""Mean images: Caffe's .binaryproto, one BlobProto."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from caffe_compat.errors import DataError
from caffe_compat.files import atomic_write, refused_as


def read_mean(path: str | os.PathLike[str]) -> np.ndarray:
    """The mean image in ``path``, float32 (C, H, W). Raises DataError if there is none.

    Both forms of the shape (num, channels, height, width; or shape) and of the values (float, double) are read.
    """
    from google.protobuf.message import DecodeError

    from caffe_compat.proto import pb

    remedy = "give the file that compute-image-mean wrote"
    try:
        blob = pb.BlobProto.FromString(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"cannot read the mean {path}: {error.strerror}; {remedy}") from error
    except DecodeError as error:
        raise DataError(f"{path} is no mean image (a BlobProto); {remedy} ({error})") from error
    legacy = (blob.num, blob.channels, blob.height, blob.width)
    shape = legacy if any(legacy) else tuple(blob.shape.dim)
    values = np.array(blob.data or blob.double_data, dtype=np.float32)
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 3 or values.size != np.prod(shape) or not values.size:
        raise DataError(
            f"{path} is no mean image: its shape is {tuple(shape)} and it holds {values.size} values; accepted is one "
            f"image (channels, height, width); {remedy}"
        )
    return values.reshape(shape)


def write_mean(path: str | os.PathLike[str], mean: np.ndarray) -> None:
    """Writes ``mean`` (C, H, W) as Caffe's compute_image_mean does: num 1, channels, height, width, floats.

    Raises DataError for another shape, and where the system refuses.
    """
    from caffe_compat.proto import pb

    if mean.ndim != 3:
        raise DataError(f"a mean image has the shape (channels, height, width), not {mean.shape}")
    channels, height, width = mean.shape
    blob = pb.BlobProto(num=1, channels=channels, height=height, width=width)
    blob.data.extend(np.asarray(mean, dtype=np.float32).ravel().tolist())
    with refused_as(DataError), atomic_write(path) as file:
        file.write(blob.SerializeToString())
