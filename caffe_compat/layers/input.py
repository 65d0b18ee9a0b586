"""Input: blobs that the caller gives, and what is said of shapes once or per top."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import AtLeast, Exactly
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer


@register_layer("Input")
class Input(Layer):
    """A place for blobs that the caller gives: ``net(data=x)``.

    Tops: any number, each of its ``shape``; one shape serves all tops, and a top without a shape is a scalar
    until it is fed.

    ``shape`` (repeated; default none). Refused: another number of shapes than 0, 1 or the number of tops.
    Differs from Caffe: a dim above 2^31 - 1 is refused; there its lowest 32 bits count.
    """

    blocks = ("input_param",)
    bottoms, tops = Exactly(0), AtLeast(1)
    export_note = "becomes an input of the graph"

    def __init__(self, shape: list[list[int]] | None = None) -> None:
        super().__init__()
        self.shape = shape or []

    def setup(self, *bottom_shapes: Shape) -> None:
        if len(self.shape) not in (0, 1, self.num_tops):
            raise NetError(once_or_per_top("input_param's shape", len(self.shape), self.num_tops, "none at all, "))
        check_dims(self.shape)

    def top_shapes(self, *bottom_shapes: Shape) -> list[Shape]:
        return per_top([tuple(shape) for shape in self.shape or [[]]], self.num_tops)

    def forward(self) -> Tensor:
        raise NetError("the tops of an Input layer are given by the caller: net(data=x)")


def per_top(values: list[Any], tops: int) -> list[Any]:
    """One value for all tops, or one per top."""
    return values * tops if len(values) == 1 else values


def once_or_per_top(what: str, found: int, tops: int, more: str = "") -> str:
    """The text that refuses a field given another number of times."""
    per_top = f" or {tops}, one per top" if tops > 1 else ""
    return f"{what} is given {found} time(s) for {tops} top(s); accepted: {more}once{per_top}"


def check_dims(shapes: list[list[int]]) -> None:
    """Refuse shapes that no blob of Caffe has. Raises NetError."""
    for shape in shapes:
        if any(dim < 0 for dim in shape):
            raise NetError(f"shape {shape} has a negative dim; accepted: 0 and above")
        if len(shape) > 32:
            raise NetError(f"a shape has {len(shape)} axes; accepted: at most 32")
