"""Flatten and Reshape: the same values under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


def _lower_reshape(g: GraphBuilder, x: Value, head: Sequence[int], tail: Sequence[int]) -> Value:
    """Reshape of x to the dims of ``head`` (0: the size of x at the same place, -1: the rest), then the axes ``tail``.

    Symbolic sizes are never baked in: one may become the -1; else they are read from x when the model runs.
    """
    dims: list[int | Value] = list(head)
    for axis in tail:
        size = x.shape[axis]
        if axis == len(dims):
            dims.append(0)
        elif size is not None:
            dims.append(size)
        elif -1 not in dims:
            dims.append(-1)
        else:
            dims.append(g.op("Gather", g.op("Shape", x), g.ints(axis)))
    if all(isinstance(dim, int) for dim in dims):
        return g.reshape(x, [dim for dim in dims if isinstance(dim, int)])
    parts = [g.ints(dim) if isinstance(dim, int) else dim for dim in dims]
    return g.op("Reshape", x, g.op("Concat", *parts, axis=0))


@register_layer("Flatten")
class Flatten(Layer):
    """y = x with the axes ``axis`` to ``end_axis`` merged into one

    Bottom: x, any shape with at least one axis. Top: y, the same values. Not in place.

    ``axis`` (default 1), ``end_axis`` (default -1); negative ones count from the end. Where ``end_axis`` is the axis
    just before ``axis``, an axis of size 1 is inserted.
    Refused: an axis out of range, an end_axis further before axis.
    """

    autocasts = True
    blocks = ("flatten_param",)
    allows_inplace: ClassVar[bool] = False
    saves_top = True  # the top is a view of the bottom

    def __init__(self, axis: int = 1, end_axis: int = -1) -> None:
        super().__init__()
        self.axis = axis
        self.end_axis = end_axis

    def _range(self, shape: Shape) -> tuple[int, int]:
        """First merged axis, and the one after the last. Raises NetError."""
        start, end = canonical_axis(self.axis, shape), canonical_axis(self.end_axis, shape) + 1
        if end < start:
            raise NetError(
                f"end_axis: {self.end_axis} lies before axis: {self.axis} for a bottom of shape {list(shape)}; "
                "exchange them"
            )
        return start, end

    def setup(self, *bottom_shapes: Shape) -> None:
        self._range(bottom_shapes[0])

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape
        start, end = self._range(shape)
        return x.reshape(*shape[:start], math.prod(shape[start:end]), *shape[end:])

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        start, end = self.axis % x.rank, self.end_axis % x.rank + 1
        if start == 1 and end == x.rank and x.rank > 1:
            return g.op("Flatten", x, axis=1)
        merged = [size for size in x.shape[start:end] if size is not None]
        known = len(merged) == end - start
        return _lower_reshape(g, x, [0] * start + [math.prod(merged) if known else -1], range(end, x.rank))


@register_layer("Reshape")
class Reshape(Layer):
    """y = x with ``num_axes`` axes from ``axis`` on replaced by the dims of ``shape``

    Bottom: x, any shape. Top: y, the same values. Not in place.

    ``shape { dim: .. }`` (default: no dims): a positive size; 0: the size of the bottom at the same place, counted
    from ``axis``; -1 (once): what is left. ``axis`` (default 0; -1 is after the last axis, so that axes can be
    appended), ``num_axes`` (default -1: all from ``axis`` on; 0: axes are inserted).
    Refused: two dims of -1, a dim below -1, an axis or num_axes out of range, a 0 without a bottom axis, a count
    that differs from the bottom's or that the given dims do not divide.
    Differs from torch: 0 copies a size, and only a part of the axes may be given.
    """

    autocasts = True
    blocks = ("reshape_param",)
    allows_inplace: ClassVar[bool] = False
    saves_top = True  # the top is a view of the bottom

    def __init__(self, shape: Sequence[int] = (), axis: int = 0, num_axes: int = -1) -> None:
        super().__init__()
        self.dims = list(shape)
        if self.dims.count(-1) > 1 or min(self.dims, default=0) < -1:
            raise NetError(
                f"shape {self.dims} is not possible; accepted dims: positive sizes, 0 (copy from the bottom), "
                "and at most one -1 (infer)"
            )
        self.axis = axis
        self.num_axes = num_axes

    def _range(self, rank: int) -> tuple[int, int]:
        """First replaced axis, and the one after the last. Raises NetError."""
        start = self.axis if self.axis >= 0 else rank + 1 + self.axis
        if not 0 <= start <= rank:
            raise NetError(
                f"axis: {self.axis} is out of range for a bottom of {rank} axes; accepted: {-rank - 1} to {rank} "
                "(-1 is after the last)"
            )
        end = rank if self.num_axes == -1 else start + self.num_axes
        if self.num_axes < -1 or end > rank:
            raise NetError(
                f"num_axes: {self.num_axes} from axis {start} on is out of range for a bottom of {rank} axes; "
                f"accepted: 0 to {rank - start}, or -1 (all)"
            )
        return start, end

    def top_shape(self, bottom: Shape) -> Shape:
        """Shape of the top for a bottom's shape. Raises NetError."""
        start, end = self._range(len(bottom))
        if any(dim == 0 and start + i >= len(bottom) for i, dim in enumerate(self.dims)):
            raise NetError(
                f"shape {self.dims} from axis {start} on copies (dim: 0) an axis that the bottom, of shape "
                f"{list(bottom)}, does not have; give that dim as a number or -1"
            )
        dims = [bottom[start + i] if dim == 0 else dim for i, dim in enumerate(self.dims)]
        count, rest = math.prod(bottom), math.prod(bottom[:start]) * math.prod(bottom[end:])
        given = rest * math.prod(dim for dim in dims if dim != -1)
        if (given == 0 or count % given) if -1 in dims else count != given:
            raise NetError(
                f"shape {self.dims} from axis {start} on cannot hold a bottom of shape {list(bottom)}: the given "
                f"sizes make {given} element(s), the bottom has {count}"
            )
        dims = [count // given if dim == -1 else dim for dim in dims]
        return (*bottom[:start], *dims, *bottom[end:])

    def setup(self, *bottom_shapes: Shape) -> None:
        self.top_shape(bottom_shapes[0])

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self.top_shape(tuple(x.shape)))

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        start, end = self._range(x.rank)
        return _lower_reshape(g, x, [0] * start + self.dims, range(end, x.rank))
