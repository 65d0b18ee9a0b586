"""Activations without parameters: ReLU, ELU, Sigmoid, TanH."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.base import Layer
from caffe_compat.layers.overwritten import overwritten
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("ReLU")
class ReLU(Layer):
    """y = max(x, 0) + negative_slope * min(x, 0)

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    ``negative_slope`` (default 0). The gradient at x = 0 is the slope, also where that is negative or above 1.
    In place with a slope below 0, the gradient goes by the sign of y, as in Caffe, which finds y where x was.
    """

    autocasts = True
    blocks = ("relu_param",)
    runs_inplace = True

    def __init__(self, negative_slope: float = 0.0) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        if self.negative_slope == 0:
            return torch.relu_(x) if self.inplace else torch.relu(x)
        if self.overwrites and self.negative_slope < 0:
            return overwritten(x, self._leaky, lambda y: torch.where(y > 0, 1.0, self.negative_slope).to(y.dtype))
        return self._leaky(x, self.inplace and self.negative_slope > 0)

    def _leaky(self, x: Tensor, inplace: bool = False) -> Tensor:
        return F.leaky_relu(x, self.negative_slope, inplace)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("LeakyRelu", x, alpha=self.negative_slope) if self.negative_slope else g.op("Relu", x)


@register_layer("ELU")
class ELU(Layer):
    """y = x for x > 0, alpha * (exp(x) - 1) otherwise

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    ``alpha`` (default 1), which is also the gradient at x = 0. In place with an alpha below 0, the gradient goes by
    the sign of y, as in Caffe, which finds y where x was.
    """

    blocks = ("elu_param",)
    saves_top = False  # the backward pass reads the bottom

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        if self.overwrites and self.alpha < 0:
            return overwritten(x, self._elu, lambda y: torch.where(y > 0, 1.0, y + self.alpha))
        return self._elu(x)

    def _elu(self, x: Tensor) -> Tensor:
        below = torch.exp(torch.clamp(x, max=0)) - 1  # not expm1, as torch's: near zero Caffe's has float32's grain
        return torch.where(x > 0, x, below * self.alpha)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("Elu", x, alpha=self.alpha)


@register_layer("Sigmoid")
class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x))

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    """

    blocks = ("sigmoid_param",)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("Sigmoid", x)


@register_layer("TanH")
class TanH(Layer):
    """y = tanh(x)

    Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    """

    blocks = ("tanh_param",)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        return g.op("Tanh", x)
