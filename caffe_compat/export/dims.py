"""The sizes of all blobs in the exported graph: numbers, or symbols where they follow the batch size.

A size is symbolic where it differs between two batch sizes; the layers' own forward on meta tensors tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caffe_compat.errors import ExportError, NetError
from caffe_compat.export.graph import Dims
from caffe_compat.layers.base import Shape
from caffe_compat.layers.source_layer import SourceLayer
from caffe_compat.net import Net, Node

BATCH = "N"
NamedDims = tuple[int | str, ...]
"""Sizes; a string is symbolic: "N", "2*N", or "" for one that is no multiple of the batch size."""


@dataclass(frozen=True)
class BlobDims:
    """``tops[i][j]``: the sizes of top j of node i. ``batch``: "N", or the number that the graph is fixed to."""

    batch: str | int | None
    tops: list[list[NamedDims]]


def is_input(node: Node) -> bool:
    """Whether the tops of this layer become inputs of the graph: Input layers and data layers."""
    return node.type == "Input" or isinstance(node.layer, SourceLayer)


def file_batch(net: Net, inputs: Sequence[str]) -> int | None:
    """The batch size that the prototxt gives: the first axis of the first of ``inputs``."""
    shapes = [net.shapes[name] for name in inputs if net.shapes[name]]
    return shapes[0][0] if shapes else None


def with_batch(net: Net, inputs: Sequence[str], batch: int) -> dict[str, Shape]:
    """Shapes of ``inputs`` at another batch size; inputs whose first axis has another size keep it."""
    now = file_batch(net, inputs)
    shapes = {name: net.shapes[name] for name in inputs}
    return {name: (batch, *shape[1:]) if shape and shape[0] == now else shape for name, shape in shapes.items()}


def fixed_dims(net: Net, inputs: Sequence[str], batch: int | None) -> BlobDims:
    """Sizes at one batch size, by default the file's. Raises NetError where the net does not take it."""
    now = file_batch(net, inputs)
    if batch is None or batch == now:
        given = {name: net.shapes[name] for name in inputs}
        return BlobDims(now, _hide_guesses(net, given, [list(node.top_shapes) for node in net.nodes]))
    if now is None:
        raise ExportError("the net has no input with a batch axis, so no batch size can be chosen: leave it out")
    given = with_batch(net, inputs, batch)
    return BlobDims(batch, _hide_guesses(net, given, net.infer_shapes(given)))


def symbolic_dims(net: Net, inputs: Sequence[str]) -> BlobDims:
    """Sizes with the batch as "N". Raises NetError where the net does not take twice the file's batch size."""
    now = file_batch(net, inputs)
    if not now:
        return fixed_dims(net, inputs, None)
    given = with_batch(net, inputs, 2 * now)
    doubled = _hide_guesses(net, given, net.infer_shapes(given))
    tops = [
        [_compare(one, two, now) for one, two in zip(node.top_shapes, shapes, strict=True)]
        for node, shapes in zip(net.nodes, doubled, strict=True)
    ]
    return BlobDims(BATCH, tops)


def _hide_guesses(net: Net, inputs: Mapping[str, Shape], tops: list[list[Shape]]) -> list[list[NamedDims]]:
    """``tops`` (of these inputs) with "" for every size that follows from values, such as a Filter's."""
    if not any(node.layer.shape_from_values for node in net.nodes):
        return [list(shapes) for shapes in tops]
    try:
        others = net.infer_shapes(inputs, extra=1)
    except NetError:  # no other size fits, so the guess is right
        return [list(shapes) for shapes in tops]
    return [
        [tuple(a if a == b else "" for a, b in zip(one, two, strict=True)) for one, two in zip(ones, twos, strict=True)]
        for ones, twos in zip(tops, others, strict=True)
    ]


def static_dims(dims: NamedDims) -> Dims:
    """The same with None for every symbol."""
    return tuple(None if isinstance(size, str) else size for size in dims)


def _compare(one: Shape, two: NamedDims, batch: int) -> NamedDims:
    if len(one) != len(two):
        return tuple("" for _ in two)
    return tuple(a if a == b else _symbol(a, b, batch) for a, b in zip(one, two, strict=True))


def _symbol(one: int, two: int | str, batch: int) -> str:
    """The name of a size that is ``one`` at the batch size and ``two`` at twice the batch size."""
    if two != 2 * one or one % batch:
        return ""
    return BATCH if one == batch else f"{one // batch}*{BATCH}"
