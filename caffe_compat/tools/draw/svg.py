"""A scene as SVG."""

from __future__ import annotations

from xml.sax.saxutils import escape

from caffe_compat.tools.draw.scene import Curve, Rectangle, Scene, Text

_LINE = "#7d8790"


def as_svg(scene: Scene) -> str:
    """The text of the file."""
    size = f'width="{scene.width:.0f}" height="{scene.height:.0f}" viewBox="0 0 {scene.width:.0f} {scene.height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif">',
            f"<title>{escape(scene.title)}</title>",
            '<marker id="tip" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="8" markerHeight="8"',
            f' orient="auto" markerUnits="userSpaceOnUse"><path d="M0 0 L8 4 L0 8 z" fill="{_LINE}"/></marker>',
            '<rect width="100%" height="100%" fill="white"/>',
            *map(_curve, scene.curves),
            *map(_rectangle, scene.rectangles),
            *map(_text, scene.texts),
            "</svg>",
            "",
        ]
    )


def _curve(curve: Curve) -> str:
    points = [f"{x:.1f} {y:.1f}" for x, y in curve.points]
    path = f"M{points[0]} L{points[1]}" + "".join(f" C{', '.join(points[i : i + 3])}" for i in range(2, len(points), 3))
    tip = ' marker-end="url(#tip)"' if curve.arrow else ""
    return f'<path d="{path}" fill="none" stroke="{_LINE}" stroke-width="1.4"{tip}/>'


def _rectangle(box: Rectangle) -> str:
    return (
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="3" '
        f'fill="{box.fill}" stroke="{box.line}"/>'
    )


def _text(text: Text) -> str:
    bold = ' font-weight="bold"' if text.bold else ""
    anchor = ' text-anchor="middle"' if text.middle else ""
    return (
        f'<text x="{text.x:.1f}" y="{text.y:.1f}" dy="0.35em" font-size="{text.size:g}" fill="{text.colour}"'
        f"{anchor}{bold}>{escape(text.text)}</text>"
    )
