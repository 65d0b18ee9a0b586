"""Pass 1: layers become boxes, blobs become links. Layers that work in place stand in the box of their blob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Band:
    """One layer as its box shows it."""

    name: str
    type: str
    detail: str


@dataclass
class Box:
    """Layers one upon the other, and the blobs that leave the box."""

    bands: list[Band]
    tops: list[str]


@dataclass
class Link:
    """A blob on its way from the box that makes it to those that read it. ``shape``: None where it is not known."""

    source: int
    blob: str
    shape: Shape | None
    targets: list[int] = field(default_factory=list)


def make_boxes(layers: Sequence[Any], shapes: Sequence[Mapping[str, Shape]] = ()) -> tuple[list[Box], list[Link]]:
    """Boxes and links of LayerParameter messages in order; ``shapes``: of each layer's tops, where they are known.

    A top of several layers, which belong to different phases, goes from each of them to its readers.
    """
    boxes: list[Box] = []
    links: list[Link] = []
    made_by: dict[str, list[Link]] = {}
    for index, layer in enumerate(layers):
        band = Band(layer.name, layer.type, detail(layer))
        makers = made_by.get(layer.bottom[0], []) if layer.bottom else []
        in_place = len(makers) == 1 and list(layer.bottom) == list(layer.top)
        if in_place and len(boxes[makers[0].source].tops) == 1:
            boxes[makers[0].source].bands.append(band)
            continue
        for bottom in layer.bottom:
            for link in made_by.get(bottom, []):
                link.targets.append(len(boxes))
        for top in layer.top:
            links.append(Link(len(boxes), top, shapes[index].get(top) if shapes else None))
            made_by[top] = [*([] if top in layer.bottom else made_by.get(top, [])), links[-1]]
        boxes.append(Box([band], list(layer.top)))
    return boxes, links


def detail(layer: Any) -> str:
    """What matters of a layer's parameters, in few signs: ``64, 7x7 /2 +3``."""
    parts: list[str] = []
    for block, message in layer.ListFields():
        if not block.name.endswith("_param") or block.message_type is None or not hasattr(message, "ListFields"):
            continue
        values = {name.name: _plain(name, value) for name, value in message.ListFields()}
        parts += [text.format(values[name]) for name, text in _SIGNS.items() if name in values]
    return " ".join(parts)


_SIGNS = {
    "num_output": "{}", "pool": "{}", "operation": "{}", "kernel_size": "{}", "kernel_h": "{}", "kernel_w": "x {}",
    "stride": "/{}", "pad": "+{}", "dilation": "dilation {}", "group": "group {}", "global_pooling": "global",
    "local_size": "size {}", "dropout_ratio": "{}", "batch_size": "batch {}", "margin": "margin {}",
}  # fmt: skip


def _plain(field: Any, value: Any) -> str:
    """A field's value; a size that stands for both axes is written twice where it is a kernel's."""
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    if hasattr(value, "append"):
        sizes = [str(item) for item in value]
        return "x".join(sizes * 2 if field.name == "kernel_size" and len(sizes) == 1 else sizes)
    if field.name == "kernel_size":
        return f"{value}x{value}"
    return f"{value:g}" if isinstance(value, float) else str(value)
