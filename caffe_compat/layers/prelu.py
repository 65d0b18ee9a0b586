"""PReLU: a ReLU with a learned slope for negative values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.limits import check_not_empty
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("PReLU")
class PReLU(Layer):
    """y = max(x, 0) + slope * min(x, 0), a slope per channel (axis 1) or one for all

    Bottom: x of shape (N, C, ...), two to four axes. Top: y, the same shape; may be the bottom (in place).
    Blob: ``weight``, the slope, of shape (C), or () with ``channel_shared``.

    ``filler`` (default 0.25), ``channel_shared`` (default false).
    Refused: fewer than two axes, more than four, items without values. The gradient at x = 0 is the slope.
    """

    blocks = ("prelu_param",)
    saves_top = False  # the backward pass reads the bottom

    weight: Tensor

    def __init__(self, filler: Filler | None = None, channel_shared: bool = False) -> None:
        super().__init__()
        self.filler = filler or Filler(value=0.25)
        self.channel_shared = channel_shared

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        if len(shape) < 2:
            raise NetError(
                f"has a slope per channel (axis 1), but the bottom has shape {list(shape)}; accepted: two axes or "
                "more, also with channel_shared, so reshape the bottom to (N, 1)"
            )
        if len(shape) > 4:
            raise NetError(f"the bottom of shape {list(shape)} has {len(shape)} axes; accepted: 2 to 4; merge the last")
        check_not_empty(shape, slice(1, None))
        self.add_blob("weight", () if self.channel_shared else (shape[1],), self.filler)

    def forward(self, x: Tensor) -> Tensor:
        if not self.channel_shared and x.shape[1:2] != self.weight.shape:
            raise NetError(f"has slopes for {len(self.weight)} channels (axis 1), found a bottom of {list(x.shape)}")
        return F.prelu(x, self.weight)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        slope = g.param(self.weight)
        if slope.rank == 1 and x.rank > 2:  # ONNX broadcasts from the last axis
            slope = g.unsqueeze(slope, *range(1, x.rank - 1))
        return g.op("PRelu", x, slope)
