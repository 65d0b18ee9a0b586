"""Crop: a part of the first bottom, as large as the second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("Crop")
class Crop(Layer):
    """y = x[offset_i : offset_i + size of reference axis i] along ``axis`` and every axis after it

    Bottoms: x, any shape; a reference, of which only the sizes from ``axis`` on count. Top: y, the sizes of x before
    ``axis``, those of the reference from there on. The reference gets no gradient.

    ``axis`` (default 2; negative from the end of x), ``offset``: none (0), one for all cropped axes, or one for each.
    Refused: an axis out of range, another number of offsets, a reference without one of the axes, a part that does
    not lie within x.
    """

    autocasts = True
    blocks = ("crop_param",)
    bottoms = Exactly(2)
    saves_top = True  # the top is a view of the bottom

    def __init__(self, axis: int = 2, offset: Sequence[int] = ()) -> None:
        super().__init__()
        self.axis = axis
        self.offset = list(offset)

    def setup(self, *bottom_shapes: Shape) -> None:
        self._parts(*bottom_shapes)

    def _axes(self, rank: int) -> tuple[range, list[int]]:
        """The cropped axes and where the part begins along each."""
        axes = range(self.axis % rank, rank)
        return axes, self.offset if len(self.offset) > 1 else (self.offset or [0]) * len(axes)

    def _parts(self, shape: Shape, reference: Shape) -> list[tuple[int, int, int]]:
        """(axis, begin, size) of the part. Raises NetError."""
        first = canonical_axis(self.axis, shape)
        cropped = len(shape) - first
        if len(self.offset) not in (0, 1, cropped):
            raise NetError(
                f"offset is given {len(self.offset)} time(s) for the {cropped} axes from axis {first} on of a bottom "
                f"of shape {list(shape)}; accepted: none (0), once (for all), or {cropped} times"
            )
        if len(reference) < len(shape):
            raise NetError(
                f"the reference, of shape {list(reference)}, lacks axes of the bottom, of shape {list(shape)}, from "
                f"axis {first} on; accepted: at least {len(shape)} axes"
            )
        axes, offsets = self._axes(len(shape))
        for axis, offset in zip(axes, offsets, strict=True):
            if offset + reference[axis] > shape[axis]:
                raise NetError(
                    f"axis {axis}: the part of {reference[axis]} from offset {offset} on does not lie within the "
                    f"{shape[axis]} of a bottom of shape {list(shape)}; accepted: an offset of at most "
                    f"{shape[axis] - reference[axis]}, or a smaller reference"
                )
        return [(axis, offset, reference[axis]) for axis, offset in zip(axes, offsets, strict=True)]

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        for axis, begin, size in self._parts(tuple(x.shape), tuple(reference.shape)):
            x = x.narrow(axis, begin, size)
        return x

    def lower(self, g: GraphBuilder, x: Value, reference: Value) -> Value:
        axes, offsets = self._axes(x.rank)
        sizes = reference.shape[axes[0] : x.rank]
        if None in sizes:
            wanted = g.op("Gather", g.op("Shape", reference), g.ints(*axes))
            ends = g.op("Add", wanted, g.ints(*offsets)) if any(offsets) else wanted
        else:
            ends = g.ints(*(begin + (size or 0) for begin, size in zip(offsets, sizes, strict=True)))
        return g.op("Slice", x, g.ints(*offsets), ends, g.ints(*axes))
