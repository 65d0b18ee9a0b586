"""Reduction: a sum or mean over all axes from one on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.limits import check_not_empty
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

ONNX_KINDS = {"SUM": "Sum", "ASUM": "L1", "SUMSQ": "SumSquare", "MEAN": "Mean"}


@register_layer("Reduction")
class Reduction(Layer):
    """y = coeff * sum x (SUM), sum |x| (ASUM), sum x^2 (SUMSQ) or mean x (MEAN), over all axes from ``axis`` on

    Bottom: x, any shape with an axis. Top: y, of the axes before ``axis``; a scalar for axis 0.

    ``operation`` (default SUM), ``axis`` (default 0; negative from the end), ``coeff`` (default 1).
    Refused: an axis out of range; SUM and MEAN of no values, in the bottom that the net is built for. The gradient of
    ASUM at x = 0 is 0.
    Differs from torch: never a single axis between others.
    """

    blocks = ("reduction_param",)
    saves_top = False  # the backward pass reads the bottom

    def __init__(self, operation: str = "SUM", axis: int = 0, coeff: float = 1.0) -> None:
        super().__init__()
        if operation not in ONNX_KINDS:
            raise NetError(f"operation: {operation} is unknown; accepted: {', '.join(ONNX_KINDS)}")
        self.operation = operation
        self.axis = axis
        self.coeff = coeff

    def setup(self, *bottom_shapes: Shape) -> None:
        axis = canonical_axis(self.axis, bottom_shapes[0])
        if self.operation in ("SUM", "MEAN"):
            check_not_empty(bottom_shapes[0], slice(axis, None))

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(self.axis % x.dim(), x.dim()))
        if self.operation == "MEAN":
            y = x.mean(axes)
        else:
            y = {"SUM": lambda: x, "ASUM": x.abs, "SUMSQ": x.square}[self.operation]().sum(axes)
        return y if self.coeff == 1 else y * self.coeff

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        axes = range(self.axis % x.rank, x.rank)
        return g.scaled(g.reduce(ONNX_KINDS[self.operation], x, axes, keepdims=False), self.coeff)
