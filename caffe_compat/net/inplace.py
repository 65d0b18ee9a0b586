"""Pass: which in-place layers may really write into their bottom's memory.

A layer whose top is its bottom saves memory that way, but only where nobody else needs the old values: not the
backward pass of the layer that made them, not the caller who gave them, no view of them. (Another layer that reads
them is refused in ``wiring``.)
"""

from __future__ import annotations

from caffe_compat.net.node import Node


def allow_inplace(nodes: list[Node]) -> None:
    """Set ``layer.overwrites`` where top 0 is bottom 0, and ``layer.inplace`` where that is safe to be done."""
    makers: dict[str, Node] = {}
    for node in nodes:
        node.layer.overwrites = node.bottoms[:1] == node.tops[:1] and bool(node.tops)
        if node.layer.runs_inplace and node.layer.overwrites:
            maker = makers[node.bottoms[0]]
            node.layer.inplace = not maker.layer.saves_top and not maker.is_loss
        for top in node.tops:
            makers[top] = node
