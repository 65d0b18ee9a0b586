"""What the layers have in common that read batches from a source."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.source import Source, open_source


class SourceLayer(Layer):
    """A layer whose tops are the next batch of ``source``, moved to ``device``.

    The net opens the source (``caffe_compat.layers.source``); ``layer.source = ...`` gives it one of your own.
    """

    bottoms = Exactly(0)
    export_note = "becomes an input of the graph"

    def __init__(self) -> None:
        super().__init__()
        self.source: Source | None = None
        self.opening: tuple[Any, ...] | None = None
        """What ``open_source`` was called with, if it can be called again."""
        self.device = torch.device("cpu")

    def top_shapes(self, *bottom_shapes: Shape) -> list[Shape]:
        return list(self._opened().top_shapes[: self.num_tops])

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: files are opened again, at the batch where this layer is."""
        state = dict(self.__dict__)
        if self.source is not None and self.opening is not None:
            state.update(source=None, position=self.source.position)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        position = state.pop("position", None)
        super().__setstate__(state)
        if position is not None and self.opening is not None:
            self.source = open_source(*self.opening)
            self.source.seek(position)

    def forward(self) -> tuple[Tensor, ...]:
        batch = self._opened().next()
        return tuple(blob.to(self.device, non_blocking=True) for blob in batch[: self.num_tops])

    def _opened(self) -> Source:
        if self.source is None:
            raise NetError(
                f"a {self.type_name} layer needs a source of batches, and has none; build the net with load_net, which "
                "opens it, or set layer.source to a caffe_compat.layers.source.Source"
            )
        return self.source


def check_positive(block: str, **sizes: int) -> None:
    """Raise NetError that lists the sizes that are 0."""
    if zero := [name for name, size in sizes.items() if size <= 0]:
        raise NetError(f"{block} gives no {', '.join(zero)}; accepted: a whole number from 1 on for each")


def check_one_mean(mean_file: str | None, mean_value: list[float] | None) -> None:
    """Raise NetError where both are given."""
    if mean_file and mean_value:
        raise NetError("transform_param has both mean_file and mean_value; accepted: one of them")
