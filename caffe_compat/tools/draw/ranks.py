"""Pass 2: every box gets a rank below those of its bottoms, and an order within the rank with few crossings.

A link to a rank further down runs through points in the ranks between; links of one blob share them. (K. Sugiyama,
S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures", 1981.)
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from caffe_compat.tools.draw.boxes import Link

_SWEEPS = 12


@dataclass
class Ranked:
    """Nodes 0 to ``boxes`` - 1 are the boxes, the others points of links.

    ``rank``: of every node; ``rows``: the nodes of each rank, in order; ``edges``: (upper node, lower node, link).
    """

    boxes: int
    rank: list[int]
    rows: list[list[int]] = field(default_factory=list)
    edges: list[tuple[int, int, int]] = field(default_factory=list)

    def neighbours(self, down: bool) -> list[list[int]]:
        """The nodes above each node (``down``: as one goes down), or below it."""
        found: list[list[int]] = [[] for _ in self.rank]
        for upper, lower, _ in self.edges:
            found[lower if down else upper].append(upper if down else lower)
        return found


def rank_boxes(count: int, links: Sequence[Link]) -> Ranked:
    """Ranks, points and order of ``count`` boxes, whose links lead from lower to higher numbers."""
    ranked = Ranked(count, _ranks(count, links))
    for index, link in enumerate(links):
        _route(ranked, index, link)
    ranked.rows = [[] for _ in range(max(ranked.rank, default=-1) + 1)]
    for node in _depth_first(ranked):
        ranked.rows[ranked.rank[node]].append(node)
    _reduce_crossings(ranked)
    return ranked


def _ranks(count: int, links: Sequence[Link]) -> list[int]:
    """The longest way from a source; a source itself stands right above its first reader."""
    rank = [0] * count
    targets: list[list[int]] = [[] for _ in range(count)]
    fed = [False] * count
    for link in links:
        targets[link.source] += link.targets
    for box in range(count):
        for target in targets[box]:
            fed[target] = True
            rank[target] = max(rank[target], rank[box] + 1)
    for box in range(count):
        if not fed[box] and targets[box]:
            rank[box] = min(rank[target] for target in targets[box]) - 1
    return rank


def _route(ranked: Ranked, index: int, link: Link) -> None:
    """Edges from the source to each target, over one chain of points."""
    start = ranked.rank[link.source]
    chain = [link.source]
    for target in dict.fromkeys(link.targets):
        while len(chain) < ranked.rank[target] - start:
            ranked.rank.append(start + len(chain))
            ranked.edges.append((chain[-1], len(ranked.rank) - 1, index))
            chain.append(len(ranked.rank) - 1)
        ranked.edges.append((chain[ranked.rank[target] - start - 1], target, index))


def _depth_first(ranked: Ranked) -> list[int]:
    """All nodes, branch after branch: an order to start from."""
    below, above = ranked.neighbours(down=False), ranked.neighbours(down=True)
    found: dict[int, None] = {}
    for root in (node for node in range(len(ranked.rank)) if not above[node]):
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found[node] = None
                waiting += reversed(below[node])
    return list(found)


def _reduce_crossings(ranked: Ranked) -> None:
    """Sort each rank by the middle of the neighbours above, then below, and so on; the best order stays."""
    best, fewest = [list(row) for row in ranked.rows], _crossings(ranked)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        down = sweep % 2 == 0
        neighbours = ranked.neighbours(down)
        for row in ranked.rows if down else reversed(ranked.rows):
            place = {node: i for some in ranked.rows for i, node in enumerate(some)}
            weights = {
                node: sum(place[other] for other in neighbours[node]) / len(neighbours[node])
                if neighbours[node]
                else place[node]
                for node in row
            }
            row.sort(key=lambda node: weights[node])
        crossings = _crossings(ranked)
        if crossings < fewest:
            best, fewest = [list(row) for row in ranked.rows], crossings
    ranked.rows = best


def _crossings(ranked: Ranked) -> int:
    place = {node: i for row in ranked.rows for i, node in enumerate(row)}
    by_rank: dict[int, list[tuple[int, int]]] = {}
    for upper, lower, _ in ranked.edges:
        by_rank.setdefault(ranked.rank[upper], []).append((place[upper], place[lower]))
    total = 0
    for pairs in by_rank.values():
        seen: list[int] = []
        for _, lower in sorted(pairs):
            total += len(seen) - bisect_right(seen, lower)
            insort(seen, lower)
    return total
