"""Parameter: a learned blob as a top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.arity import Exactly
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.limits import check_blob
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("Parameter")
class Parameter(Layer):
    """y = weight

    No bottom. Top: y, of ``shape``. Blob: ``weight``, of ``shape``, zeros at first: it has no filler.

    ``shape { dim: .. }`` (default: no dims, a scalar).
    Refused: negative dims, more than 32 axes or 2^31 - 1 elements, a shape without elements.
    Differs from Caffe: with iter_size above 1 the gradients of all passes add up (there the last one's counts alone),
    and a layer that works in place on y leaves the blob alone.
    """

    blocks = ("parameter_param",)
    bottoms = Exactly(0)
    saves_top = True  # the top is the blob itself
    weight: Tensor

    def __init__(self, shape: Sequence[int] = ()) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def setup(self, *bottom_shapes: Shape) -> None:
        check_blob("the blob", self.shape)
        self.add_blob("weight", self.shape)

    def forward(self) -> Tensor:
        return self.weight

    def lower(self, g: GraphBuilder) -> Value:
        return g.op("Identity", g.param(self.weight))
