"""MultinomialLogisticLoss: the log loss of probabilities that a layer below has made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Shape
from caffe_compat.layers.loss import Loss, out_of_range, refuse_many_axes
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

LOG_THRESHOLD = 1e-20
"""Caffe's kLOG_THRESHOLD."""


@register_layer("MultinomialLogisticLoss")
class MultinomialLogisticLoss(Loss):
    """loss = -sum_i log(max(p_i[y_i], 1e-20)) / N

    The gradient at p_i[y_i] is -1 / (N max(p_i[y_i], 1e-20)), also where the floor is above p; elsewhere 0.

    Bottoms: probabilities p, (N, ...) of 1 to 4 axes, all but the first taken as classes; labels y, N values of
    shape (N), (N, 1), (N, 1, 1) or (N, 1, 1, 1). Top: loss, a scalar.

    No parameters. Refused: another first dimension, more than one label a row, more than 4 axes, a label that is no
    class (on a GPU: an assertion of the device).

    Differs from torch: ``nll_loss`` takes the logs; labels may be float, their fractions are cut off.
    """

    constant_bottoms = (1,)

    def check_shapes(self, *bottom_shapes: Shape) -> None:
        super().check_shapes(*bottom_shapes)
        for shape in bottom_shapes:
            refuse_many_axes(shape)
        labels = bottom_shapes[1]
        if math.prod(labels[1:]) != 1:
            raise NetError(
                f"the labels have shape {list(labels)}, {math.prod(labels[1:])} a row; accepted: one label a row, "
                f"as in {[labels[0], 1]}; for labels at many places use SoftmaxWithLoss"
            )

    def forward(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        self.check_shapes(tuple(probabilities.shape), tuple(labels.shape))
        rows = probabilities.flatten(1) if probabilities.dim() > 1 else probabilities.unsqueeze(1)
        index = labels.reshape(-1, 1).long()
        try:
            return _LogLoss.apply(rows, index)
        except (IndexError, RuntimeError) as error:
            if explained := out_of_range(labels, rows.shape[1], None):
                raise explained from error
            raise

    def lower(self, g: GraphBuilder, probabilities: Value, labels: Value) -> Value:
        rows = g.op("Flatten", probabilities, axis=1)
        index = g.cast(g.reshape(labels, (-1, 1)), "int64")
        floored = g.op("Max", g.op("GatherElements", rows, index, axis=1), g.const(LOG_THRESHOLD))
        return g.op("Neg", g.reduce("Mean", g.op("Log", floored), (0, 1), keepdims=False))


class _LogLoss(torch.autograd.Function):
    """The mean of -log of the floored probabilities; Caffe's gradient does not stop at the floor."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor) -> Tensor:
        floored = rows.gather(1, index).clamp_(min=LOG_THRESHOLD)
        ctx.save_for_backward(floored, index)
        ctx.shape = rows.shape
        return floored.log().sum().neg_() / max(1, rows.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        floored, index = ctx.saved_tensors
        scale = grad / -max(1, ctx.shape[0])
        return floored.new_zeros(ctx.shape).scatter_(1, index, scale / floored), None
