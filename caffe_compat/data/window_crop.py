"""Where a window of an image comes to lie in the square crop of a WindowData layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from caffe_compat.errors import DataError
from caffe_compat.pictures import resize

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Place:
    """``x1 .. x2``, ``y1 .. y2`` of the image (both ends inside), resized to ``height`` x ``width`` pixels at
    ``top``, ``left`` of the crop; when mirrored at ``left_mirrored``. The rest of the crop lies outside the image."""

    x1: int
    y1: int
    x2: int
    y2: int
    height: int
    width: int
    top: int
    left: int
    left_mirrored: int


def place_window(box: Box, image: tuple[int, int], crop: int, context: int, square: bool) -> Place:
    """``box``: x1, y1, x2, y2; ``image``: its height and width.

    With ``context`` pixels of context or ``square`` the window grows around its centre, by crop / (crop - 2 context),
    in float32 as in Caffe; what then lies outside the image is cut off, and its part of the crop stays empty.
    """
    if context or square:
        box = _grown(box, np.float32(crop) / np.float32(crop - 2 * context), square)
    x1, y1, x2, y2 = box
    before_x, after_x, before_y, after_y = (
        max(0, -x1),
        max(0, x2 - image[1] + 1),
        max(0, -y1),
        max(0, y2 - image[0] + 1),
    )
    if not (context or square) and max(before_x, after_x, before_y, after_y):
        raise DataError(f"the window {box} reaches beyond the image of {image[0]} x {image[1]} (height x width)")
    scale_x, scale_y = (np.float32(crop) / np.float32(size) for size in (x2 - x1 + 1, y2 - y1 + 1))
    x1, x2, y1, y2 = x1 + before_x, x2 - after_x, y1 + before_y, y2 - after_y
    left, right, top = _round(before_x * scale_x), _round(after_x * scale_x), _round(before_y * scale_y)
    width = _round((x2 - x1 + 1) * scale_x)
    height = min(_round((y2 - y1 + 1) * scale_y), crop - top)
    if x2 < x1 or y2 < y1 or min(width, height, crop - left, crop - right) < 1:
        raise DataError(f"the window {box} has no pixel in the image of {image[0]} x {image[1]} (height x width)")
    return Place(x1, y1, x2, y2, height, width, top, left, right)


def cut_window(pixels: np.ndarray, place: Place, crop: int, mirror: bool) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The resized pixels (h, w, channels), mirrored if asked to, and the part of the crop that they fill."""
    left = place.left_mirrored if mirror else place.left
    width = min(place.width, crop - left)
    part = resize(pixels[place.y1 : place.y2 + 1, place.x1 : place.x2 + 1], place.height, width)
    area = np.s_[place.top : place.top + place.height, left : left + width]
    return part[:, ::-1] if mirror else part, area


def _grown(box: Box, factor: np.float32, square: bool) -> Box:
    x1, y1, x2, y2 = box
    half_width, half_height = np.float32((x2 - x1 + 1) / 2), np.float32((y2 - y1 + 1) / 2)
    x, y = x1 + half_width, y1 + half_height
    if square:
        half_width = half_height = max(half_width, half_height)
    wide, high = half_width * factor, half_height * factor
    return _round(x - wide), _round(y - high), _round(x + wide), _round(y + high)


def _round(value: np.float32) -> int:
    """To the nearest whole number, halves away from zero, as in C."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))
