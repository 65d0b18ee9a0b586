"""Pass: which in-place layers may really write into their bottom's memory.

A layer whose top is its bottom saves memory that way, but only where nobody else needs the old values: not the
backward pass of the layer that made them, no other reader, not the caller who gave them, no view of them.
"""

from __future__ import annotations

from caffe_compat.net.node import Node


def allow_inplace(nodes: list[Node]) -> None:
    """Set ``layer.inplace`` where it is safe."""
    makers: dict[str, Node] = {}
    readers: dict[str, int] = {}
    for node in nodes:
        for bottom in node.bottoms:
            readers[bottom] = readers.get(bottom, 0) + 1
        if node.layer.runs_inplace and node.bottoms[0] == node.tops[0]:
            maker = makers[node.bottoms[0]]
            node.layer.inplace = not maker.layer.saves_top and readers[node.bottoms[0]] == 1 and not maker.is_loss
        for top in node.tops:
            makers[top] = node
            readers[top] = 0
