"""Caffe's transformer: crop, mirror, subtract the mean, scale, in float32, for a whole batch at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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
        out = np.empty((len(images), *self._common_shape(images)), np.float32)
        if draws is None and isinstance(images, np.ndarray):
            self._fill(out, images, None)
        else:
            for number, image in enumerate(images):
                self._fill(out[number], image, None if draws is None else draws[number])
        if len(self.values):
            out -= self.values
        if self.scale != 1:
            out *= self.scale
        return out

    def _common_shape(self, images: np.ndarray | list[np.ndarray]) -> Shape:
        found = {images.shape[1:]} if isinstance(images, np.ndarray) else {image.shape for image in images}
        shapes = {self.output_shape(shape) for shape in found}
        if len(shapes) > 1:
            raise DataError(
                f"images of one batch have different shapes: {', '.join(map(str, sorted(shapes)))} (channels, height, "
                "width); give them one size, or a crop_size, or batch_size 1"
            )
        return shapes.pop()

    def _fill(self, out: np.ndarray, image: np.ndarray, draw: np.ndarray | None) -> None:
        """Crop, mirror and mean: ``image`` (..., H, W) into ``out`` (..., h, w). ``draw``: three numbers below 1."""
        height, width = out.shape[-2:]
        top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
        if draw is not None and self.crop and self.train:
            top, left = int(draw[0] * (image.shape[-2] - height + 1)), int(draw[1] * (image.shape[-1] - width + 1))
        window = np.s_[..., top : top + height, left : left + width]
        target = out[..., ::-1] if draw is not None and self.mirror and draw[2] < 0.5 else out
        if self.mean is None:
            target[...] = image[window]
        else:
            np.subtract(image[window], self.mean[window], out=target, dtype=np.float32)
