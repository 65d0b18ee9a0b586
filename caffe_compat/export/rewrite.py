"""The passes that make a deploy net of the layers of a training net."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caffe_compat.errors import ExportError
from caffe_compat.export.heads import Head, main_heads, probability_layer
from caffe_compat.export.input_shape import InputShapes, top_shapes
from caffe_compat.export.labels import depending_on, is_data, is_loss, label_tops
from caffe_compat.proto import Document, pb

_SHOWN = 6
Placed = tuple[int, Any]
"""A LayerParameter with its index in the file, or that of the layer it comes from."""


class Rewrite:
    """``kept``: the layers of the TEST phase. ``spare``: losses of the TRAIN phase, for nets without one in TEST.

    After ``run``: ``layers``, ``data_layers`` (those that Input layers replaced), ``notes``.
    """

    def __init__(self, document: Document, kept: list[Placed], spare: list[Placed], shapes: InputShapes) -> None:
        self.document = document
        self.kept = kept
        self.shapes = shapes
        self.layers: list[Placed] = []
        self.data_layers: list[Any] = []
        self.notes: list[str] = []
        if not any(is_loss(layer) for _, layer in kept):
            made = {top for _, layer in kept for top in layer.top}
            self.kept = kept + [(i, loss) for i, loss in spare if made.issuperset(loss.bottom)]

    def run(self) -> Rewrite:
        """All passes. Raises ExportError."""
        layers = [layer for _, layer in self.kept]
        tops = {top for layer in layers if not layer.bottom for top in layer.top}
        if unknown := set(self.shapes) - tops:
            raise ExportError(f"input shape for '{min(unknown)}', which is no input; inputs: {', '.join(sorted(tops))}")
        tainted = depending_on(label_tops(layers), layers)
        given = {top for layer in layers if is_data(layer) for top in layer.top}
        given.update(top for index in tainted for top in layers[index].top)
        heads, auxiliary = main_heads(layers, tainted, given)
        for loss in auxiliary:
            self.notes.append(f"left out: '{loss.name}' ({loss.type}), an auxiliary loss, and what only it needs")
        removed = tainted | {index for index, layer in enumerate(layers) if is_loss(layer)}
        removed |= below_losses(layers, removed)
        body = [item for index, item in enumerate(self.kept) if index not in removed]
        made = {top for _, layer in body for top in layer.top}
        heads = [head for head in heads if made.issuperset(head.scores)]
        wanted = self._probabilities(body, heads)
        wanted += bare_scores(heads, body)
        wanted += measured(layers, tainted, given) if not wanted else []
        wanted += own_outputs(layers, removed, given)
        if not wanted:
            raise ExportError(self._nothing_left(tainted))
        needed = needed_layers(body, wanted)
        self.layers = self._inputs(needed) + [item for item in needed if not is_data(item[1])]
        return self

    def _nothing_left(self, tainted: set[int]) -> str:
        """The error where no layer remains, with the reason for each."""
        reasons = []
        for index, (_, layer) in enumerate(self.kept):
            why = "a loss" if is_loss(layer) else "made from labels" if index in tainted else "not needed by an output"
            why = "brings data, which a deployed net is given" if is_data(layer) else why
            reasons.append(f"'{layer.name}' ({layer.type}): {why}")
        more = f", and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        return (
            f"{self.document.source}: nothing is left to deploy: the TEST net has {', '.join(reasons[:_SHOWN])}{more}; "
            "give a net with a layer that computes something from data in phase TEST, as its include and exclude rules "
            "decide"
        )

    def _probabilities(self, body: list[Placed], heads: list[Head]) -> list[str]:
        """Adds to ``body`` a Softmax or Sigmoid for each loss that has one, unless it is there; returns their tops."""
        taken = {name for _, layer in body for name in (layer.name, *layer.top)}
        there = {(layer.type, layer.bottom[0]): layer.top[0] for _, layer in body if layer.bottom and layer.top}
        heads = [head for head in heads if head.scores and head.scores[0] == head.layer.bottom[0]]
        several = len({head.scores[0] for head in heads}) > 1
        tops: list[str] = []
        for head in heads:
            name = _free(f"prob_{head.scores[0]}" if several else "prob", taken)
            layer = probability_layer(head.layer, name, head.layer.top[1] if len(head.layer.top) > 1 else name)
            if layer is None:
                continue
            key = (layer.type, layer.bottom[0])
            if key not in there:
                there[key] = layer.top[0]
                taken.update((name, layer.top[0]))
                body.append((self.kept[head.index][0], layer))
            tops.append(there[key])
        return list(dict.fromkeys(tops))

    def _inputs(self, needed: list[Placed]) -> list[Placed]:
        """Input layers for the tops of data layers that are read."""
        read = {name for _, layer in needed for name in layer.bottom}
        names = {layer.name for _, layer in needed if not is_data(layer)}
        inputs: list[Placed] = []
        for index, layer in needed:
            tops = [top for top in layer.top if top in read] if is_data(layer) else []
            if not tops:
                continue
            where = self.document.where("layer", index)
            shapes, note = top_shapes(layer, where, self.shapes, Path(self.document.source).parent)
            self.notes += [note] if note else []
            self.data_layers.append(layer)
            for top in tops:
                if top not in shapes:
                    raise ExportError(f"{where}: the shape of '{top}' is not known; say --input-shape {top}:N,... "
                                      f"(in Python: input_shape={{'{top}': (N, ...)}})")  # fmt: skip
                inputs.append((index, input_layer(_free(top, names), top, shapes[top])))
        return inputs


def below_losses(layers: Sequence[Any], removed: set[int]) -> set[int]:
    """Indices of the layers that read what only layers of ``removed`` make, such as the probabilities of a loss."""
    lost: set[str] = set()
    found: set[int] = set()
    for index, layer in enumerate(layers):
        if index in removed or lost.intersection(layer.bottom):
            found.add(index)
            lost.update(layer.top)
        else:
            lost.difference_update(layer.top)
    return found - removed


def own_outputs(layers: Sequence[Any], removed: set[int], never: set[str]) -> list[str]:
    """Blobs that no layer of the TEST net reads, apart from labels and losses."""
    last = unread(layers)
    made = [top for i, layer in enumerate(layers) if i not in removed and not is_data(layer) for top in layer.top]
    return [name for name in dict.fromkeys(made) if name in last and name not in never]


def unread(layers: Sequence[Any]) -> set[str]:
    """Blobs that no layer reads once they are made; one that a layer writes in place is made by that layer."""
    names: set[str] = set()
    for layer in layers:
        names.difference_update(layer.bottom)
        names.update(layer.top)
    return names


def bare_scores(heads: Sequence[Head], layers: Sequence[Placed]) -> list[str]:
    """Scores of losses without a probability layer."""
    last = unread([layer for _, layer in layers])
    return [name for head in heads for name in head.scores if name in last]


def measured(layers: Sequence[Any], tainted: set[int], given: set[str]) -> list[str]:
    """Where no loss has scores free of the label: what Accuracy, or else any layer with a label, looks at."""
    readers = [layers[index] for index in sorted(tainted)]
    readers = [layer for layer in readers if layer.type == "Accuracy"] or readers
    return list(dict.fromkeys(name for layer in readers for name in layer.bottom if name not in given))


def needed_layers(layers: Sequence[Placed], wanted: Sequence[str]) -> list[Placed]:
    """The layers that the wanted blobs depend on, without their loss weights."""
    missing, needed = set(wanted), []
    for item in reversed(layers):
        layer = item[1]
        if missing.intersection(layer.top):
            missing.difference_update(layer.top)
            missing.update(layer.bottom)
            layer.ClearField("loss_weight")
            needed.append(item)
    return needed[::-1]


def input_layer(name: str, top: str, shape: Sequence[int]) -> Any:
    """An Input layer (message)."""
    layer = pb.LayerParameter(name=name, type="Input", top=[top])
    layer.input_param.shape.add().dim.extend(shape)
    return layer


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
