"""Pass: BatchNorm followed by Scale, run as one operator.

Algebra: BatchNorm gives n = (x - mean) / std, Scale gives y = gamma * n + beta over the same channels. Both together
are torch's batch_norm with weight gamma and bias beta: one pass over memory instead of three. The blobs, the
statistics and the gradients are the same; only the blob n is never made, so the net does not fuse when it keeps
blobs, when somebody else reads n, when a loss weight or propagate_down is set in between, or when a blob is a view of
another layer's (share_mode PERMISSIVE).
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from caffe_compat.layers.base import Layer
from caffe_compat.layers.batch_norm import BatchNorm
from caffe_compat.layers.scale import Scale
from caffe_compat.net.node import Node


class NormalizeAndScale(Layer):
    """y = gamma * (x - mean) / std + beta, the BatchNorm and the Scale of two layers in one call."""

    autocasts = True

    def __init__(self, norm: BatchNorm, scale: Scale) -> None:
        super().__init__()
        self._pair = (norm, scale)  # in a tuple, so that they are no submodules: the net owns them

    def forward(self, x: Tensor) -> Tensor:
        norm, scale = self._pair
        return norm.normalize(x, scale.weight, scale.bias)


def fuse(nodes: list[Node], outputs: list[str]) -> list[Node]:
    """The nodes to run when no blob is kept, each fusable pair replaced by one node."""
    fused: list[Node] = []
    i = 0
    while i < len(nodes):
        if i + 1 < len(nodes) and _fits(nodes[i], nodes[i + 1], nodes[i + 2 :], outputs):
            fused.append(_pair(nodes[i], nodes[i + 1]))
            i += 2
        else:
            fused.append(nodes[i])
            i += 1
    return fused


def _fits(norm: Node, scale: Node, rest: list[Node], outputs: list[str]) -> bool:
    if not (isinstance(norm.layer, BatchNorm) and isinstance(scale.layer, Scale)):
        return False
    between = norm.tops[0]
    if scale.bottoms != [between] or (scale.tops[0] != between and _read_later(between, rest, outputs)):
        return False
    if norm.is_loss or scale.cut_bottoms or norm.needs_backward != scale.needs_backward:
        return False
    axes = len(norm.bottom_shapes[0])
    channels = axes > 1 and norm.layer.blobs[0].shape == scale.layer.blobs[0].shape and scale.layer.axis % axes == 1
    return channels and not norm.reshaped and not scale.reshaped


def _read_later(name: str, rest: list[Node], outputs: list[str]) -> bool:
    return name in outputs or any(name in node.bottoms for node in rest)


def _pair(norm: Node, scale: Node) -> Node:
    assert isinstance(norm.layer, BatchNorm)
    assert isinstance(scale.layer, Scale)
    between = norm.tops[0]
    free = (*norm.free, *scale.free)
    layer = NormalizeAndScale(norm.layer, scale.layer)
    unmade = between not in (*norm.bottoms, *scale.tops)
    return replace(
        scale, layer=layer, bottoms=norm.bottoms, cut_bottoms=norm.cut_bottoms,
        free=tuple(name for name in dict.fromkeys(free) if not (unmade and name == between)),
    )  # fmt: skip
