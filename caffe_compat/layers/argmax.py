"""ArgMax: where the largest values are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.windows import check_size

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

TO_THE_BEGIN = -(2**63) + 1


@register_layer("ArgMax")
class ArgMax(Layer):
    """y = the positions of the ``top_k`` largest values of each item of x, largest first; it has no gradient

    Of equal values the one with the larger position comes first. Bottom: x, any shape with an axis.
    Top without ``axis``: (N, 1, top_k), positions counted through all axes after the first; with ``out_max_val``
    (N, 2, top_k), the positions and under them the values; for a bottom of more than 3 axes, axes of size 1 follow
    until there are as many. Top with ``axis``: the shape of x with top_k along that axis; with ``out_max_val`` the
    values instead of the positions. Positions are floats, as all blobs.

    ``out_max_val`` (default false), ``top_k`` (default 1), ``axis`` (default none; negative from the end).
    Refused: top_k of 0 or above the number of values, an axis out of range, a bottom without axes.
    Differs from torch: argmax takes the smaller position. Differs from Caffe: where a gradient is
    asked for, none goes back, and Caffe stops; NaN counts as the largest value.
    """

    blocks = ("argmax_param",)
    constant_bottoms = (0,)
    saves_top = True  # the top is a view that torch made without a gradient
    train_note = "a position: no gradient passes"

    def __init__(self, out_max_val: bool = False, top_k: int = 1, axis: int | None = None) -> None:
        super().__init__()
        self.out_max_val = out_max_val
        self.top_k = check_size("top_k", top_k, 1)
        self.axis = axis

    def setup(self, *bottom_shapes: Shape) -> None:
        self._check(bottom_shapes[0])

    def _check(self, shape: Shape) -> None:
        """Raise NetError unless a bottom of ``shape`` has top_k values to choose."""
        if not shape:
            raise NetError("the bottom is a scalar; accepted: a bottom with at least one axis")
        values = math.prod(shape[1:]) if self.axis is None else shape[canonical_axis(self.axis, shape)]
        if self.top_k > values:
            place = "after its first axis" if self.axis is None else f"along axis {self.axis}"
            raise NetError(
                f"top_k: {self.top_k} is more than the {values} value(s) that a bottom of shape {list(shape)} has "
                f"{place}; accepted: 1 to {values}"
            )

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        self._check(tuple(x.shape))
        if self.axis is not None:
            values, index = self._largest(x, self.axis % x.dim())
            return values if self.out_max_val else index
        found = self._largest(x.reshape(x.shape[0], math.prod(x.shape[1:])), 1)
        top = torch.stack([found[1].to(found[0].dtype), found[0]] if self.out_max_val else [found[1]], 1)
        return top.reshape(*top.shape, *[1] * (x.dim() - 3))

    def _largest(self, x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Values and positions; x is turned round, so that the first of equal values is the one wanted."""
        turned = x.flip(axis)
        if self.top_k == 1:
            values, index = turned.max(axis, keepdim=True)
        else:
            values, index = (t.narrow(axis, 0, self.top_k) for t in turned.sort(stable=True, dim=axis, descending=True))
        return values, (x.shape[axis] - 1 - index).to(torch.promote_types(x.dtype, torch.float32))

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        if self.axis is not None:
            axis = self.axis % x.rank
            return self._lower_values(g, x, axis) if self.out_max_val else self._lower_index(g, x, x.shape[axis], axis)
        size = None if None in x.shape[1:] else math.prod(x.static(i) for i in range(1, x.rank))
        flat = x if x.rank == 2 else g.op("Flatten", x, axis=1)
        parts = [self._lower_index(g, flat, size, 1), *([self._lower_values(g, flat, 1)] if self.out_max_val else [])]
        parts = [g.unsqueeze(part, 1, *range(3, x.rank)) for part in parts]
        return g.op("Concat", *parts, axis=1) if self.out_max_val else parts[0]

    def _lower_values(self, g: GraphBuilder, x: Value, axis: int) -> Value:
        if self.top_k == 1:
            return g.reduce("Max", x, (axis,))
        values: Value = g.op("TopK", x, g.ints(self.top_k), axis=axis, num_outputs=2)[0]
        return values

    def _lower_index(self, g: GraphBuilder, x: Value, size: int | None, axis: int) -> Value:
        """The positions along an axis of ``size`` values; TopK prefers the smaller of two, so it sees x turned."""
        if self.top_k == 1:
            return g.cast(g.op("ArgMax", x, axis=axis, keepdims=1, select_last_index=1), "float32")
        turned = g.op("Slice", x, g.ints(-1), g.ints(TO_THE_BEGIN), g.ints(axis), g.ints(-1))
        index = g.op("TopK", turned, g.ints(self.top_k), axis=axis, num_outputs=2)[1]
        if size is not None:
            last = g.ints(size - 1)
        else:
            last = g.op("Sub", g.op("Gather", g.op("Shape", x), g.ints(axis)), g.ints(1))
        return g.cast(g.op("Sub", last, index), "float32")
