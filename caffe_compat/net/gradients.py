"""Pass: where gradients flow (as the backward half of Caffe's Net::Init).

Caffe computes a gradient only below a loss, above something that learns, and not through a bottom with
``propagate_down: false``; ``force_backward`` opens everything but labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caffe_compat.errors import NetError
from caffe_compat.net.node import Node

_FORCED: dict[str, tuple[int, ...]] = {
    "Accuracy": (0, 1, 2), "ArgMax": (0,), "BatchReindex": (1,), "Embed": (0,), "Filter": (-1,), "InfogainLoss": (2,),
    "Threshold": (0,),
}  # fmt: skip
"""Bottoms that can have no gradient, and of which force_backward asks for one nevertheless."""
_LABELS = dict.fromkeys(
    ("HingeLoss", "LSTM", "MultinomialLogisticLoss", "RNN", "SigmoidCrossEntropyLoss", "SoftmaxWithLoss"), (1,)
)
_WITHOUT_GRADIENT = {**_FORCED, **_LABELS, "InfogainLoss": (1, 2), "LSTMUnit": (2,)}
"""Bottoms of Caffe's layers whose backward pass ends the program when it is asked for their gradient."""


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
        node.needs_backward = any(node.gradient_weights) or any(top in under_loss for top in node.tops)
        under_loss.difference_update(node.tops)
        if node.needs_backward:
            under_loss.update(name for i, name in enumerate(node.bottoms) if i not in node.cut_bottoms)


def freeze_blobs(nodes: Sequence[Node], force_backward: bool) -> None:
    """Blobs with ``lr_mult: 0`` get no gradient unless ``force_backward``.

    In a layer with ``whole_backward`` they get one, as soon as anything in it or below it is learned.
    """
    for node, _, needed in _needs(nodes):
        if force_backward or (needed and node.layer.whole_backward):
            continue
        for spec, blob in zip(node.param.param, node.layer.blobs, strict=False):
            if spec.lr_mult == 0:
                blob.requires_grad_(False)


def _needs(nodes: Sequence[Node]) -> Iterator[tuple[Node, list[bool], bool]]:
    """For each node: which bottoms depend on something that is learned, and whether it or one of them does."""
    needing: set[str] = set()
    for node in nodes:
        specs, bottoms = node.param.param, [bottom in needing for bottom in node.bottoms]
        needed = any(bottoms) or any(i >= len(specs) or specs[i].lr_mult for i in range(len(node.layer.blobs)))
        if needed:
            needing.update(node.tops)
        yield node, bottoms, needed


def check_backward(nodes: Sequence[Node], force_backward: bool) -> None:
    """Refuse a training in which Caffe's backward pass would end the program. Raises NetError that names the layer."""
    if not force_backward and not any(node.is_loss for node in nodes):
        return
    for node, bottoms, needed in _needs(nodes):
        runs = needed and node.needs_backward
        asked = [i for i, wanted in enumerate(list(node.param.propagate_down) or bottoms) if wanted and runs]
        with node.named():
            _refuse_asked(node, asked, force_backward)


def _refuse_asked(node: Node, asked: list[int], force_backward: bool) -> None:
    count = len(node.bottoms)
    without = {i % count for i in _WITHOUT_GRADIENT.get(node.type, ()) if i < count}
    forced = {i % count for i in _FORCED.get(node.type, ()) if i < count and force_backward}
    for i in sorted(forced.union(without.intersection(asked))):
        said = "propagate_down: true" if node.param.propagate_down else "what is learned below it"
        raise NetError(
            f"the training asks for a gradient of bottom {i} ('{node.bottoms[i]}'), because of "
            f"{'force_backward' if i in forced else said}; the layer has none; accepted: "
            + ("no force_backward" if i in forced else f"propagate_down: false for bottom {i}")
        )
