"""Pass 3: where the nodes stand across their rank: near their neighbours, in order, and not upon each other.

Each rank in turn is placed best for the ranks beside it: min sum_i (x_i - wish_i)^2 with x_(i+1) - x_i >= gap_i.
With y_i = x_i - (gap_0 + ... + gap_(i-1)) that is isotonic regression, which pooling of adjacent violators solves.
"""

from __future__ import annotations

from collections.abc import Sequence

from caffe_compat.tools.draw.ranks import Ranked

_SWEEPS = 25  # odd: the last one goes down
_STRAIGHT = 8.0  # how much more a bend between two points of a link counts than one at a box


def place_across(ranked: Ranked, sizes: Sequence[float], gap: float, ports: Sequence[float]) -> list[float]:
    """The middle of every node across its rank, so that the least edge is at 0.

    ``sizes``: across, of every node. ``ports``: where, from the middle of its box, each link leaves.
    """
    places = [0.0] * len(ranked.rank)
    for row in ranked.rows:
        _spread(row, places, sizes, gap, [0.0] * len(row))
    above, below = _wishes(ranked, ports)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in ranked.rows if down else reversed(ranked.rows):
            _spread(row, places, sizes, gap, [_wish(node, (above if down else below)[node], places) for node in row])
    least = min((places[node] - sizes[node] / 2 for row in ranked.rows for node in row), default=0.0)
    return [place - least for place in places]


Wish = tuple[int, float, float]


def _wishes(ranked: Ranked, ports: Sequence[float]) -> tuple[list[list[Wish]], list[list[Wish]]]:
    """For every node, of those above it and of those below: (node, shift, weight), to stand at its place + shift."""
    above: list[list[Wish]] = [[] for _ in ranked.rank]
    below: list[list[Wish]] = [[] for _ in ranked.rank]
    for upper, lower, link in ranked.edges:
        shift = ports[link] if upper < ranked.boxes else 0.0
        weight = _STRAIGHT if upper >= ranked.boxes and lower >= ranked.boxes else 1.0
        above[lower].append((upper, shift, weight))
        below[upper].append((lower, -shift, weight))
    return above, below


def _wish(node: int, near: Sequence[Wish], places: Sequence[float]) -> float:
    if not near:
        return places[node]
    return sum((places[other] + shift) * weight for other, shift, weight in near) / sum(weight for *_, weight in near)


def _spread(
    row: Sequence[int], places: list[float], sizes: Sequence[float], gap: float, wishes: Sequence[float]
) -> None:
    """Put the nodes of a rank as near to their wishes as their order and sizes allow."""
    shifts, shift = [], 0.0
    for i, node in enumerate(row):
        shift += (sizes[row[i - 1]] + sizes[node]) / 2 + gap if i else 0.0
        shifts.append(shift)
    blocks: list[list[float]] = []  # sum of wishes, number of nodes
    for wish, shift in zip(wishes, shifts, strict=True):
        blocks.append([wish - shift, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    found = [total / count for total, count in blocks for _ in range(int(count))]
    for node, value, shift in zip(row, found, shifts, strict=True):
        places[node] = value + shift
