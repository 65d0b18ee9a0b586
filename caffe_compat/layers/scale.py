"""Scale and Bias: multiply by a blob, add a blob, broadcast from an axis on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Between
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.limits import check_not_empty
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


def _blob_shape(bottom: Shape, axis: int, num_axes: int) -> Shape:
    """Shape of a learned blob that covers ``num_axes`` axes (-1: all) of ``bottom`` from ``axis`` on."""
    first = canonical_axis(axis, bottom)
    if num_axes < -1:
        raise NetError(
            f"num_axes: {num_axes} is out of range; accepted: 0 (a scalar) or more, or -1 (all from axis on)"
        )
    if num_axes > len(bottom) - first:
        raise NetError(
            f"num_axes: {num_axes} from axis {axis} on extends past the bottom's shape {list(bottom)}; "
            f"accepted: at most {len(bottom) - first}, or -1 (all from axis on)"
        )
    return bottom[first:] if num_axes == -1 else bottom[first : first + num_axes]


def _check_match(bottom: Shape, blob: Shape, axis: int) -> None:
    """Refuse a blob (or second bottom) whose axes are not those of the bottom from ``axis`` on."""
    first = canonical_axis(axis, bottom) if blob else 0
    if bottom[first : first + len(blob)] != blob:
        raise NetError(
            f"a blob of shape {list(blob)} does not match the bottom, of shape {list(bottom)}, from axis {axis} on; "
            f"accepted: the leading part of {list(bottom[first:])}"
        )


def _check_behind(bottom: Shape, axis: int, rank: int) -> None:
    """Refuse a bottom without values along the axes behind the ``rank`` ones that a blob covers. Raises NetError."""
    check_not_empty(bottom, slice(canonical_axis(axis, bottom) + rank if rank else 0, None))


def _trailing(rank: int, axis: int, blob_rank: int) -> int:
    """How many axes of a bottom of ``rank`` axes follow those that the blob covers."""
    return rank - axis % rank - blob_rank if blob_rank else 0


def _spread(blob: Tensor, x: Tensor, axis: int) -> Tensor:
    """``blob`` with axes of size 1 behind, so that it broadcasts over ``x`` from ``axis`` on.

    torch would also spread sizes of 1; Caffe refuses those, whenever x changes its shape.
    """
    _check_match(x.shape, blob.shape, axis)
    return blob.reshape(blob.shape + (1,) * _trailing(x.dim(), axis, blob.dim()))


def _spread_value(g: GraphBuilder, blob: Value, x: Value, axis: int) -> Value:
    """The same in ONNX."""
    count = _trailing(x.rank, axis, blob.rank)
    return g.unsqueeze(blob, *range(blob.rank, blob.rank + count)) if count else blob


@register_layer("Scale")
class Scale(Layer):
    """y = x * weight, or x * weight + bias; both broadcast from ``axis`` on

    Bottom: x, any shape; optionally the weight as a second bottom, whose shape is that of x from ``axis`` on, as far
    as it goes. Top: y, the shape of x; may be the bottom (in place). Blobs: ``weight`` (with one bottom) and ``bias``
    (with ``bias_term``), of the shape of the ``num_axes`` axes of x from ``axis`` on, or of the second bottom.

    ``axis`` (default 1; negative from the end), ``num_axes`` (default 1; -1: all axes from ``axis`` on; 0: a scalar),
    ``filler`` (default 1), ``bias_term`` (default false), ``bias_filler`` (default 0). With a second bottom,
    ``num_axes`` and ``filler`` mean nothing; ``axis`` means nothing where that is a scalar.
    Refused: an axis out of range, num_axes below -1 or past the end, a second bottom of another shape, a
    bottom without elements behind the axes of the blob.
    Differs from torch: broadcasting aligns at ``axis``, not at the last axis.
    """

    blocks = ("scale_param",)
    bottoms = Between(1, 2)
    saves_top = False  # the backward pass reads the bottoms

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        axis: int = 1,
        num_axes: int = 1,
        filler: Filler | None = None,
        bias_term: bool = False,
        bias_filler: Filler | None = None,
    ) -> None:
        super().__init__()
        self.axis = axis
        self.num_axes = num_axes
        self.filler = filler or Filler(value=1.0)
        self.bias_term = bias_term
        self.bias_filler = bias_filler
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)

    def setup(self, *bottom_shapes: Shape) -> None:
        bottom = bottom_shapes[0]
        if len(bottom_shapes) == 1:
            shape = _blob_shape(bottom, self.axis, self.num_axes)
            self.add_blob("weight", shape, self.filler)
        else:
            shape = bottom_shapes[1]
            _check_match(bottom, shape, self.axis)
        if self.bias_term:
            self.add_blob("bias", _blob_shape(bottom, self.axis, len(shape)), self.bias_filler)
        if self.bias_term or (shape and 0 in bottom[: canonical_axis(self.axis, bottom)]):
            _check_behind(bottom, self.axis, len(shape))

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        weight = self.weight if weight is None else weight
        assert weight is not None
        weight = _spread(weight, x, self.axis)
        return x * weight if self.bias is None else torch.addcmul(_spread(self.bias, x, self.axis), x, weight)

    def lower(self, g: GraphBuilder, x: Value, weight: Value | None = None) -> Value:
        if weight is None:
            assert self.weight is not None
            weight = g.param(self.weight)
        y: Value = g.op("Mul", x, _spread_value(g, weight, x, self.axis))
        return y if self.bias is None else g.op("Add", y, _spread_value(g, g.param(self.bias), x, self.axis))


@register_layer("Bias")
class Bias(Layer):
    """y = x + bias, broadcast from ``axis`` on

    Bottom: x, any shape; optionally the bias as a second bottom, whose shape is that of x from ``axis`` on, as far as
    it goes. Top: y, the shape of x; may be the bottom (in place). Blob, with one bottom: ``bias``, of the shape of the
    ``num_axes`` axes of x from ``axis`` on.

    ``axis`` (default 1; negative from the end), ``num_axes`` (default 1; -1: all axes from ``axis`` on; 0: a scalar),
    ``filler`` (default 0). With a second bottom, ``num_axes`` and ``filler`` mean nothing; ``axis`` means nothing
    where that is a scalar.
    Refused: an axis out of range, num_axes below -1 or past the end, a second bottom of another shape, a
    bottom without elements behind the axes of the blob.
    Differs from torch: broadcasting aligns at ``axis``, not at the last axis.
    """

    blocks = ("bias_param",)
    bottoms = Between(1, 2)
    runs_inplace = True
    saves_top = False  # the backward pass reads no values

    bias: Tensor

    def __init__(self, axis: int = 1, num_axes: int = 1, filler: Filler | None = None) -> None:
        super().__init__()
        self.axis = axis
        self.num_axes = num_axes
        self.filler = filler

    def setup(self, *bottom_shapes: Shape) -> None:
        bottom = bottom_shapes[0]
        if len(bottom_shapes) == 1:
            shape = _blob_shape(bottom, self.axis, self.num_axes)
            self.add_blob("bias", shape, self.filler)
        else:
            shape = bottom_shapes[1]
            _check_match(bottom, shape, self.axis)
        _check_behind(bottom, self.axis, len(shape))

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        bias = _spread(self.bias if bias is None else bias, x, self.axis)
        return x.add_(bias) if self.inplace else x + bias

    def lower(self, g: GraphBuilder, x: Value, bias: Value | None = None) -> Value:
        return g.op("Add", x, _spread_value(g, g.param(self.bias) if bias is None else bias, x, self.axis))
