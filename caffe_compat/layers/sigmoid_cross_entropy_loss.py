"""SigmoidCrossEntropyLoss: independent yes-no predictions against targets between 0 and 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Shape
from caffe_compat.layers.loss import Loss, normalization_mode, normalizer
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(Loss):
    """loss = -sum_i (t_i log p_i + (1 - t_i) log(1 - p_i)) / normaliser, with p = sigmoid(x)

    Computed from x without p, as max(x, 0) - x t + log(1 + e^-|x|); the gradient is (p - t) / normaliser.

    Bottoms: scores x, any shape (N, ...); targets t, as many values in any shape (N, ...), no gradient.
    Top: loss, a scalar.

    loss_param: ``ignore_label`` (default none): places whose target, its fraction cut off, is this label count
    nothing and get gradient 0 (so 0 ignores every target between -1 and 1); ``normalization``: the normaliser, never
    below 1, is N (BATCH_SIZE, the default here), the number of places (FULL), of those not ignored (VALID), or 1
    (NONE); ``normalize``, the old form, true for VALID, false for BATCH_SIZE, counts only where ``normalization`` is
    not set. Refused: another first dimension, another number of targets than of scores.

    Differs from torch: ``binary_cross_entropy_with_logits`` divides by the number of places. As in Caffe, 1 + e^-|x|
    is rounded before its log, so a target met with |x| above 16.6 costs exactly 0, and the gradient is 0 there.
    """

    blocks = ("loss_param",)
    constant_bottoms = (1,)

    def __init__(
        self, ignore_label: int | None = None, normalization: str | None = None, normalize: bool | None = None
    ) -> None:
        super().__init__()
        self.ignore_label = ignore_label
        self.normalization = normalization_mode(normalization, normalize, default="BATCH_SIZE")

    def setup(self, *bottom_shapes: Shape) -> None:
        super().setup(*bottom_shapes)
        self._check_count(*bottom_shapes)

    def _check_count(self, scores: Shape, targets: Shape) -> None:
        if math.prod(scores) != math.prod(targets):
            raise NetError(
                f"{math.prod(targets)} targets (shape {list(targets)}) for {math.prod(scores)} scores (shape "
                f"{list(scores)}); accepted: one target for each score; reshape one of the two, or set num_output of "
                "the layer that makes the scores"
            )

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        self._check_count(tuple(scores.shape), tuple(targets.shape))
        targets = targets.detach().reshape(scores.shape).to(scores.dtype)
        keep = None if self.ignore_label is None else targets.trunc() != self.ignore_label
        batch = scores.shape[0]
        divisor = normalizer(self.normalization, batch, math.prod(scores.shape[1:]), keep)
        return _SigmoidCrossEntropy.apply(scores, targets, keep, divisor)

    def lower(self, g: GraphBuilder, scores: Value, targets: Value) -> Value:
        if scores.shape[1:] != targets.shape[1:]:
            targets = g.reshape(targets, [0, *(scores.static(i) for i in range(1, scores.rank))])
        positive, linear = g.op("Relu", scores), g.op("Mul", scores, targets)
        tail = g.op("Log", g.shifted(g.op("Exp", g.op("Neg", g.op("Abs", scores))), 1.0))
        losses = g.op("Add", g.op("Sub", positive, linear), tail)
        keep = None
        if self.ignore_label is not None:
            ignored = g.op("Equal", g.cast(targets, "int64"), g.const(self.ignore_label, "int64"))
            keep = g.op("Not", ignored)
            losses = g.op("Where", keep, losses, g.const(0.0))
        total = g.reduce("Sum", losses, range(scores.rank), keepdims=False)
        return g.op("Div", total, self._lower_normalizer(g, scores, keep))

    def _lower_normalizer(self, g: GraphBuilder, scores: Value, keep: Value | None) -> Value:
        if self.normalization == "VALID" and keep is not None:
            count = g.reduce("Sum", g.cast(keep, "float32"), range(scores.rank), keepdims=False)
            return g.op("Max", count, g.const(1.0))
        dims = {"NONE": (), "BATCH_SIZE": scores.shape[:1]}.get(self.normalization, scores.shape)
        if None not in dims:
            return g.const(float(max(1, math.prod(dims))))  # type: ignore[arg-type]
        shape = g.op("Shape", scores)
        counted = g.op("Gather", shape, g.const(0, "int64")) if len(dims) == 1 else g.op("Size", scores)
        return g.op("Max", g.cast(counted, "float32"), g.const(1.0))


class _SigmoidCrossEntropy(torch.autograd.Function):
    """sum over the kept places / divisor. The derivative of the rounded log is not Caffe's rounded sigmoid(x) - t."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, targets: Tensor, keep: Tensor | None, divisor: Tensor | int) -> Tensor:
        losses = scores.clamp(min=0) - scores * targets + torch.log(1 + torch.exp(-scores.abs()))
        ctx.save_for_backward(scores, targets)
        ctx.keep, ctx.divisor = keep, divisor
        return (losses if keep is None else losses.masked_fill(~keep, 0)).sum() / divisor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scores, targets = ctx.saved_tensors
        gradient = torch.sigmoid(scores).sub_(targets).mul_(grad / ctx.divisor)
        return gradient if ctx.keep is None else gradient.masked_fill_(~ctx.keep, 0), None, None, None
