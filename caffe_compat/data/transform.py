"""Caffe's transformer: crop, mirror, subtract the mean, scale, in float32, for a whole batch at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from caffe_compat.data.paths import resolve_path
from caffe_compat.errors import DataError, NetError
from caffe_compat.weights.mean import read_mean

Shape = tuple[int, int, int]


class Transformer:
    """y[c, i, j] = (x[c, top + i, left + j'] - mean) * scale, with j' = width - 1 - j in a mirrored image.

    The mean is a file's (of the image before the crop), one value, or one value per channel. The crop is at a random
    place in TRAIN and at floor((size - crop) / 2) in TEST; an image is mirrored with probability 1/2, in TEST too.
    Source: the fields of TransformationParameter; pixel values as Caffe's for the same crop and mirror.
    """

    def __init__(self, param: Any, phase: str, base_dir: Path) -> None:
        """``param``: a TransformationParameter. Raises NetError for parameters that Caffe refuses."""
        if param.HasField("mean_file") and param.mean_value:
            raise NetError("transform_param has both mean_file and mean_value: give one of the two")
        if param.force_color and param.force_gray:
            raise NetError("transform_param has both force_color and force_gray: give one of the two")
        self.train = phase == "TRAIN"
        self.crop = int(param.crop_size)
        self.mirror = bool(param.mirror)
        self.scale = np.float32(param.scale)
        self.values = np.array(param.mean_value, dtype=np.float32).reshape(-1, 1, 1)
        self.mean: np.ndarray | None = None
        if param.HasField("mean_file"):
            self.mean_path = resolve_path(param.mean_file, base_dir, "transform_param's mean_file")
            self.mean = read_mean(self.mean_path)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape that images of ``shape`` (C, H, W) get. Raises NetError or DataError where they do not fit."""
        channels, height, width = shape
        if self.crop > min(height, width):
            raise NetError(
                f"crop_size is {self.crop}, but an image is {height} x {width} (height x width): "
                "choose a crop_size that is no larger than either"
            )
        if len(self.values) not in (0, 1, channels):
            raise NetError(
                f"transform_param has {len(self.values)} mean_values, but an image has {channels} channels: "
                f"give one, or {channels}"
            )
        if self.mean is not None and self.mean.shape != tuple(shape):
            raise DataError(
                f"the mean in {self.mean_path} has the shape {self.mean.shape}, but an image has {tuple(shape)} "
                "(channels, height, width): compute the mean of this data set, or use mean_value"
            )
        return (channels, self.crop or height, self.crop or width)

    def __call__(self, images: np.ndarray | list[np.ndarray], random: np.random.Generator) -> np.ndarray:
        """Images (N, C, H, W), or a list of N images (C, H, W) that get one shape, to float32 (N, C, h, w).

        Which crop and mirror image i gets depends on ``random`` and i alone.
        """
        draws = random.random((len(images), 3)) if self.mirror or (self.crop and self.train) else None
        if isinstance(images, np.ndarray):
            return self._apply(images, draws)
        parts = [
            self._apply(image[None], None if draws is None else draws[i : i + 1]) for i, image in enumerate(images)
        ]
        shapes = {part.shape[1:] for part in parts}
        if len(shapes) > 1:
            raise DataError(
                f"images of one batch have different shapes: {', '.join(map(str, sorted(shapes)))} (channels, height, "
                "width); give them one size, or a crop_size, or batch_size 1"
            )
        return np.concatenate(parts)

    def _apply(self, images: np.ndarray, draws: np.ndarray | None) -> np.ndarray:
        self.output_shape(images.shape[1:])
        if self.mean is not None:  # before the crop: then the mean is cropped and mirrored alike
            images = np.subtract(images, self.mean, dtype=np.float32)
        if self.crop:
            images = self._cropped(images, draws)
        if self.mirror and draws is not None:
            flip = draws[:, 2] < 0.5
            images = np.where(flip[:, None, None, None], images[..., ::-1], images)
        if len(self.values):
            images = np.subtract(images, self.values, dtype=np.float32)
        if self.scale != 1:
            images = np.multiply(images, self.scale, dtype=np.float32)
        return np.ascontiguousarray(images, dtype=np.float32)

    def _cropped(self, images: np.ndarray, draws: np.ndarray | None) -> np.ndarray:
        room = np.array(images.shape[2:]) - self.crop
        if not self.train or draws is None:
            top, left = room // 2
            return images[:, :, top : top + self.crop, left : left + self.crop]
        offsets = (draws[:, :2] * (room + 1)).astype(np.intp)
        windows = sliding_window_view(images, (self.crop, self.crop), axis=(2, 3))
        return windows[np.arange(len(images)), :, offsets[:, 0], offsets[:, 1]]
