"""Softmax: probabilities along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.limits import check_not_empty
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("Softmax")
class Softmax(Layer):
    """y_k = exp(x_k) / sum_j exp(x_j), with k and j along ``axis``

    Bottom: x, any shape that has ``axis``. Top: y, the same shape; may be the bottom (in place).

    ``axis`` (default 1; negative from the end). Refused: an axis out of range, or of size 0.
    """

    blocks = ("softmax_param",)

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def setup(self, *bottom_shapes: Shape) -> None:
        axis = canonical_axis(self.axis, bottom_shapes[0])
        check_not_empty(bottom_shapes[0], slice(axis, axis + 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x, self.axis)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("Softmax", x, axis=self.axis % x.rank)
