"""Power, Exp and Log of a scaled and shifted bottom."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

LARGEST_EXPONENT = 709.0
"""exp of more overflows in float64."""


class _Power(torch.autograd.Function):
    """inside^power, whose gradient is power * top / inside: NaN at inside = 0 where power > 0."""

    @staticmethod
    def forward(inside: Tensor, power: float) -> Tensor:
        return inside.pow(power)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.power = inputs[1]
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        inside, top = ctx.saved_tensors
        return gradients[0] * (ctx.power * (top / inside)), None


@register_layer("Power")
class Power(Layer):
    """y = (shift + scale * x)^power

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    ``power`` (default 1), ``scale`` (default 1), ``shift`` (default 0). With power 0 or scale 0, y is a constant, 1
    or shift^power, whatever x is, and the gradient is zero.
    Differs from torch: the gradient is power * scale * y / (shift + scale * x), which is NaN where the base is 0, but
    for the powers 1 and 2 and negative ones. Differs from Caffe: in place, the gradient is that of the values before
    they are overwritten.
    """

    blocks = ("power_param",)
    runs_inplace = True

    def __init__(self, power: float = 1.0, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.power, self.scale, self.shift = power, scale, shift
        self.constant = power * scale == 0

    def forward(self, x: Tensor) -> Tensor:
        if self.constant:
            value = torch.full_like(x, self.shift).pow(self.power)
            return torch.where(torch.zeros_like(x, dtype=torch.bool), x, value)  # x has a gradient, of zeros
        if self.power == 1 and self.inplace:
            return x.mul_(self.scale).add_(self.shift)
        inside = x if self.scale == 1 else x * self.scale
        inside = inside if self.shift == 0 else inside + self.shift
        if self.power == 1:
            return inside
        return inside * inside if self.power == 2 else _Power.apply(inside, self.power)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        if self.constant:
            value = torch.tensor(self.shift, device="cpu").pow(self.power)
            return g.op("Expand", g.const(value.numpy()), g.op("Shape", x))
        inside = g.shifted(g.scaled(x, self.scale), self.shift)
        return inside if self.power == 1 else g.op("Pow", inside, g.const(self.power))


def _log_of_base(base: float) -> float:
    """The natural logarithm of ``base``; -1 stands for e. Raises NetError for what is no base."""
    if base == -1:
        return 1.0
    if not 0 < base < math.inf:
        raise NetError(f"base: {base:g} is no base; accepted: a number above 0, or -1, which stands for e")
    return math.log(base)


@register_layer("Exp")
class Exp(Layer):
    """y = base^(shift + scale * x)

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    ``base`` (default -1: e), ``scale`` (default 1), ``shift`` (default 0).
    Refused: a base that is not above 0. It is computed as base^shift * exp(log(base) * scale * x), so that a large
    shift overflows as in Caffe.
    """

    blocks = ("exp_param",)

    def __init__(self, base: float = -1.0, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        log_base = _log_of_base(base)
        self.inner = log_base * scale
        exponent = log_base * shift
        self.outer = math.exp(exponent) if exponent <= LARGEST_EXPONENT else math.inf

    def forward(self, x: Tensor) -> Tensor:
        y = torch.exp(x if self.inner == 1 else x * self.inner)
        return y if self.outer == 1 else y * self.outer

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.scaled(g.op("Exp", g.scaled(x, self.inner)), self.outer)


@register_layer("Log")
class Log(Layer):
    """y = log_base(shift + scale * x)

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    ``base`` (default -1: e), ``scale`` (default 1), ``shift`` (default 0).
    Refused: a base that is not above 0, and 1. As in torch, y is -infinity at 0 and NaN below.
    Differs from Caffe: in place, the gradient is that of the values before they are overwritten.
    """

    blocks = ("log_param",)
    saves_top = False  # the backward pass reads the bottom

    def __init__(self, base: float = -1.0, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        log_base = _log_of_base(base)
        if log_base == 0:
            raise NetError("base: 1 has no logarithms, since every power of 1 is 1; accepted: another number above 0")
        self.factor = 1 / log_base
        self.scale, self.shift = scale, shift

    def forward(self, x: Tensor) -> Tensor:
        inside = x if self.scale == 1 else x * self.scale
        y = torch.log(inside if self.shift == 0 else inside + self.shift)
        return y if self.factor == 1 else y * self.factor

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        inside = g.shifted(g.scaled(x, self.scale), self.shift)
        return g.scaled(g.op("Log", inside), self.factor)
