"""From a training net to the net that runs: no data layers, no labels, probabilities instead of losses.

The passes, in order: keep the layers of the TEST phase; find the labels and what depends on them; let losses become
Softmax or Sigmoid layers; drop what no output needs; put Input layers in the place of data layers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe_compat.errors import ExportError
from caffe_compat.export.input_shape import InputShapes
from caffe_compat.export.labels import is_data, is_loss
from caffe_compat.export.rewrite import Rewrite
from caffe_compat.net.build import kept_layers
from caffe_compat.net.node import naming
from caffe_compat.net.state import NetState
from caffe_compat.net.wiring import Wiring
from caffe_compat.proto import Document, pb, print_text, read_net


@dataclass(frozen=True)
class Deployed:
    """A net in its deploy form.

    ``document``: the net, with the places of its layers in the file it was made from. ``data_layers``: the data layers
    (messages) that Input layers replaced. ``changed``: False where the net was a deploy net already. ``notes``: what
    was left out or assumed.
    """

    document: Document
    changed: bool
    data_layers: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def net(self) -> Any:
        """The NetParameter."""
        return self.document.message

    @property
    def text(self) -> str:
        """The prototxt, led by a comment that says what it was made from."""
        made = f"# Deploy form of {Path(self.document.source).name}, made by caffe_compat."
        lines = [made if self.changed else f"# {Path(self.document.source).name}, a deploy net already."]
        lines += [f"# {note}" for note in self.notes] + [
            f"# {line}" for line in map(_transform, self.data_layers) if line
        ]
        return "\n".join(lines) + "\n" + print_text(self.net)


def deploy_net(
    net: str | os.PathLike[str] | Document,
    level: int = 0,
    stages: Sequence[str] = (),
    input_shapes: InputShapes | None = None,
) -> Deployed:
    """The deploy form of a net (a file, its text, or a Document).

    ``input_shapes``: blob -> shape, for data layers whose data is not here, or for another size of an Input layer.
    Raises ExportError where an input's shape is not known, or where nothing is left to compute; NetError for a bottom
    that no layer makes.
    """
    document = net if isinstance(net, Document) else read_net(net)
    state = NetState.of(document.message, "TEST", level, stages)
    kept = [(index, _plain(layer)) for index, layer in kept_layers(document, state)]
    _check_wiring(document, kept)
    shapes = dict(input_shapes or {})
    if not any(is_data(layer) for _, layer in kept):
        _resize_inputs(kept, shapes)
        return Deployed(_assemble(document, kept), changed=False)
    passes = Rewrite(document, kept, _train_losses(document, state), shapes).run()
    return Deployed(_assemble(document, passes.layers), True, passes.data_layers, passes.notes)


def _check_wiring(document: Document, kept: list[tuple[int, Any]]) -> None:
    """Raises NetError for a bottom that no layer makes, before the layers that make the others are taken away."""
    wiring = Wiring()
    for index, layer in kept:
        with naming(layer.name, layer.type, document.where("layer", index)):
            wiring.connect(layer.name, list(layer.bottom), list(layer.top))


def _plain(layer: Any) -> Any:
    """A copy without the rules that chose it."""
    copy = pb.LayerParameter()
    copy.CopyFrom(layer)
    copy.ClearField("include")
    copy.ClearField("exclude")
    return copy


def _train_losses(document: Document, state: NetState) -> list[tuple[int, Any]]:
    """The losses of the TRAIN phase, for nets that have none in TEST."""
    train = NetState("TRAIN", state.level, state.stages)
    return [(index, _plain(layer)) for index, layer in kept_layers(document, train) if is_loss(layer)]


def _resize_inputs(layers: list[tuple[int, Any]], shapes: InputShapes) -> None:
    tops = {top for _, layer in layers if layer.type == "Input" for top in layer.top}
    if unknown := set(shapes) - tops:
        raise ExportError(
            f"input shape for '{min(unknown)}', which is no input; inputs: {', '.join(sorted(tops)) or 'none'}"
        )
    for _, layer in layers:
        if layer.type == "Input" and shapes.keys() & set(layer.top):
            old = list(layer.input_param.shape)
            new = [shapes.get(top, old[min(i, len(old) - 1)].dim if old else ()) for i, top in enumerate(layer.top)]
            layer.input_param.ClearField("shape")
            for sizes in new:
                layer.input_param.shape.add().dim.extend(sizes)


def _assemble(document: Document, layers: list[tuple[int, Any]]) -> Document:
    """A Document of these layers, each with its place in the original file."""
    net = pb.NetParameter(name=document.message.name)
    net.layer.extend(layer for _, layer in layers)
    result = Document(net, document.source, document.text)
    result.place.children["layer"] = [document.place.at("layer", index) for index, _ in layers]
    return result


def _transform(layer: Any) -> str:
    """The transformation that the data layer applied, for the header."""
    if not layer.HasField("transform_param"):
        return ""
    fields = " ".join(print_text(layer.transform_param).split())
    return f"'{layer.top[0]}' was transformed by: {fields}"
