"""Tile: copies of the bottom along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.limits import check_blob
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("Tile")
class Tile(Layer):
    """y = ``tiles`` copies of x, one after the other along ``axis``

    Bottom: x, any shape with an axis. Top: y, the shape of x with ``tiles`` times the size along ``axis``.

    ``axis`` (default 1; negative from the end), ``tiles`` (required).
    Refused: tiles not given or below 1, an axis out of range, a top of more than 2^31 - 1 elements.
    """

    autocasts = True
    blocks = ("tile_param",)
    saves_top = False  # the backward pass adds up the gradient

    def __init__(self, axis: int = 1, tiles: int | None = None) -> None:
        super().__init__()
        if tiles is None or tiles < 1:
            found = "is not given" if tiles is None else f"is {tiles}"
            raise NetError(f"the number of tiles {found}; accepted: 1 or more, such as tile_param {{ tiles: 2 }}")
        self.axis = axis
        self.tiles = tiles

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        canonical_axis(self.axis, shape)
        check_blob("the top", [size * times for size, times in zip(shape, self._repeats(len(shape)), strict=True)])

    def _repeats(self, rank: int) -> list[int]:
        return [self.tiles if i == self.axis % rank else 1 for i in range(rank)]

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat(self._repeats(x.dim()))

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("Tile", x, g.ints(*self._repeats(x.rank)))
