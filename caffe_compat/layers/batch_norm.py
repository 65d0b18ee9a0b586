"""BatchNorm: zero mean and unit variance per channel, with Caffe's accumulated statistics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


FEW = 8
"""Fewer values per channel than this may all lie near their mean."""


def _check_elements(shape: Shape) -> None:
    if math.prod(shape) == 0:
        raise NetError(f"has no statistics over a bottom without elements, of shape {list(shape)}")


@register_layer("BatchNorm")
class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps), per channel (axis 1)

    Bottom: x of shape (N, C, ...), at least two axes. Top: y, the same shape; may be the bottom (in place).
    Blobs: ``mean`` (C), ``variance`` (C), ``scale_factor`` (1); no solver trains them, ``forward`` moves them.

    ``use_global_stats`` (default: true in TEST, false in TRAIN). False: mean and variance are those of the batch
    (variance over m values divides by m), and the blobs move, in TEST as well:
    scale_factor = f * scale_factor + 1, mean = f * mean + batch mean,
    variance = f * variance + m / (m - 1) * batch variance (factor 1 for m = 1), f = ``moving_average_fraction``
    (default 0.999). True: mean / scale_factor and variance / scale_factor are used, both 0 where scale_factor is 0.
    ``eps`` (default 1e-5) is added to the variance.

    Refused: fewer than two axes, a bottom without elements.
    Differs from torch: the stored statistics are sums with an accumulated weight; there is no affine part
    (a Scale layer follows); they move in TEST too where use_global_stats is false.
    """

    autocasts = True
    blocks = ("batch_norm_param",)
    saves_top = False  # the backward pass reads the bottom and the batch statistics

    mean: Tensor
    variance: Tensor
    scale_factor: Tensor

    def __init__(
        self, use_global_stats: bool | None = None, moving_average_fraction: float = 0.999, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.use_global_stats = use_global_stats
        self.moving_average_fraction = moving_average_fraction
        self.eps = eps

    @property
    def uses_global_stats(self) -> bool:
        """Whether the stored statistics are used, in the phase that the layer is in."""
        return not self.training if self.use_global_stats is None else self.use_global_stats

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        if len(shape) < 2:
            raise NetError(
                f"normalises over axis 1 (channels), but the bottom has shape {list(shape)}; accepted: two axes or "
                "more, so reshape the bottom to (N, 1)"
            )
        _check_elements(shape)
        for name, size in (("mean", shape[1]), ("variance", shape[1]), ("scale_factor", 1)):
            self.add_blob(name, (size,), trained=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalize(x)

    def normalize(self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """``forward``, followed by * weight + bias per channel (both of shape (C), or None) in the same kernel."""
        if x.shape[1:2] != self.mean.shape:
            raise NetError(f"has statistics of {len(self.mean)} channels (axis 1), found a bottom of {list(x.shape)}")
        cudnn = torch.backends.cudnn.enabled
        if self.uses_global_stats:
            mean, variance = self.global_statistics()
            return torch.batch_norm(x, weight, bias, mean, variance, False, 0.0, self.eps, cudnn)
        if x.numel() < FEW * x.shape[1]:
            _check_elements(x.shape)
            return self._normalize_few(x, weight, bias)
        mean, variance = self.mean.new_zeros(2, x.shape[1]).unbind()
        y = torch.batch_norm(x, weight, bias, mean, variance, True, 1.0, self.eps, cudnn)  # fills mean and variance
        self._accumulate(mean, variance)
        return y

    def _normalize_few(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """The formula as it stands: torch's kernel computes a * x + b, which cancels where all x are near the mean."""
        axes, wide = [0, *range(2, x.dim())], (-1,) + (1,) * (x.dim() - 2)
        if x.dtype != self.mean.dtype:  # half precision, in which torch's kernel computes as follows, too
            return self._normalize_few(x.to(self.mean.dtype), weight, bias).to(x.dtype)
        count = x.numel() // x.shape[1]
        mean = x.mean(axes, keepdim=True)
        centred = x - mean
        variance = (centred * centred).mean(axes, keepdim=True)
        y = centred / torch.sqrt(variance + self.eps)
        unbiased = variance * (count / (count - 1)) if count > 1 else variance
        self._accumulate(mean.detach().flatten(), unbiased.detach().flatten())
        y = y if weight is None else y * weight.reshape(wide)
        return y if bias is None else y + bias.reshape(wide)

    def global_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and variance in use: the accumulated sums over their weight; 0 where nothing was accumulated."""
        inverse = torch.where(self.scale_factor == 0, self.scale_factor, 1 / self.scale_factor)
        return self.mean * inverse, self.variance * inverse

    def _accumulate(self, mean: Tensor, variance: Tensor) -> None:
        fraction = self.moving_average_fraction
        self.scale_factor.mul_(fraction).add_(1)
        torch.add(mean, self.mean, alpha=fraction, out=self.mean)
        torch.add(variance, self.variance, alpha=fraction, out=self.variance)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        if self.uses_global_stats:
            mean, variance = (blob.detach().cpu().numpy() for blob in self.global_statistics())
            ones, zeros = g.const([1.0] * len(mean)), g.const([0.0] * len(mean))
            return g.op("BatchNormalization", x, ones, zeros, g.const(mean), g.const(variance), epsilon=self.eps)
        axes = [axis for axis in range(x.rank) if axis != 1]
        centred = g.op("Sub", x, g.reduce("Mean", x, axes))
        batch_variance = g.reduce("Mean", g.op("Mul", centred, centred), axes)
        return g.op("Div", centred, g.op("Sqrt", g.shifted(batch_variance, self.eps)))
