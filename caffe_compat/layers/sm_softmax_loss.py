"""SMSoftmaxLoss: softmax loss whose true class must lead by a margin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.errors import NetError
from caffe_compat.layers.loss import ClassLoss
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

LOG2_E = math.log2(math.e)
FEW_CLASSES = 4096


@register_layer("SMSoftmaxLoss")
class SMSoftmaxLoss(ClassLoss):
    """loss = sum_i L_i / normaliser,  L_i = -log( e^(z_y - m) / (e^(z_y - m) + sum_{j != y} e^(z_j)) )

    Equation (6) of Liang, Wang, Lei, Liao, Li: Soft-Margin Softmax for Deep Classification, ICONIP 2017; z are the
    scores at place i, y its label, m the margin. The gradient is the softmax of the scores with z_y - m in place of
    z_y, minus the one-hot label, over the normaliser. As a torch module, without a prototxt::

        loss = SMSoftmaxLoss(margin=0.3)(scores, labels)    # (N, C) and (N,), int or float labels

    Bottoms: scores, any shape, classes along ``axis``; labels, float or int, one for each place of the scores
    without that axis. Tops: loss, a scalar; optionally prob, the scores' shape: their plain softmax, what deployment
    computes, without the margin (the label is not known then) and without a gradient. Set ``num_tops = 2`` for it
    outside of a prototxt.

    ``margin`` (smsoftmax_param; default 0: softmax loss). ``axis``, ``ignore_label``, ``normalization``,
    ``normalize``: as in SoftmaxWithLoss. Refused: a margin that is negative, infinite or NaN, and what
    SoftmaxWithLoss refuses, but for the second top.

    Exact to 2e-6 of each L_i and of each gradient at every margin, in float32, however small the loss. float16 and
    bfloat16 scores are computed, and the loss returned, in float32; float64 in float64.

    Cost: as softmax loss. One tensor of the scores' size is kept for the backward pass, which makes one more, the
    gradient. Forward: copy the scores, largest other score, exponentials in the copy, their sum; backward: one
    multiplication. All else is one number a label; at batches of a few thousand scores these few steps, some 50
    microseconds on a CPU, are what one sees.

    Differs from SoftmaxWithLoss with margin 0: the probability is not floored at FLT_MIN before the log, so a
    loss may pass 87.3; a small loss is not rounded to the steps of a float32 probability near 1.
    Differs from torch: ``cross_entropy`` has no margin; labels may be float; a mean over no labels is 0.
    """

    blocks = ("smsoftmax_param", "loss_param", "softmax_param")
    implicit_loss_weights = True

    def __init__(
        self,
        margin: float = 0.0,
        ignore_label: int | None = None,
        normalization: str | None = None,
        normalize: bool | None = None,
        axis: int = 1,
    ) -> None:
        super().__init__(ignore_label, normalization, normalize, axis)
        if not 0 <= margin < math.inf:
            raise NetError(f"smsoftmax_param's margin {margin} is out of range; accepted: 0 (softmax loss) and above")
        self.margin = float(margin)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, ignore_label={self.ignore_label}, normalization={self.normalization}"

    def sum_of(self, scores: Tensor, index: Tensor, weight: Tensor | float, axis: int) -> Tensor:
        return _SMSoftmaxLoss.apply(scores, index, weight, self.margin, axis)

    def lower_losses(self, g: GraphBuilder, scores: Value, index: Value, axis: int) -> Value:
        """L = softplus(d), d = (M - z_y) + m + log S: M the largest other score, S = sum over them of e^(z_j - M).

        d is computed in float64; softplus(d) = max(d, 0) + log(1 + u) with u = e^-|d|, and
        log(1 + u) = 2 artanh(u / (2 + u)), which keeps all digits of a small u.
        """
        lowest = g.op("Expand", g.const(torch.finfo(torch.float32).min), g.op("Shape", index))
        others = g.op("ScatterElements", scores, index, lowest, axis=axis)
        largest = g.reduce("Max", others, (axis,))
        rest = g.op("Log", g.cast(g.reduce("Sum", g.op("Exp", g.op("Sub", others, largest)), (axis,)), "float64"))
        label_score = g.cast(g.op("GatherElements", scores, index, axis=axis), "float64")
        lead = g.op("Add", g.op("Sub", g.cast(largest, "float64"), label_score), g.const(self.margin, "float64"))
        d = g.op("Add", lead, rest)
        u = g.op("Exp", g.op("Neg", g.op("Abs", d)))
        ratio = g.cast(g.op("Div", u, g.op("Add", u, g.const(2.0, "float64"))), "float32")
        return g.op("Add", g.op("Relu", g.cast(d, "float32")), g.op("Mul", g.op("Atanh", ratio), g.const(2.0)))


class _SMSoftmaxLoss(torch.autograd.Function):
    """sum_i w_i L_i for one place a row (but along any axis).

    The label is taken out of its row, so that nothing cancels: with M the largest of the other scores and
    S = sum_{j != y} e^(z_j - M), let d = M + log S - z_y + m. Then L = softplus(d), and with p = sigmoid(d) the
    gradient at j is p e^(z_j - M) / S, and at the label -p. d is float64. Where there is no other score, or only
    -inf, M is finfo.min, and both are 0 whatever S is.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, index: Tensor, weight: Tensor | float, margin: float, axis: int) -> Tensor:
        others = scores.clone().scatter_(axis, index, torch.finfo(scores.dtype).min)
        largest = others.amax(axis, keepdim=True)
        total, unit = _exponentials(others, index, largest, axis)
        log_rest = wide(total if unit is None else total / unit).log_()
        d = log_rest.add_(largest).sub_(scores.gather(axis, index)).add_(margin)
        losses = F.softplus(d, threshold=40.0)
        if ctx.needs_input_grad[0]:
            at_label = d.sigmoid_().to(scores.dtype)
            at_label = at_label if isinstance(weight, float) else at_label * weight
            ctx.axis, ctx.weight = axis, weight if isinstance(weight, float) else 1.0
            ctx.save_for_backward(others, index, at_label, at_label / total)
        if isinstance(weight, float):
            return losses.sum(dtype=scores.dtype).mul_(weight)
        return losses.mul_(weight).masked_fill_(weight == 0, 0).sum(dtype=scores.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        others, index, at_label, at_others = ctx.saved_tensors
        scale = grad * ctx.weight
        gradient = others * (at_others * scale)
        gradient.scatter_(ctx.axis, index, (at_label * scale).neg_())
        return gradient, None, None, None, None


def _exponentials(others: Tensor, index: Tensor, largest: Tensor, axis: int) -> tuple[Tensor, Tensor | None]:
    """others becomes c e^(z_j - M), in place, with one factor c a row; returns c S and c (None: 1).

    At many classes by torch's softmax: one pass; c is 1 / its own sum, which rounds too much there, so it is read off
    at the label's place, where e^(M - M) is put. At few, on a CPU, by powers of 2, which torch computes several times
    faster than e^x and its softmax; the rounding of x log2(e) grows with log S, hence the limit.
    """
    if others.device.type == "cpu" and others.shape[axis] <= FEW_CLASSES:
        return others.sub_(largest).mul_(LOG2_E).exp2_().sum(axis, keepdim=True), None
    others.scatter_(axis, index, largest)
    torch.softmax(others, axis, out=others)
    unit = others.gather(axis, index)
    return torch.maximum(others.sum(axis, keepdim=True) - unit, unit), unit


def wide(x: Tensor) -> Tensor:
    """A copy in float64, which Apple's GPUs do not have."""
    return x.to(torch.float64, copy=True) if x.device.type != "mps" else x.clone()
