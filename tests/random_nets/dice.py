"""What the drawing needs of hypothesis, in few words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Dice:
    """Draws that shrink to the first choice, the smallest number, and to "no"."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw

    def number(self, least: int, most: int) -> int:
        return int(self.draw(st.integers(least, most)))

    def of(self, choices: Sequence[T]) -> T:
        return self.draw(st.sampled_from(choices))

    def any_of(self, choices: Sequence[T]) -> T:
        """As ``of``, without a liking for the first ones."""
        return choices[self.number(0, 2**16) * 7919 % len(choices)]

    def chance(self, percent: int) -> bool:
        return self.number(0, 99) >= 100 - percent

    def some(self, *texts: str, percent: int = 50) -> str:
        """Each text with this probability, joined."""
        return " ".join(text for text in texts if self.chance(percent))

    def axis(self, axes: int, least: int = 0) -> int:
        """An axis from ``least`` on, counted from either end; once in a while one that is not there."""
        if self.chance(3):
            return self.of([axes, -axes - 1])
        axis = self.number(least, max(axes - 1, least))
        return axis - axes if self.chance(40) else axis

    def shape(self, axes: int | None = None, most: int = 7) -> tuple[int, ...]:
        """Sizes of 1 to ``most``, of at most some 500 elements in all."""
        count = self.of([4, 4, 2, 3, 1, 5, 4]) if axes is None else axes
        sizes: list[int] = []
        room = 500
        for _ in range(count):
            sizes.append(self.number(1, max(1, min(most, room))))
            room //= sizes[-1]
        return tuple(sizes)

    def real(self) -> str:
        return self.of(["1", "0.5", "2", "-1", "-0.7", "0.3", "1.5", "0", "-2"])
