"""Eltwise: product, weighted sum, or maximum of bottoms of one shape."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import AtLeast
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


def _product(bottoms: Sequence[Tensor]) -> Tensor:
    return functools.reduce(operator.mul, bottoms)


class _UnstableProduct(torch.autograd.Function):
    """Product whose gradient is top / bottom * top's gradient: nan where the bottom is 0."""

    @staticmethod
    def forward(*bottoms: Tensor) -> Tensor:
        return _product(bottoms)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        top = _product(ctx.saved_tensors)
        return tuple(top / bottom * gradients[0] for bottom in ctx.saved_tensors)


@register_layer("Eltwise")
class Eltwise(Layer):
    """y = sum_i coeff_i * x_i (SUM), prod_i x_i (PROD), or max_i x_i (MAX)

    Bottoms: two or more, all of one shape. Top: y, the same shape.

    ``operation`` (default SUM), ``coeff`` (SUM: one per bottom; default all 1; MAX ignores it),
    ``stable_prod_grad`` (default true; false: the gradient of PROD is y / x_i, which is nan at x_i = 0).
    Refused: bottoms of different shapes, coeff with PROD, another number of coeff than of bottoms.
    Differs from torch: where x_0 = x_1 is the maximum, the whole gradient goes to x_1; a later bottom gets it only
    where it is strictly greater than all before it (torch.maximum halves it). Differs from Caffe: in place, it
    computes as with another top; there SUM and MAX lose bottom 0, and PROD's gradients are of what is overwritten.
    """

    autocasts = True
    blocks = ("eltwise_param",)
    bottoms = AtLeast(2)
    saves_top = False  # the backward passes read the bottoms, or which bottom won

    def __init__(self, operation: str = "SUM", coeff: Sequence[float] = (), stable_prod_grad: bool = True) -> None:
        super().__init__()
        if operation not in ("PROD", "SUM", "MAX"):
            raise NetError(f"operation: {operation} is unknown; accepted: PROD, SUM, MAX")
        if operation == "PROD" and coeff:
            raise NetError(
                f"coeff: {list(coeff)} has no meaning for operation PROD; coefficients are for SUM, so remove them"
            )
        self.operation = operation
        self.coeff = list(coeff)
        self.stable_prod_grad = stable_prod_grad

    def setup(self, *bottom_shapes: Shape) -> None:
        if self.coeff and len(self.coeff) != len(bottom_shapes):
            raise NetError(
                f"coeff has {len(self.coeff)} value(s) for {len(bottom_shapes)} bottoms; "
                "give one for each bottom, or none (all 1)"
            )
        self._check_shapes(bottom_shapes)

    def _check_shapes(self, shapes: Sequence[Shape]) -> None:
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise NetError(
                    f"all bottoms must have the same shape: bottom 0 has {list(shapes[0])}, "
                    f"bottom {i} has {list(shape)}; there is no broadcasting (Scale and Bias do that)"
                )

    def forward(self, *bottoms: Tensor) -> Tensor:
        self._check_shapes([bottom.shape for bottom in bottoms])
        if self.operation == "SUM":
            return self._sum(bottoms)
        if self.operation == "MAX":
            top = torch.where(bottoms[0] > bottoms[1], bottoms[0], bottoms[1])
            for bottom in bottoms[2:]:
                top = torch.where(bottom > top, bottom, top)
            return top
        return _product(bottoms) if self.stable_prod_grad else _UnstableProduct.apply(*bottoms)

    def _sum(self, bottoms: tuple[Tensor, ...]) -> Tensor:
        first, second, *others = self.coeff or [1.0] * len(bottoms)
        top = torch.add(bottoms[0] if first == 1 else bottoms[0] * first, bottoms[1], alpha=second)
        for bottom, coeff in zip(bottoms[2:], others, strict=True):
            top.add_(bottom, alpha=coeff)
        return top

    def lower(self, g: GraphBuilder, *bottoms: Value) -> Value:
        if self.operation == "MAX":
            return g.op("Max", *bottoms)
        if self.operation == "PROD":
            return functools.reduce(lambda a, b: g.op("Mul", a, b), bottoms)
        if self.coeff == [1, -1]:
            return g.op("Sub", *bottoms)
        scaled = [g.scaled(bottom, c) for bottom, c in zip(bottoms, self.coeff or [1.0] * len(bottoms), strict=True)]
        return g.op("Add" if len(scaled) == 2 else "Sum", *scaled)
