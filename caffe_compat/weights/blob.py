"""One BlobProto and its numpy array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from caffe_compat.weights import wire

_DIMS = {1: 0, 2: 1, 3: 2, 4: 3}  # num, channels, height, width
_DATA, _SHAPE, _DOUBLE_DATA, _RAW_TYPE, _RAW_DATA = 5, 7, 8, 10, 12
_RAW_TYPES = {0: "<f8", 1: "<f4", 2: "<f2"}  # NVCaffe: DOUBLE, FLOAT, FLOAT16


@dataclass
class StoredBlob:
    """The shape and the values (float, one axis) of a BlobProto. ``legacy``: num, channels, height, width."""

    shape: tuple[int, ...]
    legacy: bool
    values: np.ndarray

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a blob of ``shape`` takes the values, as Caffe's Blob::ShapeEquals.

        An old file's four numbers fit any shape that they equal once ones are put before it.
        """
        if self.legacy:
            return len(shape) <= 4 and self.shape == (1,) * (4 - len(shape)) + shape
        return self.shape == shape


def decode_blob(data: memoryview) -> StoredBlob:
    """The blob in the bytes of a BlobProto: floats, doubles, or NVCaffe's raw_data (also of 16 bits).

    Raises wire.DamagedError.
    """
    dims = [0, 0, 0, 0]
    shape: tuple[int, ...] = ()
    legacy, raw_type = False, 1
    parts: dict[int, list[np.ndarray]] = {}
    raw = data[:0]
    for field, kind, number, content, _ in wire.fields(data):
        if field in _DIMS and kind == wire.VARINT:
            dims[_DIMS[field]] = number
            legacy = True
        elif field == _SHAPE and kind == wire.BYTES:
            shape = tuple(_dims(content))
        elif field in (_DATA, _DOUBLE_DATA) and kind != wire.VARINT:
            parts.setdefault(field, []).append(_array(content, "<f4" if field == _DATA else "<f8"))
        elif field == _RAW_TYPE and kind == wire.VARINT:
            raw_type = number
        elif field == _RAW_DATA and kind == wire.BYTES:
            raw = content
    if raw_type not in _RAW_TYPES:
        raise wire.DamagedError(f"raw_data has type {raw_type}; known: 0 (double), 1 (float), 2 (float16)")
    arrays = parts.get(_DOUBLE_DATA) or parts.get(_DATA) or [_array(raw, _RAW_TYPES[raw_type])]
    values = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return StoredBlob(tuple(dims) if legacy else shape, legacy, values)


def _array(content: memoryview, dtype: str) -> np.ndarray:
    if len(content) % np.dtype(dtype).itemsize:
        raise wire.DamagedError(f"{len(content)} bytes are no whole number of values of type {dtype[1:]}")
    return np.frombuffer(content, dtype)


def _dims(content: memoryview) -> Iterator[int]:
    """BlobShape: packed or not."""
    for field, kind, number, packed, _ in wire.fields(content):
        if field != 1:
            continue
        if kind == wire.VARINT:
            yield number
        else:
            yield from wire.varints(packed)


def encode_blob(values: np.ndarray) -> tuple[bytes, memoryview]:
    """A BlobProto with ``values`` of any shape: the bytes up to the values, and the values (little-endian floats)."""
    floats = np.ascontiguousarray(values, "<f4")
    dims = b"".join(wire.varint(size) for size in values.shape)
    packed = wire.bytes_header(1, len(dims)) + dims if dims else b""
    head = wire.bytes_header(_SHAPE, len(packed)) + packed + wire.bytes_header(_DATA, floats.nbytes)
    return head, floats.reshape(-1).view(np.uint8).data
