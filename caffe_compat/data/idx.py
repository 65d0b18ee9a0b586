"""MNIST's idx files, plain or gzipped: 00 00, a type byte, the number of axes, the sizes (big-endian), the values."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from caffe_compat.errors import DataError

_UINT8 = 0x08
_AGAIN = "download or copy it again"


def read_images(path: str | os.PathLike[str]) -> np.ndarray:
    """The images of an idx3 file, uint8 (N, 1, H, W)."""
    return _read(Path(path), 3)[:, None]


def read_labels(path: str | os.PathLike[str]) -> np.ndarray:
    """The labels of an idx1 file, uint8 (N,)."""
    return _read(Path(path), 1)


def _read(path: Path, axes: int) -> np.ndarray:
    content = _content(path)
    magic = bytes([0, 0, _UINT8, axes])
    if content[:4] != magic:
        raise DataError(
            f"{path} begins with the bytes {content[:4].hex(' ')}: an idx file of {axes} axes begins with "
            f"{magic.hex(' ')}; are images and labels swapped, or is it another file?"
        )
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"{path} is cut short: {len(content)} bytes; {_AGAIN}")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{path} announces {' x '.join(map(str, shape))} values but holds {len(content) - start}; {_AGAIN}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged gzip file: {error}; {_AGAIN}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; correct the path") from error
