"""A scene as pixels, drawn with Pillow: larger than it will be, and then made smaller, so that lines are smooth."""

from __future__ import annotations

import io
import math
from typing import Any

from caffe_compat.errors import CaffeCompatError
from caffe_compat.tools.draw.scene import Curve, Point, Scene, Text

_LINE = "#7d8790"
_STEPS = 16
_MOST_PIXELS = 60e6


def as_png(scene: Scene, scale: float = 1.5) -> bytes:
    """The content of the file, ``scale`` pixels for each of the scene (less where the picture would be too large)."""
    from PIL import Image, ImageDraw

    area = max(scene.width * scene.height, 1.0)
    drawn = min(2 * scale, math.sqrt(_MOST_PIXELS / area))
    image = Image.new("RGB", (math.ceil(scene.width * drawn), math.ceil(scene.height * drawn)), "white")
    brush = ImageDraw.Draw(image)
    for curve in scene.curves:
        _curve(brush, curve, drawn)
    for box in scene.rectangles:
        corners = (box.x * drawn, box.y * drawn, (box.x + box.width) * drawn, (box.y + box.height) * drawn)
        brush.rounded_rectangle(corners, 3 * drawn, box.fill, box.line, max(1, round(drawn)))
    for text in scene.texts:
        _text(brush, text, drawn)
    small = image.resize((math.ceil(image.width / 2), math.ceil(image.height / 2)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return file.getvalue()


def _curve(brush: Any, curve: Curve, scale: float) -> None:
    points = list(curve.points[:2])
    for i in range(2, len(curve.points), 3):
        corners = (points[-1], *curve.points[i : i + 3])
        points += [_bezier(corners, step / _STEPS) for step in range(1, _STEPS + 1)]
    brush.line([(x * scale, y * scale) for x, y in points], _LINE, max(1, round(1.4 * scale)), joint="curve")
    if curve.arrow:
        (x, y), (before_x, before_y) = points[-1], curve.points[-2]
        length = math.hypot(x - before_x, y - before_y) or 1.0
        dx, dy = (x - before_x) / length, (y - before_y) / length
        tip = [(x + 7 * dx, y + 7 * dy), (x - 4 * dy, y + 4 * dx), (x + 4 * dy, y - 4 * dx)]
        brush.polygon([(a * scale, b * scale) for a, b in tip], _LINE)


def _bezier(corners: tuple[Point, ...], t: float) -> Point:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    return (
        sum(weight * x for weight, (x, _) in zip(weights, corners, strict=True)),
        sum(weight * y for weight, (_, y) in zip(weights, corners, strict=True)),
    )


def _text(brush: Any, text: Text, scale: float) -> None:
    from PIL import ImageFont

    try:
        font = ImageFont.load_default(text.size * scale)
    except (ImportError, TypeError) as error:
        raise CaffeCompatError(
            "this Pillow cannot draw letters of every size, because it lacks FreeType; write an .svg, or install "
            "Pillow 10.1 or newer with pip"
        ) from error
    anchor = "mm" if text.middle else "lm"
    stroke = 0.35 * scale if text.bold else 0
    brush.text((text.x * scale, text.y * scale), text.text, text.colour, font, anchor, stroke_width=stroke)
