"""SPP: spatial pyramid pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers import pool_methods
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.windows import Grid, Window, check_size

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

METHODS = ("MAX", "AVE", "STOCHASTIC")


@register_layer("SPP")
class SPP(Layer):
    """y = the pooled bottom at 1 x 1, 2 x 2, 4 x 4, ... windows, flattened and joined

    Level l has 2^l windows along each axis, of ceil(size / 2^l) elements; zeros at both ends (for AVE they count)
    make up for what is missing. Bottom: (N, C, H, W). Top: (N, C * (1 + 4 + 16 + ...)), of fixed length whatever H
    and W are; with pyramid_height 1 it keeps 4 axes: (N, C, 1, 1).

    ``pyramid_height``, the number of levels (required), ``pool`` (default MAX; AVE, STOCHASTIC as in Pooling).
    Refused: a bottom without exactly 4 axes, and sizes that do not divide well enough: a level whose padding would be
    as large as its windows, such as 5 pixels at pyramid_height 3; any padding with STOCHASTIC.
    Differs from torch: adaptive pooling has windows of unequal sizes instead of padding.
    From He et al., Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition.
    """

    blocks = ("spp_param",)
    saves_top = False  # the backward pass reads the bottom
    export_note = "STOCHASTIC in TRAIN is random; H and W must be fixed"

    def __init__(self, pyramid_height: int = 0, pool: str = "MAX") -> None:
        super().__init__()
        if pool not in METHODS:
            raise NetError(f"pool: {pool} is unknown; accepted: {', '.join(METHODS)}")
        self.pyramid_height = check_size("pyramid_height", pyramid_height, 1)
        self.pool = pool

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        if len(shape) != 4:
            raise NetError(f"needs a bottom of 4 axes (batch, channels, height, width), found shape {list(shape)}")
        if 0 in shape[1:]:
            raise NetError(f"the bottom of shape {list(shape)} has no elements to pool; give it at least one")
        self.grids(*shape[2:])

    def grids(self, height: int, width: int) -> list[Grid]:
        """The windows of each level over an image. Raises NetError where a level has no room."""
        grids = []
        for level in range(self.pyramid_height):
            grid = Grid(_windows(height, 2**level), _windows(width, 2**level), True)
            if any(pad >= kernel for pad, kernel in zip(grid.pad, grid.kernel, strict=True)):
                raise NetError(
                    f"level {level} of the pyramid, {2**level} x {2**level} windows over a bottom of {height} x {width}"
                    f", would need windows of {list(grid.kernel)} with a padding of {list(grid.pad)}; accepted: less "
                    f"padding than window, so take pyramid_height: {level} or less, or sizes that {2**level} divides"
                )
            if self.pool == "STOCHASTIC" and any(grid.pad):
                raise NetError(
                    f"STOCHASTIC pooling takes no padding, but level {level} of the pyramid needs it over a bottom of "
                    f"{height} x {width}; accepted: sizes that {2**level} divides"
                )
            grids.append(grid)
        return grids

    def forward(self, x: Tensor) -> Tensor:
        levels = [self._pooled(x, grid) for grid in self.grids(*x.shape[2:])]
        return levels[0] if len(levels) == 1 else torch.cat([level.flatten(1) for level in levels], 1)

    def _pooled(self, x: Tensor, grid: Grid) -> Tensor:
        if self.pool == "MAX":
            return pool_methods.max_pool(x, grid)
        if self.pool == "AVE":
            return pool_methods.average_pool(x, grid)
        return pool_methods.draw(x, grid) if self.training else pool_methods.weighted_average(x, grid)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        if self.pool == "STOCHASTIC" and self.training:
            raise CannotLower("STOCHASTIC pooling is random in the TRAIN phase; export the TEST phase")
        if None in x.shape[2:]:
            raise CannotLower(f"the windows depend on height and width, symbolic in {list(x.shape)}; fix them")
        levels = [self._lower_pooled(g, x, grid) for grid in self.grids(x.static(2), x.static(3))]
        if len(levels) == 1:
            return levels[0]
        return g.op("Concat", *(g.op("Flatten", level, axis=1) for level in levels), axis=1)

    def _lower_pooled(self, g: GraphBuilder, x: Value, grid: Grid) -> Value:
        if self.pool == "MAX":
            top: Value = pool_methods.lower_max(g, x, grid, 1)
            return top
        if self.pool == "AVE":
            return pool_methods.lower_average(g, x, grid)
        return pool_methods.lower_weighted_average(g, x, grid)


def _windows(size: int, number: int) -> Window:
    """``number`` windows side by side that cover ``size`` elements, with the rest as padding at both ends."""
    kernel = -(-size // number)
    return Window(size, kernel, kernel, (kernel * number - size + 1) // 2, number)
