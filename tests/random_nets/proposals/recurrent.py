"""LSTM, RNN, LSTMUnit."""

from __future__ import annotations

from tests.random_nets.dice import Dice
from tests.random_nets.proposals.sketch import Proposal, Sketch, of_type


@of_type("LSTM", "RNN")
def recurrent(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take(3, 4)
    steps = shape[:2]
    bottoms = [name, s.ask("sequence", steps)]
    if d.chance(30):
        bottoms.append(s.ask("smooth", (*steps[1:], *d.shape(1, 4))))
    size = d.number(1, 4)
    exposed = {"LSTM": 2, "RNN": 1}[kind] if d.chance(30) else 0
    bottoms += [s.ask("smooth", (1, *steps[1:], size)) for _ in range(exposed)]
    fields = f"num_output: {size}" + (" expose_hidden: true" if exposed else "")
    return Proposal(bottoms, f"recurrent_param {{ {fields} }}", 1 + exposed)


@of_type("LSTMUnit")
def lstm_unit(d: Dice, s: Sketch, kind: str) -> Proposal:
    streams, size = d.number(1, 4), d.number(1, 3)
    shapes = [(1, streams, size), (1, streams, 4 * size)]
    return Proposal([s.same(shapes[0]), s.same(shapes[1]), s.ask("flags", (1, streams))], "", 2)
