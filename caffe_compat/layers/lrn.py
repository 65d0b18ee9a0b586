"""LRN: local response normalisation, across channels or within each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.windows import check_size

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("LRN")
class LRN(Layer):
    """y = x / (k + alpha / n * s)^beta, s the sum of the squares in a window of n = local_size channels around x;
    within a channel: y = x / (1 + alpha / n^2 * s)^beta, the window n by n pixels

    Zeros surround the bottom: n stays n at the borders. Bottom: (N, C, H, W). Top: the same shape.
    Parameters: local_size (5), alpha (1), beta (0.75), k (1; ignored within a channel), norm_region
    (ACROSS_CHANNELS or WITHIN_CHANNEL). Refused: an even local_size, a bottom without exactly 4 axes.
    Differs from torch: local_response_norm knows no WITHIN_CHANNEL, and is several times slower than the sum of
    shifted channels used here. From Krizhevsky et al., ImageNet Classification with Deep CNNs, section 3.3,
    whose alpha is this alpha / n. Differs from Caffe: in place, the gradient is that of the values before they are
    overwritten.
    """

    blocks = ("lrn_param",)
    saves_top = False

    def __init__(
        self,
        local_size: int = 5,
        alpha: float = 1.0,
        beta: float = 0.75,
        norm_region: str = "ACROSS_CHANNELS",
        k: float = 1.0,
    ) -> None:
        super().__init__()
        if check_size("local_size", local_size, 1) % 2 == 0:
            raise NetError(
                f"local_size: {local_size} is even; accepted: odd sizes, which have a middle, "
                f"such as {local_size - 1} or {local_size + 1}"
            )
        if norm_region not in ("ACROSS_CHANNELS", "WITHIN_CHANNEL"):
            raise NetError(f"norm_region: {norm_region} is unknown; accepted: ACROSS_CHANNELS, WITHIN_CHANNEL")
        self.local_size = local_size
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.across = norm_region == "ACROSS_CHANNELS"
        self.k = float(k)

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        if len(shape) != 4:
            raise NetError(f"needs a bottom of 4 axes (batch, channels, height, width), found shape {list(shape)}")

    def forward(self, x: Tensor) -> Tensor:
        n = self.local_size
        if self.across:
            scale = self.k + self.alpha / n * _channel_window_sum(x * x, n // 2)
        else:
            scale = 1 + self.alpha * F.avg_pool2d(x * x, n, stride=1, padding=n // 2)
        return x * scale.pow(-self.beta)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        n = self.local_size
        if self.across and self.alpha > 0 and self.beta > 0:  # what onnxruntime's LRN accepts
            return g.op("LRN", x, size=n, alpha=self.alpha, beta=self.beta, bias=self.k)
        square = g.op("Mul", x, x)
        if self.across:
            window: dict[str, Any] = {"kernel_shape": [n, 1, 1], "pads": [n // 2, 0, 0] * 2}
            mean = g.op("AveragePool", g.unsqueeze(square, 1), count_include_pad=1, **window)
            mean = g.squeeze(mean, 1)
        else:
            mean = g.op("AveragePool", square, kernel_shape=[n, n], pads=[n // 2] * 4, count_include_pad=1)
        scale = g.shifted(g.scaled(mean, self.alpha), self.k if self.across else 1.0)
        return g.op("Mul", x, g.op("Pow", scale, g.const(-self.beta)))


def _channel_window_sum(x: Tensor, reach: int) -> Tensor:
    """Sum over the channels c - reach to c + reach, as far as they exist."""
    channels = x.shape[1]
    reach = min(reach, channels - 1)
    padded = F.pad(x, (0, 0, 0, 0, reach, reach))
    total = padded.narrow(1, 0, channels)
    for shift in range(1, 2 * reach + 1):
        total = total + padded.narrow(1, shift, channels)
    return total
