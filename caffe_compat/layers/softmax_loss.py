"""SoftmaxWithLoss: the cross-entropy of the softmax of the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Shape
from caffe_compat.layers.loss import ClassLoss
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

FLT_MIN = torch.finfo(torch.float32).tiny


@register_layer("SoftmaxWithLoss")
class SoftmaxWithLoss(ClassLoss):
    """loss = sum_i -log(max(p_i[y_i], FLT_MIN)) / normaliser, with p_i = softmax of the scores at place i

    The gradient is (p_i - onehot(y_i)) / normaliser; the floor FLT_MIN = 1.18e-38 (a loss of 87.3) has no part in it.

    Bottoms: scores, any shape, classes along ``axis``; labels, float or int, one for each place of the scores
    without that axis, in any shape with the same first dimension. Top: loss, a scalar.

    ``axis`` (softmax_param; default 1, negative from the end). loss_param: ``ignore_label`` (default none): places
    with this label count nothing and get gradient 0; ``normalization``: the normaliser, never below 1, is the number
    of labels that are not ignored (VALID, the default), of all labels (FULL), the product of the axes before ``axis``
    (BATCH_SIZE), or 1 (NONE); ``normalize``, the old form, true for VALID, false for BATCH_SIZE, counts only where
    ``normalization`` is not set. Refused: another count of labels, another first dimension, no classes, a label that is
    no class (on a GPU: an assertion of the device), a second top in a prototxt (Caffe refuses it with any loss_weight).

    Differs from torch: the floor; labels may be float, their fractions are cut off; a mean over no labels is 0.
    Memory: the scores, one tensor of their size for the probabilities, one for the gradient.
    """

    def setup(self, *bottom_shapes: Shape) -> None:
        super().setup(*bottom_shapes)
        if self.num_tops > 1:
            raise NetError(
                "SoftmaxWithLoss makes 1 top, found 2: Caffe refuses a second one with any number of loss_weight; for "
                "the probabilities add a Softmax layer on the same bottom"
            )

    def sum_of(self, scores: Tensor, index: Tensor, weight: Tensor | float, axis: int) -> Tensor:
        return _SoftmaxLoss.apply(scores, index, weight, axis)

    def lower_losses(self, g: GraphBuilder, scores: Value, index: Value, axis: int) -> Value:
        probability = g.op("GatherElements", g.op("Softmax", scores, axis=axis), index, axis=axis)
        return g.op("Neg", g.op("Log", g.op("Max", probability, g.const(FLT_MIN))))


class _SoftmaxLoss(torch.autograd.Function):
    """The weighted sum of the losses; its derivative is not that of the floor."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, index: Tensor, weight: Tensor | float, axis: int) -> Tensor:
        probability = torch.softmax(scores, axis)
        losses = probability.gather(axis, index).clamp_(min=FLT_MIN).log_().neg_()
        ctx.axis, ctx.weight = axis, weight
        if isinstance(weight, float):
            ctx.save_for_backward(probability, index)
            return losses.sum() * weight
        ctx.save_for_backward(probability, index, weight)
        return (losses * weight).masked_fill_(weight == 0, 0).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        probability, index, *weights = ctx.saved_tensors
        factor = grad * (weights[0] if weights else ctx.weight)
        gradient = probability * factor
        gradient.scatter_(ctx.axis, index, (probability.gather(ctx.axis, index) - 1) * factor)
        return gradient, None, None, None
