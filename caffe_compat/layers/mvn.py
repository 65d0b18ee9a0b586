"""MVN: mean and variance normalisation of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.limits import check_not_empty
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


class _Normalize(torch.autograd.Function):
    """(x - mean) / (std + eps), with the gradient that takes std + eps for the derivative's std too."""

    @staticmethod
    def forward(x: Tensor, axes: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor]:
        centred = x - x.mean(axes, keepdim=True)
        divisor = centred.square().mean(axes, keepdim=True).sqrt() + eps
        return centred / divisor, divisor

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.axes = inputs[1]
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        y, divisor = ctx.saved_tensors
        dy = gradients[0]
        along_y = y * (y * dy).mean(ctx.axes, keepdim=True)
        return (dy - dy.mean(ctx.axes, keepdim=True) - along_y) / divisor, None, None


@register_layer("MVN")
class MVN(Layer):
    """y = (x - mean) / (std + eps), or x - mean without ``normalize_variance``

    mean and std are those of each channel of each item, or with ``across_channels`` of each item; std divides by the
    number of values. Bottom: x, (N, C, H, W) or fewer axes. Top: y, always 4 axes: those that x lacks are 1.

    ``normalize_variance`` (default true), ``across_channels`` (default false), ``eps`` (default 1e-9).
    Refused: more than 4 axes, images without pixels.
    Differs from torch: instance_norm adds eps to the variance. The gradient is
    (dy - mean(dy) - y mean(y dy)) / (std + eps), which is the derivative only as far as eps is small beside std.
    Differs from Caffe: in place, with normalize_variance, the gradient is that of values with a blob of their own.
    """

    blocks = ("mvn_param",)

    def __init__(self, normalize_variance: bool = True, across_channels: bool = False, eps: float = 1e-9) -> None:
        super().__init__()
        self.normalize_variance = normalize_variance
        self.axes = (1, 2, 3) if across_channels else (2, 3)
        self.eps = eps

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        if len(shape) > 4:
            raise NetError(
                f"the bottom has {len(shape)} axes, shape {list(shape)}; accepted: at most 4 (batch, channels, height, "
                "width), so merge some with a Reshape layer"
            )
        check_not_empty(shape, slice(self.axes[0], None))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            x = x.reshape(*x.shape, *[1] * (4 - x.dim()))
        if not self.normalize_variance:
            return x - x.mean(self.axes, keepdim=True)
        y: Tensor = _Normalize.apply(x, self.axes, self.eps)[0]
        return y

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        image = x if x.rank == 4 else g.unsqueeze(x, *range(x.rank, 4))
        centred = g.op("Sub", image, g.reduce("Mean", image, self.axes))
        if not self.normalize_variance:
            return centred
        variance = g.reduce("Mean", g.op("Mul", centred, centred), self.axes)
        return g.op("Div", centred, g.shifted(g.op("Sqrt", variance), self.eps))
