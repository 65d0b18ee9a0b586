"""How many bottoms or tops a layer takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arity:
    """A range of counts; ``most`` None means no upper limit."""

    least: int
    most: int | None

    def accepts(self, count: int) -> bool:
        return count >= self.least and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.least == self.most:
            return f"exactly {self.least}"
        return f"at least {self.least}" if self.most is None else f"{self.least} to {self.most}"


@dataclass(frozen=True)
class SameAsBottoms(Arity):
    """As many tops as bottoms (Caffe's EqualNumBottomTopBlobs)."""

    least: int = 1
    most: int | None = None

    def __str__(self) -> str:
        return "as many tops as bottoms"


def Exactly(count: int) -> Arity:  # noqa: N802 - reads as a type in a layer's declaration
    return Arity(count, count)


def AtLeast(count: int) -> Arity:  # noqa: N802
    return Arity(count, None)


def Between(least: int, most: int) -> Arity:  # noqa: N802
    return Arity(least, most)
