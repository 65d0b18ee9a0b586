"""The shapes of a data layer's tops, for the Input layers that take its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import caffe_compat.data  # noqa: F401 - registers the sources of the data layers
from caffe_compat.errors import CaffeCompatError, ExportError, NetError
from caffe_compat.layers.create import create_layer
from caffe_compat.layers.source import open_source
from caffe_compat.net.node import naming
from caffe_compat.proto import Document

Shape = tuple[int, ...]
InputShapes = Mapping[str, Sequence[int]]


def parse_input_shapes(texts: Sequence[str]) -> dict[str, Shape]:
    """``["data:1,3,227,227"]`` -> ``{"data": (1, 3, 227, 227)}``. Raises ExportError."""
    shapes: dict[str, Shape] = {}
    for text in texts:
        match = re.fullmatch(r"(.+):\s*(\d+(?:\s*[,x]\s*\d+)*)", text.strip())
        sizes = tuple(int(size) for size in re.split(r"[,x]", match[2])) if match else ()
        if match is None or 0 in sizes:
            raise ExportError(f"input shape {text!r} is not understood; accepted: NAME:N,C,H,W as in data:1,3,227,227")
        shapes[match[1]] = sizes
    return shapes


def named_shapes(input_shape: InputShapes | Sequence[int], document: Document) -> dict[str, Shape]:
    """Shapes by the name of an input; one shape alone is that of the only input. Raises ExportError."""
    if isinstance(input_shape, Mapping):
        return {name: tuple(shape) for name, shape in input_shape.items()}
    tops = [top for layer in document.message.layer if not layer.bottom for top in layer.top[:1]]
    first = list(dict.fromkeys(tops))
    if len(first) != 1:
        raise ExportError(
            f"input_shape is one shape, but the net has the inputs {', '.join(first)}; give a dict by name"
        )
    return {first[0]: tuple(input_shape)}


@contextmanager
def shapes_given(shapes: InputShapes | None) -> Iterator[None]:
    """A NetError in the ``with`` block also tells of the shapes that the user gave, which may be its reason."""
    try:
        yield
    except NetError as error:
        if not shapes:
            raise
        told = ", ".join(f"'{name}' has shape {list(shape)}" for name, shape in shapes.items())
        raise type(error)(f"{error}; note that {told}, as --input-shape says (in Python: input_shape=)") from error


def top_shapes(layer: Any, where: str, given: InputShapes, folder: Path) -> tuple[dict[str, Shape], str]:
    """Shape of every top of a data layer (message), and a note where a part of it is an assumption.

    In this order: ``given``; the shapes that a DummyData layer states; the layer's source, where it can be opened;
    transform_param's crop_size or image_data_param's new_height and new_width. Raises ExportError, which names the
    missing option.
    """
    first = given.get(layer.top[0])
    if first:  # further tops are labels, one for each item, unless they are given
        return {top: tuple(given.get(top, first[:1])) for top in layer.top}, ""
    if layer.type == "DummyData":
        with naming(layer.name, layer.type, where):
            stated = create_layer(layer)
            stated.setup()
        return dict(zip(layer.top, stated.top_shapes(), strict=True)), ""
    try:
        source = open_source(layer.type, layer, "TEST", len(layer.top), 0, folder)
    except (CaffeCompatError, OSError, ImportError) as error:
        return _from_fields(layer, where, str(error))
    with source:
        return dict(zip(layer.top, source.top_shapes, strict=True)), ""


def stored_size(layer: Any, folder: Path) -> tuple[int, int] | None:
    """(height, width) of a data layer's images before the crop; None where that is not known."""
    if layer.type == "ImageData":
        image = layer.image_data_param
        return (image.new_height, image.new_width) if image.new_height and image.new_width else None
    whole = type(layer)()
    whole.CopyFrom(layer)
    whole.transform_param.ClearField("crop_size")
    try:
        with open_source(whole.type, whole, "TEST", len(whole.top), 0, folder) as source:
            shape = source.top_shapes[0]
    except (CaffeCompatError, OSError, ImportError):
        return None
    return (shape[2], shape[3]) if len(shape) == 4 else None


def _from_fields(layer: Any, where: str, reason: str) -> tuple[dict[str, Shape], str]:
    transform, image, name = layer.transform_param, layer.image_data_param, layer.top[0]
    height, width = transform.crop_size or image.new_height, transform.crop_size or image.new_width
    batch = _batch_size(layer)
    if not (height and width and batch):
        raise ExportError(
            f"layer '{layer.name}' ({layer.type}), {where}: the shape of '{name}' is not known, because its "
            f"data cannot be read ({reason}) and the file gives no crop_size; say it with --input-shape {name}:N,C,H,W "
            f"(in Python: input_shape={{'{name}': (1, 3, 227, 227)}})"
        )
    channels = 1 if transform.force_gray else max(3, len(transform.mean_value))
    shape = (batch, channels, height, width)
    sure = transform.force_gray or transform.force_color or len(transform.mean_value) > 1
    note = (
        ""
        if sure
        else (
            f"input '{name}' is taken to have {channels} channels, because layer '{layer.name}'s data cannot be "
            f"read ({reason}); if not, say so with --input-shape {name}:{batch},C,{height},{width}"
        )
    )
    return {name: shape}, note


def _batch_size(layer: Any) -> int:
    for field, value in layer.ListFields():
        if field.message_type is not None and "batch_size" in field.message_type.fields_by_name:
            messages = value if hasattr(value, "append") else [value]
            return int(messages[0].batch_size)
    return 0
