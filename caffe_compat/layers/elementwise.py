"""AbsVal, BNLL, Clip, Swish, Threshold: functions of each value without blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer
from caffe_compat.layers.overwritten import overwritten
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

LARGEST_EXPONENT = 50
"""Beyond it log(1 + exp(x)) is x in every precision that torch has."""


@register_layer("AbsVal")
class AbsVal(Layer):
    """y = |x|

    Bottom: x, any shape. Top: y, the same shape. Not in place. The gradient at x = 0 is 0.
    """

    allows_inplace = False
    saves_top = False  # the backward pass reads the bottom

    def forward(self, x: Tensor) -> Tensor:
        return torch.abs(x)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("Abs", x)


@register_layer("BNLL")
class BNLL(Layer):
    """y = log(1 + exp(x)), the binomial negative log likelihood

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    In place, the gradient is sigmoid(y), as in Caffe, which finds y where x was.
    Differs from torch: softplus is x from 20 on, which is not exact in float64; here from 50 on.
    """

    saves_top = False  # the backward pass reads the bottom

    def forward(self, x: Tensor) -> Tensor:
        if self.overwrites:
            return overwritten(x, _softplus, torch.sigmoid)
        return _softplus(x)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("Softplus", x)


@register_layer("Clip")
class Clip(Layer):
    """y = max(min, min(x, max)), with the bounds ``min`` and ``max``

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    ``min``, ``max`` (both required). The gradient passes where min <= x <= max, at the bounds too. In place, it passes
    everywhere, as in Caffe, which finds y where x was.
    Refused: a bound that is not given. Differs from torch: where min is above max, y is min everywhere (clamp takes
    max). Differs from Caffe: NaN stays NaN, there it becomes min; without any clip_param, which Caffe takes as
    bounds of 0, the layer is refused.
    """

    blocks = ("clip_param",)
    saves_top = False  # the backward pass reads the bottom

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        super().__init__()
        if min is None or max is None:
            missing = " and ".join(name for name, bound in (("min", min), ("max", max)) if bound is None)
            raise NetError(f"{missing} missing; give both bounds, such as clip_param {{ min: 0 max: 6 }}")
        self.min = min
        self.max = max

    def forward(self, x: Tensor) -> Tensor:
        if self.overwrites:
            return overwritten(x, self._clipped, lambda y: ((y >= self.min) & (y <= self.max)).to(y.dtype))
        return self._clipped(x)

    def _clipped(self, x: Tensor) -> Tensor:
        if self.min <= self.max:
            return torch.clamp(x, self.min, self.max)
        return x.clamp(max=self.max).clamp(min=self.min)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        highest = self.max if self.min <= self.max else self.min
        return g.op("Clip", x, g.const(self.min), g.const(highest))


@register_layer("Swish")
class Swish(Layer):
    """y = x / (1 + exp(-beta * x))

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    ``beta`` (default 1). Differs from torch: silu has no beta.
    """

    blocks = ("swish_param",)
    saves_top = False  # the backward pass reads the bottom

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x) if self.beta == 1 else x * torch.sigmoid(self.beta * x)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("Mul", x, g.op("Sigmoid", g.scaled(x, self.beta)))


@register_layer("Threshold")
class Threshold(Layer):
    """y = 1 where x > threshold, else 0; it has no gradient

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    ``threshold`` (default 0).
    Differs from torch: threshold() keeps the values above it. Differs from Caffe: where a gradient is asked
    for, none goes back, and Caffe stops.
    """

    blocks = ("threshold_param",)
    constant_bottoms = (0,)
    saves_top = False
    train_note = "a step: no gradient passes"

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        return (x > self.threshold).to(x.dtype)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.cast(g.op("Greater", x, g.const(self.threshold)), "float32")


def _softplus(x: Tensor) -> Tensor:
    return F.softplus(x, threshold=LARGEST_EXPONENT)
