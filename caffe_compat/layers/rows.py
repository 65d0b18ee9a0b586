"""Rows by number: Embed looks them up in a learned table, BatchReindex and Filter choose them from a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import AtLeast, Exactly
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.limits import check_blob, check_not_empty
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.windows import check_size

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


def out_of_range(numbers: Tensor, index: Tensor, rows: int, remedy: str) -> NetError | None:
    """The error that names the first number whose ``index`` is no row; None when all are. It waits for a GPU."""
    values, index = (tensor.detach().reshape(-1).cpu() for tensor in (numbers, index))
    bad = (index < 0) | (index >= rows)
    if not bad.any():
        return None
    first = int(bad.nonzero()[0])
    place = [int(i) for i in torch.unravel_index(torch.tensor(first), numbers.shape)] if numbers.dim() else []
    return NetError(
        f"index {values[first].item():g} at {place} of a blob of shape {list(numbers.shape)} is out of range "
        f"({int(bad.sum())} of {len(values)} are); accepted: 0 to {rows - 1}; {remedy}"
    )


@register_layer("Embed")
class Embed(Layer):
    """y[..., :] = weight[x[...]] + bias

    Bottom: x, any shape, whole numbers from 0 to input_dim - 1 as floats (fractions are cut off); it gets no
    gradient. Top: y, the shape of x and num_output behind. Blobs: ``weight`` (input_dim, num_output), ``bias``
    (num_output), none with ``bias_term: false``.

    ``num_output``, ``input_dim`` (both required), ``bias_term`` (default true), ``weight_filler``, ``bias_filler``
    (constant 0). Refused: num_output or input_dim of 0, more than 2^31 - 1 weights, no index to build for with a bias;
    at run time an index out of range, on a GPU as CUDA's own assertion (Caffe reads other memory then).
    Differs from torch: Embedding takes integers, has no bias.
    """

    blocks = ("embed_param",)
    constant_bottoms = (0,)
    saves_top = False
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        num_output: int = 0,
        input_dim: int = 0,
        bias_term: bool = True,
        weight_filler: Filler | None = None,
        bias_filler: Filler | None = None,
    ) -> None:
        super().__init__()
        self.num_output = check_size("num_output", num_output, 1)
        self.input_dim = check_size("input_dim", input_dim, 1)
        self.bias_term = bias_term
        self.weight_filler = weight_filler
        self.bias_filler = bias_filler

    def setup(self, *bottom_shapes: Shape) -> None:
        check_blob("weight", (self.input_dim, self.num_output))
        check_blob("the top", (*bottom_shapes[0], self.num_output))
        if self.bias_term:
            check_not_empty(bottom_shapes[0], slice(None))
        self.add_blob("weight", (self.input_dim, self.num_output), self.weight_filler)
        if self.bias_term:
            self.add_blob("bias", (self.num_output,), self.bias_filler)

    def forward(self, x: Tensor) -> Tensor:
        try:
            y = F.embedding(x.long(), self.weight)
        except (IndexError, RuntimeError) as error:
            if explained := out_of_range(x, x.long(), self.input_dim, "correct the indices, or raise input_dim"):
                raise explained from error
            raise
        return y + self.bias if self.bias_term else y

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        y: Value = g.op("Gather", g.param(self.weight), g.cast(x, "int64"), axis=0)
        return g.op("Add", y, g.param(self.bias)) if self.bias_term else y


@register_layer("BatchReindex")
class BatchReindex(Layer):
    """y[i] = x[index[i]]

    Bottoms: x, (N, ...); index, (M), whole numbers from 0 to N - 1 as floats (fractions are cut off), in any order and
    any number of times; it gets no gradient. Top: y, (M, ...). The gradients of items taken several times add up.

    Refused: an x without axes, an index without exactly one; at run time an index out of range, on a GPU as CUDA's
    own assertion.
    """

    bottoms = Exactly(2)
    constant_bottoms = (1,)
    saves_top = False  # the backward pass reads the index

    def setup(self, *bottom_shapes: Shape) -> None:
        x, index = bottom_shapes
        if not x or len(index) != 1:
            raise NetError(
                f"the bottoms have shapes {list(x)} and {list(index)}; accepted: a blob with a batch axis, and a list "
                "of indices, which has exactly one axis"
            )
        check_blob("the top", (*index, *x[1:]))

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        rows = index.floor().long()  # -0.5 is no row in Caffe
        try:
            return x.index_select(0, rows)
        except (IndexError, RuntimeError) as error:
            if explained := out_of_range(index, rows, x.shape[0], "correct the indices, or give a larger batch"):
                raise explained from error
            raise

    def lower(self, g: GraphBuilder, x: Value, index: Value) -> Value:
        return g.op("Gather", x, g.cast(index, "int64"), axis=0)


@register_layer("Filter")
class Filter(Layer):
    """y_i = the items of x_i whose selector is not 0

    Bottoms: one or more x_i, (N, ...), and last the selector, (N) to (N, 1, 1, 1), which gets no gradient. Tops: one
    y_i for each x_i, (M, ...), M being the number of selected items, which only the values tell: as in Caffe, the net
    is built with M = N. Items that are not selected get gradient 0.

    Refused: another number of tops than of x_i, bottoms without axes or with another N than the selector's, a selector
    with further axes than ones of size 1, with more than 4, or without items to build for. torch.compile breaks its
    graph here, and a GPU is waited for.
    """

    bottoms, tops = AtLeast(2), AtLeast(1)
    constant_bottoms = (-1,)
    shape_from_values = True
    host_work = "has tops whose size only values tell"
    saves_top = False  # the backward pass reads the indices

    def setup(self, *bottom_shapes: Shape) -> None:
        *shapes, selector = bottom_shapes
        if self.num_tops != len(shapes):
            raise NetError(
                f"makes {self.num_tops} top(s) from {len(shapes)} bottom(s) and a selector, which is the last bottom; "
                f"accepted: one top for each but the selector, {len(shapes)}"
            )
        self._check_shapes(shapes, selector)
        check_not_empty(selector, slice(0, 1))  # Caffe reads it already here

    def _check_shapes(self, shapes: list[Shape], selector: Shape) -> None:
        if not 1 <= len(selector) <= 4 or set(selector[1:]) - {1}:
            raise NetError(
                f"the selector (the last bottom) has shape {list(selector)}; accepted: one value for each item, (N) to "
                "(N, 1, 1, 1)"
            )
        for i, shape in enumerate(shapes):
            if shape[:1] != selector[:1]:
                raise NetError(
                    f"bottom {i} has shape {list(shape)}, the selector (the last bottom) has {list(selector)}; "
                    "accepted: the same first dimension"
                )

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        *items, selector = bottoms
        self._check_shapes([tuple(x.shape) for x in items], tuple(selector.shape))
        if selector.is_meta:  # no values: all items, as Caffe assumes while it builds the net
            return tuple(items)
        selected = selector.reshape(-1).nonzero().squeeze(1)
        return tuple(x.index_select(0, selected) for x in items)

    def lower(self, g: GraphBuilder, *bottoms: Value) -> tuple[Value, ...]:
        *items, selector = bottoms
        flat = selector if selector.rank == 1 else g.reshape(selector, (-1,))
        selected = g.cast(flat, "bool")
        return tuple(g.op("Compress", x, selected, axis=0) for x in items)
