"""Layers that choose rows."""

from __future__ import annotations

from tests.random_nets.dice import Dice
from tests.random_nets.proposals.sketch import Proposal, Sketch, of_type


@of_type("BatchReindex")
def batch_reindex(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    index = s.ask(f"labels {shape[0] if shape else 1}", (d.number(1, 6),))
    return Proposal([name, index])


@of_type("Filter")
def filter_(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    others = [s.same((*shape[:1], *d.shape(2, 3)))] if d.chance(30) else []
    selector = s.ask("flags", (*shape[:1], *[1] * d.number(0, 2)))
    return Proposal([name, *others, selector], "", 1 + len(others))
