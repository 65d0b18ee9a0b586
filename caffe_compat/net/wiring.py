"""Passes about names: which top feeds which bottom, what the net's inputs and outputs are, when a blob dies."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from caffe_compat.errors import NetError
from caffe_compat.net.node import AUTOMATIC, Node


class Wiring:
    """The blobs that exist so far while the net is built from top to bottom."""

    def __init__(self) -> None:
        self.made_by: dict[str, str] = {}
        self.unread: set[str] = set()
        self._readers: dict[str, list[str]] = {}  # who reads what a blob holds now

    def connect(
        self,
        layer_name: str,
        bottoms: list[str],
        tops: list[str],
        allows_inplace: bool = True,
        loss_weights: Sequence[float] = (),
    ) -> None:
        """Take a layer's bottoms and add its tops. Raises NetError for an unknown bottom or a top made twice.

        ``loss_weights``: those that the prototxt gives the tops.
        """
        for bottom in bottoms:
            if bottom not in self.made_by:
                raise NetError(self._unknown(bottom))
            self._readers[bottom].append(f"layer '{layer_name}'")
        self.unread.difference_update(bottoms)
        for i, top in enumerate(tops):
            self._check_top(i, top, bottoms, allows_inplace)
            if top != AUTOMATIC:
                self.made_by[top] = layer_name
                self.unread.add(top)
                self._readers[top] = ["its own loss_weight"] if any(loss_weights[i : i + 1]) else []

    def _check_top(self, i: int, top: str, bottoms: list[str], allows_inplace: bool) -> None:
        """Raise NetError for a top that is made already, or that may not be its bottom."""
        in_place = i < len(bottoms) and bottoms[i] == top
        if top in self.made_by and not in_place:
            too = f", or write over it in place (bottom {i} and top {i} both '{top}')" if allows_inplace else ""
            raise NetError(f"top '{top}' is made already, by layer '{self.made_by[top]}'; choose another name{too}")
        if in_place and not allows_inplace:
            raise NetError(f"top and bottom are both '{top}', but the layer cannot work in place; rename the top")
        if in_place and len(self._readers[top]) > 1:
            raise NetError(
                f"top and bottom are both '{top}', but {self._readers[top][0]} reads that blob, too; accepted: in "
                "place where no one else reads what is written over; rename the top, and the bottoms of its readers"
            )

    def _unknown(self, bottom: str) -> str:
        near = difflib.get_close_matches(bottom, self.made_by, n=3, cutoff=0.6)
        hint = (
            f"did you mean {' or '.join(repr(name) for name in near)}?"
            if near
            else (f"blobs made by the layers above: {', '.join(self.made_by) or 'none'}")
        )
        return f"bottom '{bottom}' is made by no layer above this one; {hint}"


def net_inputs(nodes: list[Node]) -> list[str]:
    """The blobs that the caller gives: tops of Input layers, in order."""
    return [top for node in nodes if node.type == "Input" for top in node.tops]


def net_outputs(wiring: Wiring) -> list[str]:
    """Blobs that no layer reads, in Caffe's (alphabetical) order."""
    return sorted(wiring.unread)


def free_after_last_use(nodes: list[Node], outputs: list[str]) -> None:
    """Mark in every node the blobs that can be dropped once it has run."""
    seen = set(outputs)
    for node in reversed(nodes):
        names = dict.fromkeys(name for name in (*node.bottoms, *node.tops) if name != AUTOMATIC)
        node.free = tuple(name for name in names if name not in seen)
        seen.update(names)
