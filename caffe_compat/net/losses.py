"""Passes: the weight with which each top counts in the net's loss (as Caffe's Layer::SetLossWeights).

A top with a loss weight that other layers read, too, is special in Caffe. Where the prototxt gives its weight, that
goes to the Split layer which Caffe inserts, and the layer itself is left without any loss weights: those of its other
tops are lost, and a loss layer takes its usual 1 once more, which counts in the value of the loss alone. Where the
weight is the usual 1 of a loss layer, the gradient that the readers give takes the place of its own.

Differs from Caffe: from its second pass on, the value there is weighted with what the backward pass left in the
top's diff; here it stays that of the first pass.
"""

from __future__ import annotations

from caffe_compat.errors import NetError
from caffe_compat.net.node import Node


def set_loss_weights(node: Node) -> None:
    """Fill ``node.loss_weights``, one per top.

    Raises NetError when the prototxt gives another number of them, or one to a top without values.
    """
    given = list(node.param.loss_weight)
    if not given and node.layer.is_loss:
        rest = len(node.tops) - 1
        given = [1.0] + [0.0] * (rest if node.layer.implicit_loss_weights else 0)
    if given and len(given) != len(node.tops):
        all_of_them = " ".join(["loss_weight: 1", *["loss_weight: 0"] * (len(node.tops) - 1)])
        raise NetError(
            f"loss_weight is given {len(given)} time(s) for {len(node.tops)} top(s); accepted: none, or one per top "
            f"(for a loss with further tops: {all_of_them})"
        )
    for name, shape, weight in zip(node.tops, node.top_shapes, given, strict=False):
        if weight and 0 in shape:
            raise NetError(
                f"top '{name}' has a loss weight, but its shape {list(shape)} holds no value to be a loss; give the "
                "net's inputs sizes of 1 or more"
            )
    node.loss_weights = given or [0.0] * len(node.tops)
    node.gradient_weights = list(node.loss_weights)


def weigh_read_losses(nodes: list[Node]) -> None:
    """Change the weights of tops that are losses and bottoms, as Caffe does."""
    makers: dict[str, tuple[Node, int]] = {}
    read: dict[int, set[int]] = {}
    for node in nodes:
        for bottom in node.bottoms:
            maker, top = makers[bottom]
            read.setdefault(maker.index, set()).add(top)
        makers.update((name, (node, i)) for i, name in enumerate(node.tops))
    for node in nodes:
        tops = [i for i in sorted(read.get(node.index, ())) if node.loss_weights[i]]
        if tops and not node.param.loss_weight:
            node.gradient_weights = [0.0 if i in tops else weight for i, weight in enumerate(node.gradient_weights)]
        elif tops:
            node.gradient_weights = [weight if i in tops else 0.0 for i, weight in enumerate(node.loss_weights)]
            node.loss_weights = list(node.gradient_weights)
            node.loss_weights[0] += node.layer.is_loss
