"""A net built for its shapes and names alone, on a machine that may lack its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from caffe_compat.errors import DataError
from caffe_compat.export.input_shape import InputShapes, shapes_given, top_shapes
from caffe_compat.net import Net
from caffe_compat.net.build import kept_layers
from caffe_compat.net.state import NetState
from caffe_compat.proto import Document, pb


def build_without_data(
    document: Document,
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    shapes: InputShapes | None = None,
    device: str | torch.device = "meta",
    seed: int | None = None,
) -> Net:
    """The net; where data of a data layer cannot be opened, or ``shapes`` names a top of it, with Input layers there.

    Their shapes come from ``shapes``, else from the fields of the layer (crop_size, batch_size), as for a deploy net.
    Raises NetError, and ExportError where a shape is not known.
    """
    if not shapes:
        try:
            return Net(document, phase, level, stages, device, seed)
        except DataError:
            pass
    state = NetState.of(document.message, phase, level, stages)
    with shapes_given(shapes):
        return Net(_with_inputs(document, state, shapes or {}), phase, level, stages, device, seed)


def _with_inputs(document: Document, state: NetState, shapes: InputShapes) -> Document:
    net = pb.NetParameter()
    net.CopyFrom(document.message)
    for index, layer in kept_layers(document, state):
        if layer.type in ("Parameter", "DummyData") or layer.bottom or not layer.top:
            continue
        if layer.type != "Input" or any(top in shapes for top in layer.top):
            _become_input(net.layer[index], document.where("layer", index), shapes, Path(document.source).parent)
    return document.with_message(net)


def _become_input(layer: Any, where: str, shapes: InputShapes, folder: Path) -> None:
    """Turn a data layer (message) into Input."""
    if layer.type == "Input":
        sizes = {top: shapes.get(top) for top in layer.top}
        given = list(layer.input_param.shape)
        known = [list((given * len(layer.top))[i].dim) if given else [] for i in range(len(layer.top))]
        tops = [list(sizes[top] or known[i]) for i, top in enumerate(layer.top)]
    else:
        found, _ = top_shapes(layer, where, shapes, folder)
        first = tuple(found[layer.top[0]])
        tops = [list(found.get(top, first[:1])) for top in layer.top]
    substitute = pb.LayerParameter(name=layer.name, type="Input", top=layer.top)
    substitute.include.extend(layer.include)
    substitute.exclude.extend(layer.exclude)
    for dims in tops:
        substitute.input_param.shape.add(dim=dims)
    layer.CopyFrom(substitute)
