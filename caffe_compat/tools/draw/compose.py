"""From boxes, ranks and places to the scene; ranks run down (TB) or to the right (LR)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_compat.layers import LAYERS
from caffe_compat.tools.draw.boxes import Band, Box, Link
from caffe_compat.tools.draw.places import place_across
from caffe_compat.tools.draw.ranks import Ranked, rank_boxes
from caffe_compat.tools.draw.scene import SIZE, SMALL, Curve, Point, Rectangle, Scene, Text, bend, text_width
from caffe_compat.tools.families import family

_BAND, _LINE, _MARGIN, _GAP, _ARROW = 20.0, 15.0, 16.0, 26.0, 17.0
COLOURS = {
    "activations": ("#fdf3c4", "#b59f3b"),
    "convolution": ("#cfe3f7", "#4a7fb5"),
    "normalisation": ("#e3d7f3", "#8566b0"),
    "combination": ("#dfe5e8", "#71818b"),
    "recurrent": ("#cdeeea", "#3d968b"),
    "losses": ("#f9d3cf", "#c0564b"),
    "data": ("#d5efcf", "#5f9c50"),
    "forks": ("#fbe0c3", "#bf8036"),
    "other": ("#eeeeee", "#8c8c8c"),
}
"""Page of the layer documentation -> colours of the box and of its edge."""
_TYPES = {"Pooling": ("#fbe0c3", "#bf8036"), "SPP": ("#fbe0c3", "#bf8036")}


class Composer:
    """Makes the scene of boxes and links."""

    def __init__(self, boxes: Sequence[Box], links: Sequence[Link], across: bool, title: str) -> None:
        self.boxes, self.links, self.across = boxes, links, across
        self.labels = [_label(boxes[link.source], link) for link in links]
        self.side = 1 if across else 0
        self.sizes = [self._size(index) for index in range(len(boxes))]
        self.ranked: Ranked = rank_boxes(len(boxes), links)
        self.scene = Scene(0, 0, title)

    def compose(self) -> Scene:
        sizes = [size[self.side] for size in self.sizes] + [2.0] * (len(self.ranked.rank) - len(self.boxes))
        gap = 14.0 if self.across else _GAP
        ports = [self._port(index) for index in range(len(self.links))]
        self.middles = [place + _MARGIN for place in place_across(self.ranked, sizes, gap, ports)]
        self._place_rows()
        for index, box in enumerate(self.boxes):
            self._draw_box(index, box)
        for index in range(len(self.links)):
            self._draw_link(index)
        ends = [m + s / 2 for m, s in zip(self.middles, sizes, strict=True)]
        across_end, along_end = max(ends, default=0) + _MARGIN, self.row_ends[-1] + _MARGIN
        self.scene.width, self.scene.height = (along_end, across_end) if self.across else (across_end, along_end)
        return self.scene

    # ---- sizes and rows

    def _size(self, index: int) -> tuple[float, float]:
        box = self.boxes[index]
        widths = [max(text_width(band.name, bold=True), text_width(_second(band), SMALL)) for band in box.bands[:1]]
        widths += [text_width(f"{band.name}  {_second(band)}", SMALL) for band in box.bands[1:]]
        own = [self.labels[i] for i, link in enumerate(self.links) if link.source == index and link.targets]
        ports = len(own) * (max(text_width(label, SMALL) for label in own) + 10) if len(own) > 1 else 0.0
        height = _BAND + _LINE + 2 + (len(box.bands) - 1) * _BAND
        if self.across:
            return max(widths) + 20, max(height, len(own) * 16.0)
        return max(*widths, ports) + 20, height

    def _place_rows(self) -> None:
        """Where each rank starts and ends, with room for the labels before the next one."""
        self.row_starts: list[float] = []
        self.row_ends: list[float] = []
        start = _MARGIN
        for row in self.ranked.rows:
            boxes = [node for node in row if node < len(self.boxes)]
            depth = max((self.sizes[node][0 if self.across else 1] for node in boxes), default=0.0)
            self.row_starts.append(start)
            self.row_ends.append(start + depth)
            labels = [self.labels[i] for i, link in enumerate(self.links) if link.source in boxes and link.targets]
            lead = max((self._lead(label) for label in labels), default=0.0)
            start += depth + lead + 2 * _ARROW
        self.row_starts = self.row_starts or [0.0]
        self.row_ends = self.row_ends or [0.0]

    def _lead(self, label: str) -> float:
        """How far a link runs straight, beside or below its label."""
        if not label:
            return 4.0
        return text_width(label, SMALL) + 12 if self.across else 18.0

    # ---- drawing

    def _at(self, along: float, across: float) -> Point:
        return (along, across) if self.across else (across, along)

    def _draw_box(self, index: int, box: Box) -> None:
        width, height = self.sizes[index]
        along = (self.row_starts[self.ranked.rank[index]] + self.row_ends[self.ranked.rank[index]]) / 2
        x, y = self._at(along, self.middles[index])
        left, top = x - width / 2, y - height / 2
        first = height - (len(box.bands) - 1) * _BAND
        for i, band in enumerate(box.bands):
            fill, line = colours(band.type)
            depth = _BAND if i else first
            self.scene.rectangles.append(Rectangle(left, top, width, depth, fill, line))
            if i:
                self.scene.texts.append(Text(x, top + depth / 2, f"{band.name}  {_second(band)}", SMALL))
            else:
                self.scene.texts.append(Text(x, top + depth / 2 - 8, band.name, SIZE, bold=True))
                self.scene.texts.append(Text(x, top + depth / 2 + 8, _second(band), SMALL))
            top += depth

    def _edge(self, node: int, end: bool) -> float:
        """Where a box ends (or starts) along the ranks; a point takes the whole depth of its rank."""
        rank = self.ranked.rank[node]
        if node >= len(self.boxes):
            return self.row_ends[rank] if end else self.row_starts[rank]
        half = self.sizes[node][0 if self.across else 1] / 2
        return (self.row_starts[rank] + self.row_ends[rank]) / 2 + (half if end else -half)

    def _port(self, index: int) -> float:
        """Where a link leaves, across the ranks, from the middle of its box."""
        source = self.links[index].source
        own = [i for i, link in enumerate(self.links) if link.source == source and link.targets]
        return _share(own.index(index), len(own), self.sizes[source][self.side] / len(own)) if index in own else 0.0

    def _draw_link(self, index: int) -> None:
        link = self.links[index]
        if not link.targets:
            return
        out = self.middles[link.source] + self._port(index)
        start = self._edge(link.source, end=True)
        lead = max(self._lead(self.labels[index]), self.row_ends[self.ranked.rank[link.source]] - start + 4)
        self._write_label(index, start, out)
        for upper, lower, number in self.ranked.edges:
            if number != index:
                continue
            into = self._entering(upper, lower, index)
            end = self._edge(lower, end=False)
            arrow = lower < len(self.boxes)
            if upper < len(self.boxes):
                points = [self._at(start, out), self._at(start + lead, out)]
            else:
                points = [self._at(self._edge(upper, False), self.middles[upper]),
                          self._at(self._edge(upper, True), self.middles[upper])]  # fmt: skip
            if arrow:
                points += bend(points[-1], self._at(end - 7, into), self.across)
            else:
                points += bend(points[-1], self._at(end, into), self.across)
            self.scene.curves.append(Curve(tuple(points), arrow))

    def _entering(self, upper: int, lower: int, index: int) -> float:
        if lower >= len(self.boxes):
            return self.middles[lower]
        above = sorted({(self.middles[u], i) for u, low, i in self.ranked.edges if low == lower})
        step = min(20.0, self.sizes[lower][self.side] / len(above))
        return self.middles[lower] + _share(above.index((self.middles[upper], index)), len(above), step)

    def _write_label(self, index: int, start: float, out: float) -> None:
        if label := self.labels[index]:
            x, y = self._at(start + (6 if self.across else 10), out - (8 if self.across else 0))
            text = Text(x if self.across else x + 5, y, label, SMALL, colour="#55606a", middle=False)
            self.scene.texts.append(text)


def colours(layer_type: str) -> tuple[str, str]:
    """The colours of a layer's box and of its edge."""
    return _TYPES.get(layer_type) or COLOURS[family(layer_type) if layer_type in LAYERS else "other"]


def _label(box: Box, link: Link) -> str:
    """The shape; with the blob's name where it is not that of the layer."""
    shape = "" if link.shape is None else "x".join(map(str, link.shape)) or "scalar"
    return shape if [link.blob] == box.tops == [box.bands[0].name] else f"{link.blob}  {shape}".strip()


def _second(band: Band) -> str:
    return f"{band.type} {band.detail}".strip()


def _share(number: int, count: int, step: float) -> float:
    """The place of the ``number``-th of ``count`` links side by side, from their middle."""
    return (number - (count - 1) / 2) * step
