"""The MemoryData layer's source: arrays that the user hands over."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from caffe_compat.data.checks import positive, tops_between
from caffe_compat.errors import DataError
from caffe_compat.layers.source import Source, source_opener


class MemorySource(Source):
    """Batch n: the rows (n * batch_size + i) modulo their number of what `set_input_arrays` was given."""

    def __init__(self, batch_size: int, channels: int, height: int, width: int) -> None:
        self.top_shapes = [(batch_size, channels, height, width), (batch_size,)]
        self._data: torch.Tensor | None = None
        self._labels: torch.Tensor | None = None
        self._position = 0

    def set_input_arrays(self, data: Any, labels: Any) -> None:
        """Takes numpy arrays or tensors: data (N, C, H, W), labels (N,) or (N, 1, 1, 1); starts at row 0.

        Raises DataError where the shapes do not fit the layer, or N is no multiple of the batch size.
        """
        data = torch.as_tensor(data).to("cpu", torch.float32).contiguous()
        labels = torch.as_tensor(labels).to("cpu", torch.float32)
        batch_size, *shape = self.top_shapes[0]
        if data.dim() != 4 or list(data.shape[1:]) != shape:
            raise DataError(
                f"the data has the shape {tuple(data.shape)}, but memory_data_param asks for (N, "
                f"{', '.join(map(str, shape))}): reshape the array, or change memory_data_param"
            )
        rows = len(data)
        if rows == 0 or rows % batch_size:
            raise DataError(
                f"{rows} rows were given: accepted are multiples of the batch_size {batch_size}; drop or repeat rows"
            )
        if labels.numel() != rows or (labels.dim() and len(labels) != rows):
            raise DataError(
                f"the labels have the shape {tuple(labels.shape)}: accepted is one label for each of the {rows} rows"
            )
        self._data, self._labels, self._position = data, labels.reshape(rows), 0

    @property
    def size(self) -> int | None:
        return None if self._data is None else len(self._data)

    @property
    def position(self) -> int:
        return self._position

    def next(self) -> tuple[torch.Tensor, ...]:
        if self._data is None or self._labels is None:
            raise DataError("MemoryData has no data: call set_input_arrays(data, labels) of its source first")
        batch_size = self.top_shapes[0][0]
        start = self._position * batch_size % len(self._data)
        self._position += 1
        rows = slice(start, start + batch_size)
        return self._data[rows].clone(), self._labels[rows].clone()

    def seek(self, batches: int) -> None:
        if batches < 0:
            raise DataError(f"cannot seek to batch {batches}: batches are counted from 0")
        self._position = batches

    def close(self) -> None:
        self._data = self._labels = None


@source_opener("MemoryData")
def open_memory(param: Any, phase: str, num_tops: int, seed: int, base_dir: Path) -> Source:
    """Opens the source of ``memory_data_param``; it has no rows until `MemorySource.set_input_arrays`."""
    memory = param.memory_data_param
    tops_between(2, 2, num_tops, "MemoryData")
    if param.HasField("transform_param"):
        warnings.warn(
            "MemoryData does not apply transform_param to arrays, as in Caffe: transform them before set_input_arrays",
            stacklevel=2,
        )
    names = ("batch_size", "channels", "height", "width")
    return MemorySource(*(positive(getattr(memory, name), f"memory_data_param's {name}") for name in names))
