"""Running nodes one after the other: what ``Net.forward`` does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.errors import CaffeCompatError, NetError
from caffe_compat.net.misfit import misfit
from caffe_compat.net.node import AUTOMATIC, Node, located


def run_nodes(nodes: Sequence[Node], blobs: dict[str, Tensor], keep: bool = False) -> Tensor:
    """Run ``nodes`` on ``blobs``, which get their tops and, unless ``keep``, lose what no one reads any more.

    Returns the total loss: the sum of the tops that have a loss weight, times it. Raises NetError that names the
    layer whose bottoms do not fit.
    """
    losses: list[Tensor] = []
    node = nodes[0] if nodes else None
    try:
        for node in nodes:
            if node.type == "Input":
                continue
            tops = node.run([blobs[name] for name in node.bottoms])
            for i, (name, top) in enumerate(zip(node.tops, tops, strict=True)):
                blobs[name] = top
                if node.loss_weights[i] != 0:
                    losses.append(_weighted(top, node.loss_weights[i], node.gradient_weights[i]))
            if not keep:
                for name in node.free:
                    del blobs[name]
    except CaffeCompatError as error:
        assert node is not None
        raise located(error, node.name, node.type, node.where) from error
    except (RuntimeError, TypeError) as error:
        if node is None or not (found := misfit(node, blobs)):
            raise
        raise located(NetError(found), node.name, node.type, node.where) from error
    blobs.pop(AUTOMATIC, None)
    return sum(losses[1:], losses[0]) if losses else torch.zeros(())


def _weighted(top: Tensor, weight: float, gradient_weight: float) -> Tensor:
    total = top if top.dim() == 0 else top.sum()
    if weight != gradient_weight:
        rest = total.detach() * (weight - gradient_weight)
        return rest + total * gradient_weight if gradient_weight else rest
    return total if weight == 1 else total * weight
