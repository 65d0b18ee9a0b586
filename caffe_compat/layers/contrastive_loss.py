"""ContrastiveLoss: pairs that belong together are drawn near, others are pushed apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.base import Shape
from caffe_compat.layers.loss import Loss, refuse_many_axes
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("ContrastiveLoss")
class ContrastiveLoss(Loss):
    """loss = sum_i L_i / (2 N), d = |a_i - b_i|; L = d^2 where similar, else max(margin - d, 0)^2

    With ``legacy_version`` a pair that is not similar costs max(margin - d^2, 0). From Hadsell, Chopra, LeCun:
    Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006, equation (4).
    The gradient at a_i is (a_i - b_i) / N where similar, else -(a_i - b_i) (margin - d) / (d + 1e-4) / N where
    margin > d (legacy: -(a_i - b_i) / N where margin > d^2), else 0; at b_i its negative.

    Bottoms: a and b, (N, C) or (N, C, 1, 1); s, (N) or (N, 1, 1, 1), or () for N = 1: similar where s, its fraction
    cut off, is not 0.
    Top: loss, a scalar.

    contrastive_loss_param: ``margin`` (default 1), ``legacy_version`` (default false). Refused: another first
    dimension, another C, spatial axes above 1, more than 4 axes, fewer labels than pairs. Of more labels than pairs
    the first N are read, as in Caffe.

    Differs from torch: no such loss there; d + 1e-4 in the gradient, which is not quite the derivative, keeps it
    finite (0) at d = 0.
    """

    blocks = ("contrastive_loss_param",)
    bottoms = Exactly(3)
    constant_bottoms = (2,)

    def __init__(self, margin: float = 1.0, legacy_version: bool = False) -> None:
        super().__init__()
        self.margin = margin
        self.legacy_version = legacy_version

    def check_shapes(self, *bottom_shapes: Shape) -> None:
        super().check_shapes(*bottom_shapes)
        for shape in bottom_shapes:
            refuse_many_axes(shape)
        a, b, similar = bottom_shapes
        if (*a, 1)[1] != (*b, 1)[1] or math.prod((*a[2:], *b[2:])) != 1:
            raise NetError(
                f"the bottoms have shapes {list(a)} and {list(b)}; accepted: (N, C) or (N, C, 1, 1) with the same C; "
                "flatten them, or change num_output of the layer that makes one"
            )
        if math.prod(similar[1:]) != 1 or math.prod(similar[:1]) < a[0]:
            raise NetError(
                f"the labels have shape {list(similar)} for {a[0]} pairs; accepted: one a pair, as in {[a[0]]}: 1 "
                "where the two are similar, else 0"
            )

    def forward(self, a: Tensor, b: Tensor, similar: Tensor) -> Tensor:
        self.check_shapes(tuple(a.shape), tuple(b.shape), tuple(similar.shape))
        rows = [x.flatten(1) if x.dim() > 1 else x.unsqueeze(1) for x in (a, b)]
        label = similar.reshape(-1)[: a.shape[0]].long() != 0
        return _Contrastive.apply(*rows, label, self.margin, self.legacy_version)

    def lower(self, g: GraphBuilder, a: Value, b: Value, similar: Value) -> Value:
        rows = [g.op("Flatten", x, axis=1) for x in (a, b)]
        square = g.reduce("SumSquare", g.op("Sub", *rows), (1,), keepdims=False)
        distance = square if self.legacy_version else g.op("Sqrt", square)
        violation = g.op("Relu", g.op("Sub", g.const(self.margin), distance))
        apart = violation if self.legacy_version else g.op("Mul", violation, violation)
        label = g.cast(g.reshape(similar, (-1,)), "int64")
        if similar.shape[:1] != a.shape[:1]:
            batch = g.op("Gather", g.op("Shape", a), g.ints(0))
            label = g.op("Slice", label, g.ints(0), batch, g.ints(0))
        each = g.op("Where", g.op("Equal", label, g.const(0, "int64")), apart, square)
        return g.scaled(g.reduce("Mean", each, (0,), keepdims=False), 0.5)


class _Contrastive(torch.autograd.Function):
    """a, b: (N, C); similar: bool (N). ``slope`` * (a - b) / N is the gradient at a."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, similar: Tensor, margin: float, legacy: bool) -> Tensor:
        difference = a - b
        square = difference.square().sum(1)
        if legacy:
            gap = margin - square
            apart, slope = gap.clamp(min=0), -torch.ones_like(gap)
        else:
            distance = square.sqrt()
            gap = margin - distance
            apart, slope = gap.clamp(min=0).square(), -gap / (distance + 1e-4)
        slope = torch.where(similar, 1.0, torch.where(gap > 0, slope, 0.0))
        ctx.save_for_backward(difference, slope)
        return torch.where(similar, square, apart).sum() / (2 * max(1, len(a)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        difference, slope = ctx.saved_tensors
        gradient = difference * (slope * (grad / max(1, len(slope)))).unsqueeze(1)
        return gradient, -gradient, None, None, None
