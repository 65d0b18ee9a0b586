"""What a proposal is made of, and the table of proposals by layer type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.random_nets.case import Shape
from tests.random_nets.dice import Dice


@dataclass
class Proposal:
    """The names of a layer's bottoms, its fields, how many tops it makes, and loss weights that it must have."""

    bottoms: list[str]
    text: str = ""
    tops: int = 1
    loss_weights: list[str] = field(default_factory=list)


class Sketch:
    """The blobs so far. ``take`` chooses a bottom, ``ask`` adds an input for the layer that is being proposed."""

    def __init__(self, dice: Dice, blobs: dict[str, Shape]) -> None:
        self.dice = dice
        self.blobs = blobs
        self.asked: list[tuple[str, Shape, str]] = []

    def take(self, *axes: int) -> tuple[str, Shape]:
        """A blob, mostly the newest, if possible with one of these numbers of axes; else a new input."""
        names = [name for name, shape in self.blobs.items() if not axes or len(shape) in axes][::-1]
        if not names or (axes and self.dice.chance(10)):
            shape = self.dice.shape(axes[0] if axes else None)
            return self.ask("smooth", shape), shape
        name = names[0] if self.dice.chance(60) else self.dice.of(names)
        return name, self.blobs[name]

    def same(self, shape: Shape, kind: str = "smooth") -> str:
        """A blob of this shape, or a new input."""
        names = [name for name, other in self.blobs.items() if other == shape]
        return self.dice.of(names) if names and self.dice.chance(50) else self.ask(kind, shape)

    def ask(self, kind: str, shape: Shape) -> str:
        name = f"b{len(self.blobs) + len(self.asked)}"
        self.asked.append((name, shape, kind))
        return name


Propose = Callable[[Dice, Sketch, str], Proposal]
PROPOSALS: dict[str, Propose] = {}


def of_type(*types: str) -> Callable[[Propose], Propose]:
    def register(propose: Propose) -> Propose:
        PROPOSALS.update(dict.fromkeys(types, propose))
        return propose

    return register
