"""Split and Silence: one blob for several readers, and for none."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from caffe_compat.layers.arity import AtLeast, Exactly
from caffe_compat.layers.base import Layer
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("Split")
class Split(Layer):
    """y_i = x for every top

    Bottom: x, any shape. Tops: one or more, each with the values of x; their gradients add up. Not in place.
    """

    autocasts = True
    tops = AtLeast(1)
    allows_inplace: ClassVar[bool] = False
    saves_top = True  # the tops are views of the bottom

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(x.view_as(x) for _ in range(self.num_tops))

    def lower(self, g: GraphBuilder, x: Value) -> tuple[Value, ...]:
        return (x,) * self.num_tops


@register_layer("Silence")
class Silence(Layer):
    """Reads its bottoms and makes nothing, so that they are no outputs of the net

    Bottoms: one or more, any shapes. No tops; no gradient goes back.
    """

    autocasts = True
    bottoms, tops = AtLeast(1), Exactly(0)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return ()

    def lower(self, g: GraphBuilder, *bottoms: Value) -> tuple[Value, ...]:
        return ()
