"""Pass: blobs whose values stand in the net's own file, as ``blobs { shape { dim: 3 } data: [1, 2, 3] }`` of a layer.

They take the place of the filler's values, as in Caffe. A recurrent layer does not look at them.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Shape
from caffe_compat.layers.recurrent import Recurrent
from caffe_compat.net.node import Node

_LEGACY = ("num", "channels", "height", "width")


def check_given(node: Node) -> None:
    """The file's blobs fit those of the layer. Raises NetError."""
    given, mine = node.param.blobs, node.layer.blobs
    if not given or isinstance(node.layer, Recurrent):
        return
    if len(given) != len(mine):
        raise NetError(f"the file gives it {len(given)} blobs {{ }}, the layer has {len(mine)}; give all, or none")
    for i, (blob, own) in enumerate(zip(given, mine, strict=True)):
        shape, count = _shape(blob), len(blob.double_data) or len(blob.data)
        if not _fits(shape, tuple(own.shape)) or count != math.prod(shape):
            raise NetError(
                f"blob {i} has in the file the shape {list(shape)} and {count} value(s), in the layer the shape "
                f"{list(own.shape)}; make them equal, or remove blobs {{ }}"
            )


def set_given(node: Node) -> None:
    """Give the blobs, which have memory, the values of the file."""
    if isinstance(node.layer, Recurrent):
        return
    with torch.no_grad():
        for blob, own in zip(node.param.blobs, node.layer.blobs, strict=False):
            values = list(blob.double_data) or list(blob.data)
            own.copy_(torch.tensor(values, dtype=own.dtype).reshape(own.shape))


def _shape(blob: Any) -> Shape:
    """The shape that a BlobProto (message) says, the old way with four numbers or the new one."""
    if any(blob.HasField(name) for name in _LEGACY):
        return tuple(getattr(blob, name) for name in _LEGACY)
    return tuple(blob.shape.dim)


def _fits(given: Shape, own: Shape) -> bool:
    """An old file's four numbers fit any shape that they equal once ones are put before it."""
    return given == own or (len(own) < 4 and given == (1,) * (4 - len(own)) + own)
