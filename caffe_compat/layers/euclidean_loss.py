"""EuclideanLoss: half the mean squared distance of rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Shape
from caffe_compat.layers.loss import Loss, refuse_many_axes
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("EuclideanLoss")
class EuclideanLoss(Loss):
    """loss = sum (a - b)^2 / (2 N)

    Bottoms: a, (N, ...) of 1 to 4 axes; b, as many values a row in any shape (N, ...). Both get a gradient.
    Top: loss, a scalar.

    Refused: another first dimension, another number of values a row; by a pass, an a of more than 4 axes.
    Differs from torch: ``mse_loss`` divides by the number of values, not by twice the rows.
    """

    def check_shapes(self, *bottom_shapes: Shape) -> None:
        super().check_shapes(*bottom_shapes)
        a, b = bottom_shapes
        if math.prod(a[1:]) != math.prod(b[1:]):
            raise NetError(
                f"the bottoms have shapes {list(a)} and {list(b)}, with {math.prod(a[1:])} and {math.prod(b[1:])} "
                "values a row; accepted: the same number in both; change num_output of the layer that makes one"
            )

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        self.check_shapes(tuple(a.shape), tuple(b.shape))
        if not a.is_meta:  # as in Caffe, whose Reshape does not ask
            refuse_many_axes(tuple(a.shape))
        return F.mse_loss(a, b.reshape(a.shape), reduction="sum") / (2 * max(1, a.shape[0]))

    def lower(self, g: GraphBuilder, a: Value, b: Value) -> Value:
        if a.shape[1:] != b.shape[1:]:
            b = g.reshape(b, [0, *(a.static(i) for i in range(1, a.rank))])
        difference = g.op("Sub", a, b)
        rows = g.op("Flatten", difference, axis=1)
        each = g.reduce("SumSquare", rows, (1,), keepdims=False)
        return g.scaled(g.reduce("Mean", each, (0,), keepdims=False), 0.5)
