"""The WindowData layer's source: random windows of images, some foreground, the others background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.data import philox
from caffe_compat.data.checks import positive, tops_between
from caffe_compat.data.paths import image_prefix, image_prefixes, resolve_path
from caffe_compat.data.prefetch import BatchSource
from caffe_compat.data.transform import Transformer
from caffe_compat.data.window_crop import cut_window, place_window
from caffe_compat.data.window_file import Windows, read_window_file
from caffe_compat.errors import DataError, NetError
from caffe_compat.layers.source import Source, source_opener
from caffe_compat.pictures import decode


class WindowReader:
    """Batch n: batch_size - floor(batch_size * fg_fraction) background windows, label 0, then foreground windows.

    Which windows, and which of them are mirrored, depends on the seed and n alone, in TEST too. There is no pass over
    the data. Source: R-CNN (arXiv:1311.2524), appendix A, for the crop modes.
    """

    size: int | None = None

    def __init__(self, param: Any, phase: str, num_tops: int, seed: int, base_dir: Path) -> None:
        """The LayerParameter's window_data_param and transform_param. Raises NetError or DataError."""
        window = param.window_data_param
        tops_between(2, 2, num_tops, "WindowData")
        batch = positive(window.batch_size, "window_data_param's batch_size")
        self._crop = positive(param.transform_param.crop_size, "transform_param's crop_size")
        self._context, self._square = int(window.context_pad), window.crop_mode == "square"
        if 2 * self._context >= self._crop:
            raise NetError(
                f"window_data_param's context_pad {self._context} fills the whole crop_size {self._crop}: give less "
                "than half of it"
            )
        self._transformer = Transformer(param.transform_param, phase, base_dir)
        path = resolve_path(window.source, base_dir, "window_data_param's source")
        self._windows = read_window_file(path)
        self._prefix = image_prefix(image_prefixes(window.root_folder, base_dir), self._windows.names[0])
        self._cache: dict[str, bytes] | None = {} if window.cache_images else None
        self._seed = seed
        self._kinds = _kinds(window, self._windows, path)
        self.top_shapes: list[tuple[int, ...]] = [(batch, self._windows.channels, self._crop, self._crop), (batch,)]
        self._mean = self._mean_of_crop()

    def fetch(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """The windows of the batch, and which of them are mirrored."""
        random = philox.generator(self._seed, philox.WINDOWS, batch)
        chosen = [found[random.integers(len(found), size=count)] for count, found in self._kinds if count]
        return np.concatenate(chosen), random.random(self.top_shapes[1][0]) < (0.5 if self._transformer.mirror else 0)

    def make(self, batch: int, fetched: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        windows, mirrored = fetched
        data = np.zeros(self.top_shapes[0], np.float32)
        for crop, window, mirror in zip(data, windows, mirrored, strict=True):
            self._fill(crop, self._windows.boxes[window].tolist(), bool(mirror))
        labels = self._windows.boxes[windows, 1].astype(np.float32)
        labels[: self._kinds[0][0]] = 0
        return data, labels

    def close(self) -> None:
        if self._cache is not None:
            self._cache.clear()

    def _mean_of_crop(self) -> np.ndarray:
        """(C, crop, crop), or something that spreads to it. The offset is the same in both directions, as in Caffe."""
        mean, channels = self._transformer.mean, self._windows.channels
        if mean is None:
            self._transformer.output_shape((channels, self._crop, self._crop))  # refuses another number of mean_values
            return self._transformer.values if len(self._transformer.values) else np.zeros((1, 1, 1), np.float32)
        offset = (mean.shape[2] - self._crop) // 2
        if len(mean) != channels or offset < 0 or mean.shape[1] < offset + self._crop:
            raise DataError(
                f"the mean in {self._transformer.mean_path} has the shape {mean.shape}: it must have {channels} "
                f"channels and be no smaller than the crop_size {self._crop}"
            )
        part: np.ndarray = mean[:, offset : offset + self._crop, offset : offset + self._crop]
        return part

    def _fill(self, crop: np.ndarray, box: list[int], mirror: bool) -> None:
        image, _, x1, y1, x2, y2 = box
        path = self._prefix + self._windows.names[image]
        pixels = decode(self._file(path), "color", path, upright=True)
        try:
            place = place_window((x1, y1, x2, y2), pixels.shape[:2], self._crop, self._context, self._square)
        except DataError as error:
            raise DataError(f"{path}: {error}; write the window file again") from error
        part, area = cut_window(pixels, place, self._crop, mirror)
        mean = np.broadcast_to(self._mean, crop.shape)[(slice(None), *area)]
        crop[(slice(None), *area)] = (part.transpose(2, 0, 1) - mean) * self._transformer.scale

    def _file(self, path: str) -> bytes:
        if self._cache is not None and path in self._cache:
            return self._cache[path]
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DataError(
                f"the image {path} of the window file cannot be read: {error.strerror}; correct root_folder"
            ) from error
        if self._cache is not None:
            self._cache[path] = data
        return data


@source_opener("WindowData")
def open_windows(param: Any, phase: str, num_tops: int, seed: int, base_dir: Path) -> Source:
    """Opens the window file ``window_data_param``'s source; data_param's prefetch counts here, too, as in Caffe."""
    return BatchSource(WindowReader(param, phase, num_tops, seed, base_dir), param.data_param.prefetch)


def _kinds(window: Any, windows: Windows, path: Path) -> list[tuple[int, np.ndarray]]:
    """(how many in a batch, which windows) of the background and of the foreground."""
    is_foreground = windows.overlaps >= np.float32(window.fg_threshold)
    is_background = ~is_foreground & (windows.overlaps < np.float32(window.bg_threshold))
    if windows.channels != 3:
        raise DataError(f"{path} says that its images have {windows.channels} channels: accepted are 3")
    if (windows.boxes[is_foreground, 1] <= 0).any():
        raise DataError(f"{path} has a window with class 0 or less and an overlap from fg_threshold on")
    foreground = int(np.float32(window.batch_size) * np.float32(window.fg_fraction))
    kinds = [(window.batch_size - foreground, is_background), (foreground, is_foreground)]
    for (count, chosen), what in zip(kinds, ("below bg_threshold", "from fg_threshold on"), strict=True):
        if count and not chosen.any():
            raise DataError(f"{path} has no window with an overlap {what}, but a batch takes {count} of them")
    return [(count, np.flatnonzero(chosen)) for count, chosen in kinds]
