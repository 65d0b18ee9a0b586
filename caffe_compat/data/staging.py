"""Batches on the GPU ahead of time: the next one is copied while the net computes with this one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caffe_compat.layers.source import Source


class StagedSource(Source):
    """A source whose batches lie on ``device``; ``stage`` begins the copy of the next one, on a stream of its own.

    What goes wrong in ``stage`` is raised by ``next``, which asks the source again. On a device without streams the
    batch is read ahead, and copied at once.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        self.top_shapes = source.top_shapes
        self._source, self._device = source, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._staged: tuple[Tensor, ...] | None = None
        self._position = 0  # before the staged batch was taken

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._unstage()
        return getattr(self._source, name)  # such as set_input_arrays

    @property
    def size(self) -> int | None:
        return self._source.size

    @property
    def position(self) -> int:
        return self._source.position if self._staged is None else self._position

    def stage(self) -> None:
        """Begin to copy the next batch, unless that was done already."""
        if self._staged is not None:
            return
        position = self._source.position
        try:
            self._staged = self._copied(self._source.next())
            self._position = position
        except Exception:  # told by the next that wants this batch
            self._source.seek(position)

    def next(self) -> tuple[Tensor, ...]:
        batch = self._copied(self._source.next()) if self._staged is None else self._staged
        self._staged = None
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._stream)
            for blob in batch:
                blob.record_stream(current)  # so that its memory is not given away before the net has read it
        return batch

    def seek(self, batches: int) -> None:
        self._staged = None
        self._source.seek(batches)

    def close(self) -> None:
        self._staged = None
        self._source.close()

    def _copied(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with torch.cuda.stream(self._stream):  # none: does nothing
            return tuple(blob.to(self._device, non_blocking=True) for blob in batch)

    def _unstage(self) -> None:
        if self._staged is not None:
            self.seek(self._position)
