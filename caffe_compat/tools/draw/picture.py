"""A net's prototxt as an SVG or PNG file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeCompatError
from caffe_compat.export.dataless import build_without_data
from caffe_compat.export.input_shape import InputShapes
from caffe_compat.files import atomic_write
from caffe_compat.net.build import kept_layers
from caffe_compat.net.state import NetState
from caffe_compat.proto import Document
from caffe_compat.tools.draw.boxes import Shape, make_boxes
from caffe_compat.tools.draw.compose import Composer
from caffe_compat.tools.draw.png import as_png
from caffe_compat.tools.draw.svg import as_svg

FORMATS = (".svg", ".png")
DIRECTIONS = ("TB", "LR")


def draw_net(
    document: Document,
    out: str | os.PathLike[str],
    rankdir: str = "TB",
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    shapes: InputShapes | None = None,
) -> list[str]:
    """Write the picture; the name's end says which format. Returns notes, e.g. why no shapes are shown.

    ``rankdir``: "TB", from top to bottom, or "LR", from left to right. ``phase``: "ALL" draws the layers of every
    phase, level and stage, as Caffe's draw_net.py does unless told otherwise. ``shapes``: of the tops of data layers.
    A net that cannot be built (of unknown layers, say) is drawn too, without shapes.
    """
    path = Path(out)
    if path.suffix.lower() not in FORMATS:
        raise CaffeCompatError(f"{path}: the name's end says the format; accepted: {', '.join(FORMATS)}")
    if rankdir not in DIRECTIONS:
        raise CaffeCompatError(f"rankdir is {rankdir!r}; accepted: {', '.join(DIRECTIONS)}")
    layers: dict[int, Any] = {}
    tops: dict[int, dict[str, Shape]] = {}
    notes: list[str] = []
    for one in ("TEST", "TRAIN") if phase == "ALL" else (phase,):
        kept = kept_layers(document, NetState.of(document.message, one, level, stages))
        found, more = _top_shapes(document, one, level, stages, shapes)
        layers.update(kept)
        tops.update(zip((index for index, _ in kept), found, strict=False))  # none where the net cannot be built
        notes += [note for note in more if note not in notes]
    if phase == "ALL":
        layers = dict(enumerate(document.message.layer))
    boxes, links = make_boxes(list(layers.values()), [tops.get(index, {}) for index in layers])
    scene = Composer(boxes, links, rankdir == "LR", document.message.name or Path(document.source).stem).compose()
    with atomic_write(path) as file:
        file.write(as_png(scene) if path.suffix.lower() == ".png" else as_svg(scene).encode("utf-8"))
    return notes


def _top_shapes(
    document: Document, phase: str, level: int, stages: Sequence[str], shapes: InputShapes | None
) -> tuple[list[dict[str, Shape]], list[str]]:
    """The shapes of each layer's tops; none, and why, where the net cannot be built."""
    try:
        net = build_without_data(document, phase, level, stages, shapes)
    except CaffeCompatError as error:
        return [], [f"drawn without shapes, because the net cannot be built: {error}"]
    return [dict(zip(node.tops, node.top_shapes, strict=True)) for node in net.nodes], []
