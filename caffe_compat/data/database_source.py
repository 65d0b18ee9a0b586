"""The Data layer's source: images and labels of an LMDB or LevelDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.data import philox
from caffe_compat.data.checks import positive, tops_between
from caffe_compat.data.database import open_database
from caffe_compat.data.datum import Record, decode_records
from caffe_compat.data.paths import resolve_path
from caffe_compat.data.prefetch import BatchSource
from caffe_compat.data.transform import Transformer
from caffe_compat.layers.source import Source, source_opener


class DataReader:
    """Batch n: the records (n * batch_size + i) modulo their number, transformed.

    ``rand_skip`` is not read, as in Caffe 1.0.
    """

    def __init__(self, param: Any, phase: str, num_tops: int, seed: int, base_dir: Path) -> None:
        """The LayerParameter's data_param and transform_param. Raises NetError or DataError."""
        data = param.data_param
        tops_between(1, 2, num_tops, "Data")
        self._batch_size = positive(data.batch_size, "data_param's batch_size")
        self._with_labels = num_tops == 2
        self._seed = seed
        self._transformer = Transformer(param.transform_param, phase, base_dir)
        self._color = _color(param)
        self._database = open_database(resolve_path(data.source, base_dir, "data_param's source"))
        try:
            image = decode_records(self._records(0, 1), self._database.path, self._color).images[0]
            shape = self._transformer.output_shape(image.shape)
        except BaseException:
            self._database.close()
            raise
        self.top_shapes: list[tuple[int, ...]] = [(self._batch_size, *shape), (self._batch_size,)][:num_tops]

    @property
    def size(self) -> int | None:
        return self._database.size

    def fetch(self, batch: int) -> list[Record]:
        return self._records(batch, self._batch_size)

    def make(self, batch: int, fetched: list[Record]) -> tuple[np.ndarray, ...]:
        decoded = decode_records(fetched, self._database.path, self._color)
        data = self._transformer(decoded.images, philox.generator(self._seed, philox.TRANSFORM, batch))
        return (data, decoded.labels) if self._with_labels else (data,)

    def close(self) -> None:
        self._database.close()

    def _records(self, batch: int, count: int) -> list[Record]:
        return self._database.records(batch * self._batch_size, count)


@source_opener("Data")
def open_data(param: Any, phase: str, num_tops: int, seed: int, base_dir: Path) -> Source:
    """Opens ``data_param``'s source, whatever ``backend`` says: what lies there tells what it is."""
    return BatchSource(DataReader(param, phase, num_tops, seed, base_dir), param.data_param.prefetch)


def _color(param: Any) -> str:
    """Both at once are refused where an image is encoded; others have the channels that they have."""
    if param.transform_param.force_color and param.transform_param.force_gray:
        return "color and gray"
    if param.transform_param.force_gray:
        return "gray"
    forced = param.transform_param.force_color or param.data_param.force_encoded_color
    return "color" if forced else "as stored"
