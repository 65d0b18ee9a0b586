"""Pass: where gradients flow (as the backward half of Caffe's Net::Init).

Caffe computes a gradient only below a loss, above something that learns, and not through a bottom with
``propagate_down: false``; ``force_backward`` opens everything but labels.
"""

from __future__ import annotations

from caffe_compat.errors import NetError
from caffe_compat.net.node import Node


def check_propagate_down(node: Node) -> None:
    """``propagate_down`` is given for no bottom or for each. Raises NetError."""
    count = len(node.param.propagate_down)
    if count not in (0, len(node.bottoms)):
        raise NetError(
            f"propagate_down is given {count} time(s) for {len(node.bottoms)} bottom(s); accepted: none, or one each"
        )


def cut_gradients(nodes: list[Node], force_backward: bool) -> None:
    """Set ``cut_bottoms`` and ``needs_backward`` of every node."""
    for node in nodes:
        labels = {i % len(node.bottoms) for i in node.layer.constant_bottoms if node.bottoms}
        stopped = {i for i, flows in enumerate(node.param.propagate_down) if not flows and not force_backward}
        node.cut_bottoms = tuple(sorted(labels | stopped))
    if force_backward or not any(node.is_loss for node in nodes):
        return
    under_loss: set[str] = set()
    for node in reversed(nodes):
        node.needs_backward = node.is_loss or any(top in under_loss for top in node.tops)
        under_loss.difference_update(node.tops)
        if node.needs_backward:
            under_loss.update(name for i, name in enumerate(node.bottoms) if i not in node.cut_bottoms)


def freeze_blobs(node: Node, force_backward: bool) -> None:
    """Blobs with ``lr_mult: 0`` get no gradient unless ``force_backward``."""
    for spec, blob in zip(node.param.param, node.layer.blobs, strict=False):
        if spec.lr_mult == 0 and not force_backward:
            blob.requires_grad_(False)
