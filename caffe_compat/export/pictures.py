"""From whatever is a picture to a user to the pixels that Caffe would have read, in its channel order.

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
