"""`input: "data" input_dim: ...` of old deploy nets -> an Input layer in front."""

from __future__ import annotations

from typing import Any

from caffe_compat.errors import PrototxtError
from caffe_compat.proto.document import Document, Place
from caffe_compat.proto.upgrade.moves import places, tell

AXES = 4  # of an input given by input_dim


def inputs_to_layer(document: Document) -> None:
    """Replace `input` with `input_shape` or `input_dim` (4 numbers an input) by a layer named "input".

    As in Caffe, inputs without any shape are dropped (with a note). PrototxtError where both forms are given, or
    fewer shapes than inputs.
    """
    net, place = document.message, document.place
    if not net.input:
        return
    shapes = _shapes(document)
    if shapes:
        places(place, "layer", len(net.layer)).insert(0, _add_layer(net, place, shapes))
        tell(document, place.at("input"), "'input' upgraded to a layer of type Input")
    else:
        tell(document, place.at("input"), "inputs without input_shape or input_dim have no size: ignored, as by Caffe")
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)
        place.children.pop(name, None)


def _shapes(document: Document) -> list[list[int]]:
    """The shape of each input."""
    net = document.message
    if net.input_shape and net.input_dim:
        raise PrototxtError(
            f"{document.where('input_dim')}: the net has both input_dim (here) and input_shape "
            f"({document.where('input_shape')}); keep input_shape"
        )
    if net.input_dim:
        shapes = [list(net.input_dim[i : i + AXES]) for i in range(0, len(net.input_dim), AXES)]
        given, need = len(net.input_dim), AXES * len(net.input)
        found, field = f"{given} input_dim, and needs {need} ({AXES} an input)", "input_dim"
    else:
        shapes = [list(shape.dim) for shape in net.input_shape]
        given, need = len(shapes), len(net.input)
        found, field = f"{given} input_shape, and needs {need}", "input_shape"
    if 0 < given < need:
        document.fault(PrototxtError(f"{document.where(field)}: the net has {len(net.input)} inputs and {found}"))
    if given > need:
        tell(document, document.place.at(field, need), f"the net has {found}: the rest is ignored, as by Caffe")
    return shapes[: len(net.input)]


def _add_layer(net: Any, place: Place, shapes: list[list[int]]) -> Place:
    """Put the Input layer in front; returns its place."""
    layer = type(net)().layer.add(name="input", type="Input", top=net.input)
    for shape in shapes:
        layer.input_param.shape.add(dim=shape)
    net.layer.insert(0, layer)
    first = place.at("input")
    made = Place(first.offset)
    made.children["top"] = place.children.get("input", [])
    param = made.add("input_param", place.at("input_shape").offset if "input_shape" in place.children else first.offset)
    param.children["shape"] = place.children.get("input_shape") or _corners(place)
    return made


def _corners(place: Place) -> list[Place]:
    """The place of each input's shape, where input_dim gives it."""
    dims = place.children.get("input_dim", [])
    corners = []
    for start in range(0, len(dims), AXES):
        corner = Place(dims[start].offset)
        corner.children["dim"] = dims[start : start + AXES]
        corners.append(corner)
    return corners
