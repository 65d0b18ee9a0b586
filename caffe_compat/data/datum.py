"""Caffe's Datum, one record of a data base: an image, raw or encoded or of floats, and a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from caffe_compat.errors import DataError, NetError
from caffe_compat.pictures import decode
from caffe_compat.proto import pb

Record = tuple[bytes, bytes]


@dataclass
class Batch:
    """``images``: (N, C, H, W), or a list of N arrays (C, H, W), which may be read-only; uint8 or float32.

    ``labels``: float32 (N,).
    """

    images: np.ndarray | list[np.ndarray]
    labels: np.ndarray


def decode_records(records: Sequence[Record], path: object, color: str = "as stored") -> Batch:
    """The images and labels of data base records.

    ``color`` is for encoded images: "as stored", "color" (always 3 channels), "gray" (always 1), or "color and gray",
    a NetError. Channels are in the order of Caffe's OpenCV: blue, green, red. Raises DataError naming ``path`` and the
    record's key.
    """
    datums = _parse(records, path)
    labels = np.array([datum.label for datum in datums], dtype=np.float32)
    layouts = {(d.channels, d.height, d.width, d.encoded, len(d.data), len(d.float_data)) for d in datums}
    if len(layouts) == 1:
        channels, height, width, encoded, size, floats = layouts.pop()
        shape = (channels, height, width)
        if not encoded and _fits(shape, size or floats):
            return Batch(_stack(datums, shape, size > 0), labels)
    images = [
        _image(datum, color, f"record {key!r} of {path}") for (key, _), datum in zip(records, datums, strict=True)
    ]
    return Batch(images, labels)


def _parse(records: Sequence[Record], path: object) -> list[Any]:
    parse = pb.Datum.FromString
    try:
        return [parse(value) for _, value in records]
    except DecodeError:
        for key, value in records:
            try:
                parse(value)
            except DecodeError as error:
                raise DataError(
                    f"record {key!r} of {path} is no Datum ({len(value)} bytes); convert the data set again"
                ) from error
        raise


def _stack(datums: Sequence[Any], shape: tuple[int, int, int], is_raw: bool) -> np.ndarray:
    if is_raw:
        joined = bytearray().join([datum.data for datum in datums])
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, *shape)
    return np.stack([np.array(datum.float_data, dtype=np.float32) for datum in datums]).reshape(-1, *shape)


def _fits(shape: tuple[int, int, int], values: int) -> bool:
    return min(shape) > 0 and shape[0] * shape[1] * shape[2] == values


def _image(datum: Any, color: str, name: str) -> np.ndarray:
    """One image (C, H, W), uint8 or float32."""
    if datum.encoded:
        if color == "color and gray":
            raise NetError("transform_param has both force_color and force_gray: give one of the two")
        return decode(datum.data, color, name, upright=color != "as stored").transpose(2, 0, 1)
    shape = (datum.channels, datum.height, datum.width)
    found = len(datum.data) or len(datum.float_data)
    if not _fits(shape, found):
        raise DataError(
            f"{name} is no image: channels x height x width is {' x '.join(map(str, shape))}, but it holds {found} "
            "values; convert the data set again"
        )
    image: np.ndarray = _stack([datum], shape, len(datum.data) > 0)[0]
    return image
