"""Pass 4: what there is to see: rectangles, texts and curves, in pixels from the upper left corner."""

from __future__ import annotations

from dataclasses import dataclass, field

Point = tuple[float, float]
SIZE = 13.0  # of letters
SMALL = 11.0
_WIDTH = 0.56  # of an average letter, of its size


@dataclass(frozen=True)
class Rectangle:
    x: float
    y: float
    width: float
    height: float
    fill: str
    line: str


@dataclass(frozen=True)
class Text:
    """``x``: its middle (or its start); ``y``: the middle of its letters."""

    x: float
    y: float
    text: str
    size: float = SIZE
    bold: bool = False
    colour: str = "#1a1a1a"
    middle: bool = True


@dataclass(frozen=True)
class Curve:
    """Straight from point 0 to 1; then cubic Bezier curves over three further points each. ``arrow``: at the end."""

    points: tuple[Point, ...]
    arrow: bool


@dataclass
class Scene:
    """Curves lie below rectangles, and those below texts."""

    width: float
    height: float
    title: str
    curves: list[Curve] = field(default_factory=list)
    rectangles: list[Rectangle] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)


def text_width(text: str, size: float = SIZE, bold: bool = False) -> float:
    """About how wide a text is."""
    return len(text) * size * _WIDTH * (1.08 if bold else 1.0)


def bend(start: Point, end: Point, across: bool) -> tuple[Point, Point, Point]:
    """The further points of a Bezier curve along the ranks; ``across``: ranks run to the right."""
    (x, y), (to_x, to_y) = start, end
    if across:
        middle = (x + to_x) / 2
        return (middle, y), (middle, to_y), end
    middle = (y + to_y) / 2
    return (x, middle), (to_x, middle), end
