"""From a training net to the net that runs: no data layers, no labels, probabilities instead of losses.

The passes, in order: keep the layers of the TEST phase; find the labels and what depends on them; let losses become
Softmax or Sigmoid layers; drop what no output needs; put Input layers in the place of data layers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe_compat.errors import ExportError
from caffe_compat.export.heads import Head, main_heads, probability_layer
from caffe_compat.export.input_shape import InputShapes, top_shapes
from caffe_compat.export.labels import depending_on, is_data, is_loss, label_tops
from caffe_compat.net.build import kept_layers
from caffe_compat.net.state import NetState
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
    stages: tuple[str, ...] | list[str] = (),
    input_shapes: InputShapes | None = None,
) -> Deployed:
    """The deploy form of a net (a file, its text, or a Document).

    ``input_shapes``: blob -> shape, for data layers whose data is not here, or for another size of an Input layer.
    Raises ExportError where an input's shape is not known, or where nothing is left to compute.
    """
    document = net if isinstance(net, Document) else read_net(net)
    state = NetState("TEST", level, frozenset([*stages, *document.message.state.stage]))
    kept = [(index, _plain(layer)) for index, layer in kept_layers(document, state)]
    shapes = dict(input_shapes or {})
    if not any(is_data(layer) for _, layer in kept):
        result = Deployed(_assemble(document, kept), changed=False)
        _resize_inputs(kept, shapes)
        return Deployed(_assemble(document, kept), changed=False) if shapes else result
    return _Rewrite(document, kept, _train_losses(document, state), shapes).run()


class _Rewrite:
    """The passes over ``kept``, the layers of the TEST phase with their indices in the file."""

    def __init__(
        self, document: Document, kept: list[tuple[int, Any]], spare: list[tuple[int, Any]], shapes: InputShapes
    ) -> None:
        self.document = document
        self.kept = kept
        self.shapes = shapes
        self.notes: list[str] = []
        if not any(is_loss(layer) for _, layer in kept):
            made = {top for _, layer in kept for top in layer.top}
            self.kept = kept + [(i, loss) for i, loss in spare if made.issuperset(loss.bottom)]

    def run(self) -> Deployed:
        layers = [layer for _, layer in self.kept]
        labels = label_tops(layers)
        tainted = depending_on(labels, layers)
        given = {top for layer in layers if is_data(layer) for top in layer.top}
        given.update(top for index in tainted for top in layers[index].top)
        heads, auxiliary = main_heads(layers, tainted, given)
        for loss in auxiliary:
            self.notes.append(f"left out: '{loss.name}' ({loss.type}), an auxiliary loss, and what only it needs")
        removed = tainted | {index for index, layer in enumerate(layers) if is_loss(layer)}
        body = [item for index, item in enumerate(self.kept) if index not in removed]
        wanted = self._own_outputs(layers, removed, labels | given)
        added = self._probabilities(body, heads)
        wanted += [top for _, layer in added for top in layer.top]
        wanted += self._bare_scores(heads, body + added) or ([] if wanted else self._measured(layers, tainted, given))
        if not wanted:
            raise ExportError(
                f"{self.document.source}: no layer computes anything without the labels; nothing to deploy"
            )
        needed = _needed(body + added, wanted)
        inputs, data_layers = self._inputs(needed)
        rest = [item for item in needed if not is_data(item[1])]
        return Deployed(_assemble(self.document, inputs + rest), True, data_layers, self.notes)

    def _own_outputs(self, layers: list[Any], removed: set[int], never: set[str]) -> list[str]:
        """Blobs that no layer of the TEST net reads, apart from labels and losses."""
        read = {name for layer in layers for name in layer.bottom}
        made = [top for i, layer in enumerate(layers) if i not in removed and not is_data(layer) for top in layer.top]
        return [name for name in dict.fromkeys(made) if name not in read and name not in never]

    def _probabilities(self, body: list[tuple[int, Any]], heads: list[Head]) -> list[tuple[int, Any]]:
        """A Softmax or Sigmoid for each loss that has one, unless the net has that layer already."""
        taken = {name for _, layer in body for name in (layer.name, *layer.top)}
        there = {(layer.type, layer.bottom[0]) for _, layer in body if layer.bottom}
        several = len({head.scores[0] for head in heads if head.scores}) > 1
        added: list[tuple[int, Any]] = []
        for head in heads:
            name = _free(f"prob_{head.layer.bottom[0]}" if several else "prob", taken)
            layer = probability_layer(head.layer, name, head.layer.top[1] if len(head.layer.top) > 1 else name)
            if layer is not None and (layer.type, layer.bottom[0]) not in there:
                there.add((layer.type, layer.bottom[0]))
                taken.update((name, layer.top[0]))
                added.append((self.kept[head.index][0], layer))
        return added

    def _bare_scores(self, heads: list[Head], layers: list[tuple[int, Any]]) -> list[str]:
        """Scores of losses without a probability layer."""
        read = {name for _, layer in layers for name in layer.bottom}
        return [name for head in heads for name in head.scores if name not in read]

    def _measured(self, layers: list[Any], tainted: set[int], given: set[str]) -> list[str]:
        """In a net without a loss: what Accuracy and the like look at."""
        return [name for index in sorted(tainted) for name in layers[index].bottom if name not in given]

    def _inputs(self, needed: list[tuple[int, Any]]) -> tuple[list[tuple[int, Any]], list[Any]]:
        """Input layers for the tops of data layers that are read, and these data layers."""
        read = {name for _, layer in needed for name in layer.bottom}
        names = {layer.name for _, layer in needed if not is_data(layer)}
        inputs: list[tuple[int, Any]] = []
        data_layers = []
        for index, layer in needed:
            tops = [top for top in layer.top if top in read] if is_data(layer) else []
            if not tops:
                continue
            where = self.document.where("layer", index)
            shapes, note = top_shapes(layer, where, self.shapes, Path(self.document.source).parent)
            self.notes += [note] if note else []
            data_layers.append(layer)
            for top in tops:
                if top not in shapes:
                    raise ExportError(f"the shape of '{top}' is not known; say it with --input-shape {top}:N,...")
                inputs.append((index, _input_layer(_free(top, names), top, shapes[top])))
        return inputs, data_layers


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


def _needed(layers: list[tuple[int, Any]], wanted: list[str]) -> list[tuple[int, Any]]:
    """The layers that the wanted blobs depend on."""
    missing, needed = set(wanted), []
    for item in reversed(layers):
        layer = item[1]
        if missing.intersection(layer.top):
            missing.difference_update(layer.top)
            missing.update(layer.bottom)
            layer.ClearField("loss_weight")
            needed.append(item)
    return needed[::-1]


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


def _input_layer(name: str, top: str, shape: tuple[int, ...]) -> Any:
    layer = pb.LayerParameter(name=name, type="Input", top=[top])
    layer.input_param.shape.add().dim.extend(shape)
    return layer


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


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
