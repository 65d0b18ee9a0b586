"""From a picture to the pixels that Caffe would have read: decoded, in its channel order, resized, cropped.

Needs no torch. A picture is a path, a PIL image, or an array (height, width) or (height, width, channels) of uint8 in
Pillow's order red, green, blue.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from caffe_compat.errors import DataError


def read_picture(picture: Any, channel_order: str) -> np.ndarray:
    """Pixels uint8 (height, width, channels) in ``channel_order``: "BGR", "RGB" or "GRAY". Raises DataError."""
    from PIL import Image

    if isinstance(picture, np.ndarray):
        return _ordered(Image.fromarray(_checked_array(picture)), channel_order)
    if isinstance(picture, Image.Image):
        return _ordered(picture, channel_order)
    if not isinstance(picture, (str, os.PathLike)):
        raise DataError(f"a picture is a path, a PIL image or a uint8 array, not {type(picture).__name__}")
    try:
        with Image.open(picture) as image:
            if channel_order == "GRAY" and image.format == "JPEG":
                image.draft("L", image.size)  # the luma that the file holds, as OpenCV's decoder takes it
            image.load()
            return _ordered(image, channel_order)
    except FileNotFoundError as error:
        raise DataError(f"the picture {picture} does not exist; correct the path") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{picture} cannot be read as a picture ({error}); give a JPEG, PNG, BMP, ...") from error


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear as OpenCV's resize, which Caffe uses: pixel centres at half, weights of 11 bits, no smoothing.

    ``pixels``: uint8 (h, w, channels). An exact halving is the rounded mean of 2 x 2 pixels, as there.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.shape[:2] == (2 * height, 2 * width):
        return _halved(pixels)
    rows, row_next, row_weights = _taps(pixels.shape[0], height)
    columns, column_next, column_weights = _taps(pixels.shape[1], width)
    wide = pixels.astype(np.int32)
    across = wide[:, columns] * column_weights[0][:, None] + wide[:, column_next] * column_weights[1][:, None]
    across >>= 4
    first = (across[rows] * row_weights[0][:, None, None]) >> 16
    second = (across[row_next] * row_weights[1][:, None, None]) >> 16
    return ((first + second + 2) >> 2).astype(np.uint8)


def centre_crop(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle height x width, at floor((size - crop) / 2) as in Caffe's transformer. Raises DataError."""
    if pixels.shape[0] < height or pixels.shape[1] < width:
        raise DataError(
            f"a picture of {pixels.shape[0]} x {pixels.shape[1]} cannot be cropped to {height} x {width} (height "
            "x width)"
        )
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def _checked_array(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    colours = picture.ndim == 3 and picture.shape[2] in (3, 4)
    if picture.dtype != np.uint8 or picture.size == 0 or not (picture.ndim == 2 or colours):
        raise DataError(
            f"an array {picture.dtype} of shape {picture.shape} is no picture; accepted: uint8 (height, width) or "
            "(height, width, 1, 3 or 4)"
        )
    return np.ascontiguousarray(picture)


def _ordered(image: Any, channel_order: str) -> np.ndarray:
    pixels = np.asarray(image.convert("L" if channel_order == "GRAY" else "RGB"))
    if pixels.ndim == 2:
        return pixels[:, :, None]
    return pixels[:, :, ::-1] if channel_order == "BGR" else pixels


def _taps(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every new pixel: the pixels left and right of it, and the weights of both in 1/2048."""
    place = ((np.arange(wanted) + 0.5) * (size / wanted) - 0.5).astype(np.float32)
    left = np.floor(place).astype(np.int64)
    part = place - left.astype(np.float32)
    part[(left < 0) | (left >= size - 1)] = 0
    left = left.clip(0, size - 1)
    weights = np.stack([(1 - part) * 2048, part * 2048])
    return left, (left + 1).clip(0, size - 1), np.rint(weights).astype(np.int32)


def _halved(pixels: np.ndarray) -> np.ndarray:
    wide = pixels.astype(np.int32)
    total = wide[::2, ::2] + wide[::2, 1::2] + wide[1::2, ::2] + wide[1::2, 1::2]
    return ((total + 2) >> 2).astype(np.uint8)
