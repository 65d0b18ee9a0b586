"""Pass: the weight with which each top counts in the net's loss (as Caffe's Layer::SetLossWeights)."""

from __future__ import annotations

from caffe_compat.errors import NetError
from caffe_compat.net.node import Node


def set_loss_weights(node: Node) -> None:
    """Fill ``node.loss_weights``, one per top. Raises NetError when the prototxt gives another number of them."""
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
    node.loss_weights = given or [0.0] * len(node.tops)
