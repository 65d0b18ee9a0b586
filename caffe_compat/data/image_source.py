"""The ImageData layer's source: the images that a list names."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.data import philox
from caffe_compat.data.checks import positive, tops_between
from caffe_compat.data.image_list import read_image_list
from caffe_compat.data.paths import image_prefix, image_prefixes, resolve_path
from caffe_compat.data.prefetch import BatchSource
from caffe_compat.data.transform import Transformer
from caffe_compat.errors import DataError, NetError
from caffe_compat.layers.source import Source, source_opener
from caffe_compat.pictures import decode, resize


class ImageReader:
    """Batch n: the images (skip + n * batch_size + i) of the endless run through the list, decoded and transformed.

    With ``shuffle`` every pass takes the images in an order of its own. skip is a random number below ``rand_skip``.
    Both depend on the seed alone.
    """

    def __init__(self, param: Any, phase: str, num_tops: int, seed: int, base_dir: Path) -> None:
        """The LayerParameter's image_data_param and transform_param. Raises NetError or DataError."""
        image = param.image_data_param
        tops_between(1, 2, num_tops, "ImageData")
        self._batch_size = positive(image.batch_size, "image_data_param's batch_size")
        self._height, self._width = _new_size(image)
        self._color = "color" if image.is_color else "gray"
        prefixes = image_prefixes(image.root_folder, base_dir)
        self._list = resolve_path(image.source, base_dir, "image_data_param's source")
        listed = read_image_list(self._list, prefixes)
        self._names, self._labels = listed.names, listed.labels
        self._prefix = image_prefix(prefixes, self._names[0])
        self.size = len(self._names)
        self._shuffle, self._seed = bool(image.shuffle), seed
        self._skip = self._random_skip(image.rand_skip)
        self._order = lru_cache(maxsize=4)(self._new_order)  # several batches ask for the same one
        self._transformer = Transformer(param.transform_param, phase, base_dir)
        shape = self._transformer.output_shape(self._read(self.fetch(0)[0]).shape)
        labels = (self._batch_size, *self._labels.shape[1:])
        self.top_shapes: list[tuple[int, ...]] = [(self._batch_size, *shape), labels][:num_tops]

    def fetch(self, batch: int) -> list[int]:
        """The lines that belong to the batch."""
        start = self._skip + batch * self._batch_size
        return [self._line(place) for place in range(start, start + self._batch_size)]

    def make(self, batch: int, fetched: list[int]) -> tuple[np.ndarray, ...]:
        images = [self._read(line) for line in fetched]
        data = self._transformer(images, philox.generator(self._seed, philox.TRANSFORM, batch))
        return (data, self._labels[fetched])[: len(self.top_shapes)]

    def close(self) -> None:
        """Nothing is open."""

    def _random_skip(self, below: int) -> int:
        skip = int(philox.generator(self._seed, philox.SKIP, 0).integers(below)) if below else 0
        if skip >= self.size:
            raise DataError(
                f"rand_skip {below} skips {skip} images, but {self._list} names {self.size}: give a smaller rand_skip"
            )
        return skip

    def _line(self, place: int) -> int:
        epoch, rest = divmod(place, self.size)
        return int(self._order(epoch)[rest])

    def _new_order(self, epoch: int) -> np.ndarray:
        if not self._shuffle:
            return np.arange(self.size)
        return philox.generator(self._seed, philox.SHUFFLE_IMAGES, epoch).permutation(self.size)

    def _read(self, line: int) -> np.ndarray:
        """One image (C, H, W)."""
        path = self._prefix + self._names[line]
        try:
            pixels = decode(path, self._color, path, upright=True)
        except FileNotFoundError as error:
            raise DataError(
                f"the image {path}, which {self._list} names, is not there: correct the list or image_data_param's "
                "root_folder"
            ) from error
        return (resize(pixels, self._height, self._width) if self._height else pixels).transpose(2, 0, 1)


@source_opener("ImageData")
def open_images(param: Any, phase: str, num_tops: int, seed: int, base_dir: Path) -> Source:
    """Opens the list ``image_data_param``'s source; data_param's prefetch counts here, too, as in Caffe."""
    return BatchSource(ImageReader(param, phase, num_tops, seed, base_dir), param.data_param.prefetch)


def _new_size(image: Any) -> tuple[int, int]:
    height, width = int(image.new_height), int(image.new_width)
    if (height == 0) != (width == 0):
        raise NetError(
            f"image_data_param has new_height {height} and new_width {width}: give both, or neither to keep the size"
        )
    return height, width
