"""InnerProduct: the fully connected layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.limits import check_blob, check_not_empty
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.windows import check_size

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("InnerProduct")
class InnerProduct(Layer):
    """y = x W^T + b, where all axes of x from ``axis`` on are one: the K inputs of an item

    Bottom: x (d_0, ..., d_axis, ...), K = d_axis * d_axis+1 * ... Top: (d_0, ..., d_axis-1, num_output).
    Blobs: W (num_output, K), with ``transpose`` (K, num_output); b (num_output), none with ``bias_term: false``.
    Parameters: num_output (required), bias_term (true), axis (1; negative counts from the end), transpose (false),
    weight_filler and bias_filler (constant 0). ``transpose`` also exchanges the fillers' fan_in and fan_out.
    Refused: num_output below 1, an axis that the bottom lacks, K = 0, with a bias no items to build for; at run time
    a K other than that of the weights.
    Differs from torch: Linear acts on the last axis alone.
    """

    autocasts = True
    blocks = ("inner_product_param",)
    saves_top = False
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        num_output: int = 0,
        bias_term: bool = True,
        weight_filler: Filler | None = None,
        bias_filler: Filler | None = None,
        axis: int = 1,
        transpose: bool = False,
    ) -> None:
        super().__init__()
        self.num_output = check_size("num_output", num_output, 1)
        self.bias_term = bias_term
        self.weight_filler = weight_filler
        self.bias_filler = bias_filler
        self.axis = axis
        self.transpose = transpose

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        axis = canonical_axis(self.axis, shape)
        self.inputs = math.prod(shape[axis:])
        if self.inputs == 0:
            raise NetError(f"the bottom of shape {list(shape)} has no inputs from axis {axis} on; give it at least one")
        if self.bias_term:
            check_not_empty(shape, slice(0, axis))
        check_blob("the top", (*shape[:axis], self.num_output))
        sizes = (self.num_output, self.inputs)
        self.add_blob("weight", sizes[::-1] if self.transpose else sizes, self.weight_filler)
        if self.bias_term:
            self.add_blob("bias", (self.num_output,), self.bias_filler)

    def forward(self, x: Tensor) -> Tensor:
        axis = canonical_axis(self.axis, tuple(x.shape))
        x = x.flatten(axis)
        if x.shape[axis] != self.inputs:
            raise NetError(
                f"the weights take {self.inputs} inputs per item, the bottom has {x.shape[axis]} from axis {axis} on; "
                "feed the size that the net was built for, or build the net for this one"
            )
        weight = self.weight.t() if self.transpose else self.weight
        return F.linear(x, weight, self.bias if self.bias_term else None)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        axis = self.axis % x.rank
        if None in x.shape[axis:]:
            raise CannotLower(f"the weights fix the sizes from axis {axis} on, one of which is symbolic; fix it")
        weight, bias = g.param(self.weight), g.param(self.bias) if self.bias_term else None
        if axis > 1:
            rows = g.reshape(x, [0] * axis + [self.inputs]) if x.rank > axis + 1 else x
            y = g.op("MatMul", rows, weight if self.transpose else g.transpose(weight, (1, 0)))
            return g.op("Add", y, bias) if bias else y
        rows = x if axis == 1 and x.rank == 2 else g.op("Flatten", x, axis=axis)
        y = g.op("Gemm", rows, weight, bias, transB=int(not self.transpose))
        return y if axis == 1 else g.squeeze(y, 0)
