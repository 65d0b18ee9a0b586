"""Pixels as the OpenCV of Caffe reads them: decoded, blue first, resized.

Needs no torch. Pixels are uint8 (height, width, channels).
"""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from caffe_compat.errors import DataError

_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_GRAY = {"PNG": (9797, 19234, 3737, 0, 15), "WEBP": (9798, 19235, 3735, 1 << 14, 15)}
_GRAY_ELSE = (4899, 9617, 1868, 1 << 13, 14)
"""The weights of red, green and blue, what is added, and the bits that are dropped, of OpenCV's readers."""
_ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held


def decode(data: bytes | str | os.PathLike[str], color: str, name: str, *, upright: bool = False) -> np.ndarray:
    """An encoded image (JPEG, PNG, ...; its bytes or its path) as pixels, channels blue, green, red (, alpha).

    ``color``: "color" (always 3 channels), "gray" (always 1), or "as stored": a gray image has one channel, and a
    palette becomes colours. ``upright``: turned as its EXIF tag says, which OpenCV does except for "as stored".
    Of a PNG with 16 bits the upper 8 count. The pixels may be read-only. Raises DataError, naming it ``name``, for
    what is no image, or otherwise has more than 8 bits a channel.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            if color == "gray" and image.format == "JPEG":
                image.draft("L", image.size)  # the luma that the file holds, as OpenCV's decoder takes it
            image.load()
            return _pixels(image, color, name, upright)
    except (DataError, FileNotFoundError):
        raise
    except Exception as error:  # Pillow raises many kinds for damaged images
        size = f" ({len(data)} bytes)" if isinstance(data, bytes) else ""
        raise DataError(f"{name} cannot be decoded as an image{size}: {error}; replace or remove it") from error


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear as OpenCV's resize, which Caffe uses: pixel centres at half, weights of 11 bits, no smoothing.

    ``pixels``: uint8 (h, w, channels). An exact halving is the rounded mean of 2 x 2 pixels, as there.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.strides[2] < 0:  # channels as decode turns them round: in memory they are faster
        return resize(pixels[:, :, ::-1], height, width)[:, :, ::-1]
    if pixels.shape[:2] == (2 * height, 2 * width):
        return _halved(pixels)
    rows, row_next, row_weights = _taps(pixels.shape[0], height, across=False)
    columns, column_next, column_weights = _taps(pixels.shape[1], width, across=True)
    used, place = np.unique(np.concatenate([rows, row_next]), return_inverse=True)
    channels = pixels.shape[2]
    flat = pixels[used].reshape(len(used), -1)  # one long axis of columns and channels
    left, right = (((which * channels)[:, None] + np.arange(channels)).ravel() for which in (columns, column_next))
    wide = column_weights.repeat(channels, axis=1)
    across = flat.take(left, axis=1) * wide[0]
    across += flat.take(right, axis=1) * wide[1]
    across >>= 4
    total = _weighted(across, place[:height], row_weights[0])
    total += _weighted(across, place[height:], row_weights[1])
    total += 2
    total >>= 2
    return total.astype(np.uint8).reshape(height, width, channels)


def centre_crop(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle height x width, at floor((size - crop) / 2) as in Caffe's transformer. Raises DataError."""
    if pixels.shape[0] < height or pixels.shape[1] < width:
        raise DataError(
            f"a picture of {pixels.shape[0]} x {pixels.shape[1]} cannot be cropped to {height} x {width} (height "
            "x width)"
        )
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def _pixels(image: Any, color: str, name: str, upright: bool) -> np.ndarray:
    if image.mode in _DEEP and (image.format != "PNG" or color == "as stored"):
        raise DataError(f"{name} has pixels of more than 8 bits (mode {image.mode}); store 8-bit images")
    turned = _turned(image) if upright else image
    if image.mode in _DEEP:
        upper = (np.asarray(turned) >> 8).astype(np.uint8)[:, :, None]
        return upper if color == "gray" else upper.repeat(3, axis=2)
    if color == "gray" and image.mode not in ("1", "L"):
        return _gray(_rgb(turned), image.format)
    mode = _mode(image, color)
    pixels = _rgb(turned) if mode == "RGB" else np.asarray(turned.convert(mode))
    if pixels.ndim == 2:
        return pixels[:, :, None]
    return pixels[:, :, ::-1] if pixels.shape[2] == 3 else pixels[:, :, [2, 1, 0, 3]]


def _turned(image: Any) -> Any:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image


def _mode(image: Any, color: str) -> str:
    if color != "as stored":
        return "RGB" if color == "color" else "L"
    if image.mode in ("1", "L"):
        return "L"
    has_alpha = image.mode in ("LA", "RGBA", "PA") or (image.mode == "P" and "transparency" in image.info)
    return "RGBA" if has_alpha else "RGB"


def _rgb(image: Any) -> np.ndarray:
    """CMYK, which a JPEG may be, becomes colours in whole numbers as in OpenCV: black less its part of each ink."""
    if image.mode != "CMYK":
        return np.asarray(image.convert("RGB"))
    inks = 255 - np.asarray(image).astype(np.int32)
    black = inks[:, :, 3:]
    return (black - ((255 - inks[:, :, :3]) * black >> 8)).astype(np.uint8)


def _gray(rgb: np.ndarray, file_format: str | None) -> np.ndarray:
    """0.299 R + 0.587 G + 0.114 B, for PNG as libpng computes it, else as OpenCV itself does."""
    red, green, blue = rgb.astype(np.int32).transpose(2, 0, 1)
    of_red, of_green, of_blue, added, bits = _GRAY.get(file_format or "", _GRAY_ELSE)
    return ((of_red * red + of_green * green + of_blue * blue + added) >> bits)[:, :, None].astype(np.uint8)


def _taps(size: int, wanted: int, across: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every new pixel: the pixels left and right of it, and the weights of both in 1/2048."""
    place = ((np.arange(wanted) + 0.5) * (size / wanted) - 0.5).astype(np.float32)
    left = np.floor(place).astype(np.int64)
    part = place - left.astype(np.float32)
    if across:  # at the rims of a row OpenCV takes one pixel whole; at the rims of a column twice the same, in parts
        part[(left < 0) | (left >= size - 1)] = 0
    weights = np.stack([(1 - part) * 2048, part * 2048])
    return left.clip(0, size - 1), (left + 1).clip(0, size - 1), np.rint(weights).astype(np.int32)


def _weighted(rows: np.ndarray, which: np.ndarray, weights: np.ndarray) -> np.ndarray:
    part = rows.take(which, axis=0)
    part *= weights[:, None]
    part >>= 16
    return part


def _halved(pixels: np.ndarray) -> np.ndarray:
    wide = pixels.astype(np.int32)
    total = wide[::2, ::2] + wide[::2, 1::2] + wide[1::2, ::2] + wide[1::2, 1::2]
    return ((total + 2) >> 2).astype(np.uint8)
