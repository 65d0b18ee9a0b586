"""Concat and Slice: join bottoms along an axis, cut a bottom along an axis."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import AtLeast
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

_TO_THE_END = 2**63 - 1


def _chosen_axis(axis: int | None, old_axis: int | None, old_name: str) -> int:
    """The axis from the field ``axis`` or its old name; 1 when neither is given."""
    if axis is not None and old_axis is not None:
        raise NetError(
            f"axis: {axis} and {old_name}: {old_axis} are both given; {old_name} is the old name of axis, "
            "so keep only one of them"
        )
    return next((value for value in (axis, old_axis) if value is not None), 1)


@register_layer("Concat")
class Concat(Layer):
    """y = the bottoms, one after the other along ``axis``

    Bottoms: one or more, with the same shape but for ``axis``. Top: y, whose size along ``axis`` is their sum.

    ``axis`` (default 1; negative from the end); ``concat_dim``: its old name.
    Refused: both given, an axis out of range, bottoms that differ in another axis.
    """

    autocasts = True
    blocks = ("concat_param",)
    bottoms = AtLeast(1)
    saves_top = False  # the backward pass only cuts the gradient

    def __init__(self, axis: int | None = None, concat_dim: int | None = None) -> None:
        super().__init__()
        self.axis = _chosen_axis(axis, concat_dim, "concat_dim")

    def setup(self, *bottom_shapes: Shape) -> None:
        self._check_shapes(bottom_shapes)

    def _check_shapes(self, shapes: Sequence[Shape]) -> None:
        first = shapes[0]
        axis = canonical_axis(self.axis, first)
        for i, shape in enumerate(shapes):
            if len(shape) != len(first) or shape[:axis] != first[:axis] or shape[axis + 1 :] != first[axis + 1 :]:
                raise NetError(
                    f"bottoms must have the same shape but for axis {axis}: bottom 0 has {list(first)}, "
                    f"bottom {i} has {list(shape)}"
                )

    def forward(self, *bottoms: Tensor) -> Tensor:
        self._check_shapes([bottom.shape for bottom in bottoms])
        return torch.cat(bottoms, self.axis)

    def lower(self, g: GraphBuilder, *bottoms: Value) -> Value:
        return g.op("Concat", *bottoms, axis=self.axis % bottoms[0].rank)


@register_layer("Slice")
class Slice(Layer):
    """y_i = x[slice_point_(i-1) : slice_point_i] along ``axis``, from 0 to the end

    Bottom: x, any shape. Tops: one or more, of the shape of x but for ``axis``.

    ``axis`` (default 1; negative from the end); ``slice_dim``: its old name. ``slice_point``: where to cut, one
    fewer than there are tops, each greater than the one before; default: equal parts.
    Refused: both names of the axis given, an axis out of range, a wrong number or order of points, points past the
    end, fewer elements than tops, an axis that does not divide into equal parts.
    Differs from torch: the last point may be the size of the axis; then the last top is empty.
    """

    autocasts = True
    blocks = ("slice_param",)
    tops = AtLeast(1)
    saves_top = True  # the tops are views of the bottom

    def __init__(self, axis: int | None = None, slice_point: Sequence[int] = (), slice_dim: int | None = None) -> None:
        super().__init__()
        self.axis = _chosen_axis(axis, slice_dim, "slice_dim")
        self.slice_point = list(slice_point)

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        self.sizes(shape[canonical_axis(self.axis, shape)])

    def sizes(self, total: int) -> list[int]:
        """Sizes of the tops along the axis, of which the bottom has ``total``. Raises NetError."""
        if not self.slice_point:
            if total % self.num_tops:
                raise NetError(
                    f"axis {self.axis} of size {total} does not divide into {self.num_tops} equal tops; "
                    f"give {self.num_tops - 1} slice_point(s)"
                )
            return [total // self.num_tops] * self.num_tops
        if len(self.slice_point) != self.num_tops - 1:
            raise NetError(
                f"slice_point has {len(self.slice_point)} value(s) for {self.num_tops} top(s); "
                f"give {self.num_tops - 1}, or none (equal parts)"
            )
        cuts = [0, *self.slice_point, total]
        sizes = [end - start for start, end in itertools.pairwise(cuts)]
        if min(sizes[:-1]) <= 0 or sizes[-1] < 0 or total < self.num_tops:
            raise NetError(
                f"slice_point {self.slice_point} does not cut axis {self.axis} of size {total} into {self.num_tops} "
                "tops; each point must be greater than the one before, the first at least 1, the last at most "
                f"{total}, with no more tops than elements"
            )
        return sizes

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.split(x, self.sizes(x.shape[self.axis]), self.axis)

    def lower(self, g: GraphBuilder, x: Value) -> tuple[Value, ...]:
        axis = self.axis % x.rank
        total = x.shape[axis]
        if self.num_tops == 1:
            return (x,)
        if total is not None:
            return g.split(x, self.sizes(total), axis)
        if self.slice_point:
            cuts = [0, *self.slice_point, _TO_THE_END]
            return tuple(g.slice(x, axis, start, end) for start, end in itertools.pairwise(cuts))
        size = g.op("Div", g.op("Gather", g.op("Shape", x), g.ints(axis)), g.ints(self.num_tops))
        sizes = g.op("Expand", size, g.ints(self.num_tops))
        parts: tuple[Value, ...] = g.op("Split", x, sizes, axis=axis, num_outputs=self.num_tops)
        return parts
