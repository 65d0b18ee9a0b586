"""The accuracy of an exported file over the TEST data of a prototxt."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import caffe_compat.data  # noqa: F401 - registers the sources of the data layers
from caffe_compat.errors import ExportError
from caffe_compat.export.labels import is_data
from caffe_compat.export.preprocessing import Preprocessing, from_metadata
from caffe_compat.export.runtime import open_session
from caffe_compat.layers.source import Source, open_source
from caffe_compat.net.build import kept_layers
from caffe_compat.net.node import naming
from caffe_compat.net.state import NetState
from caffe_compat.proto import Document, pb, read_net


@dataclass(frozen=True)
class Evaluation:
    """``count`` labelled items, of which ``errors`` have another class among the best, or one with an equal score."""

    count: int
    errors: int

    @property
    def accuracy(self) -> float:
        """The part that is right, from 0 to 1."""
        return (self.count - self.errors) / self.count if self.count else 0.0

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.4%}: {self.errors} errors in {self.count}"


def evaluate(
    onnx_path: str | os.PathLike[str],
    net_prototxt: str | os.PathLike[str],
    *,
    iterations: int | None = None,
    level: int = 0,
    stages: Sequence[str] = (),
    output: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Evaluation:
    """Run the file over the batches of the prototxt's TEST data layer and count errors as Caffe's Accuracy does.

    The item is right if fewer than ``top_k`` (of the net's Accuracy layer; 1) other classes have a score at least as
    high as its label's: ties count against. Labels equal to ``ignore_label`` are left out.
    ``iterations``: batches to run; by default one pass over the source, each item once. ``output``: the one to look
    at; by default the first. ``progress``: called with (items done, items in all or None).
    Raises ExportError where the net has no labelled data layer or the file does not fit it; DataError for the data.
    """
    if iterations is not None and iterations < 1:
        raise ExportError(f"iterations is {iterations}; accepted: 1 or more, or None for all the data once")
    session = open_session(onnx_path, device, threads)
    facts = from_metadata(session.get_modelmeta().custom_metadata_map, os.fspath(onnx_path))
    document = read_net(net_prototxt)
    state = NetState.of(document.message, "TEST", level, stages)
    layers = [layer for _, layer in kept_layers(document, state)]
    data, places = _data_layer(layers, facts, document)
    rule = _Rule.of(layers)
    total = errors = seen = 0
    with _open(data, facts, document) as source:
        items = source.size if iterations is None else iterations * source.top_shapes[0][0]
        if items is None:
            raise ExportError(f"layer '{data.name}' ({data.type}) does not tell how many items it has; say iterations")
        while seen < items:
            tops = source.next()
            images, labels = (tops[place].numpy()[: items - seen] for place in places)
            scores = _run(session, facts, output, images)
            counted, wrong = rule.count(scores, labels)
            total, errors, seen = total + counted, errors + wrong, seen + len(images)
            if progress is not None:
                progress(seen, items)
    return Evaluation(total, errors)


@dataclass(frozen=True)
class _Rule:
    """What the net's Accuracy layer counts."""

    top_k: int = 1
    axis: int = 1
    ignore_label: int | None = None

    @classmethod
    def of(cls, layers: list[Any]) -> _Rule:
        for layer in layers:
            if layer.type == "Accuracy":
                param = layer.accuracy_param
                return cls(param.top_k, param.axis, param.ignore_label if param.HasField("ignore_label") else None)
        return cls()

    def count(self, scores: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
        """(items that count, errors among them)."""
        rows = np.moveaxis(scores, self.axis, -1).reshape(-1, scores.shape[self.axis])
        index = labels.ravel().astype(np.int64)
        if len(rows) != len(index):
            raise ExportError(f"the file gives {len(rows)} rows of scores for {len(index)} labels; name another output")
        if self.ignore_label is not None:
            rows, index = rows[index != self.ignore_label], index[index != self.ignore_label]
        if len(index) and not 0 <= index.min() <= index.max() < rows.shape[1]:
            raise ExportError(
                f"the data has labels from {index.min()} to {index.max()}, but the ONNX file has {rows.shape[1]} "
                f"classes (accepted: 0 to {rows.shape[1] - 1}); give the prototxt and the data of this file's net"
            )
        own = rows[np.arange(len(index)), index][:, None]
        return len(index), int(((rows >= own).sum(axis=1) > self.top_k).sum())


def _data_layer(layers: list[Any], facts: Preprocessing, document: Document) -> tuple[Any, tuple[int, int]]:
    """The data layer that feeds the file's input, and the numbers of its tops for images and labels."""
    data = [layer for layer in layers if is_data(layer)]
    read = {name for layer in layers for name in layer.bottom[1:]}
    for layer in data:
        tops = list(layer.top)
        if facts.input_name in tops:
            place = tops.index(facts.input_name)
            rest = [i for i, top in enumerate(tops) if i != place]
            labels = [i for i in rest if tops[i] in read] or rest
            if labels:
                return layer, (place, labels[0])
    found = ", ".join(f"'{layer.name}' ({layer.type})" for layer in data) or "none"
    raise ExportError(
        f"{document.source} has no TEST data layer with the input '{facts.input_name}' and labels (data layers: "
        f"{found}); give the train_val prototxt"
    )


def _open(layer: Any, facts: Preprocessing, document: Document) -> Source:
    """The layer's source; without mean and scale where the graph has them."""
    param = pb.LayerParameter()
    param.CopyFrom(layer)
    if facts.in_graph:
        for name in ("mean_file", "mean_value", "scale"):
            param.transform_param.ClearField(name)
    where = next(document.where("layer", i) for i, other in enumerate(document.message.layer) if other is layer)
    with naming(param.name, param.type, where):
        return open_source(param.type, param, "TEST", len(param.top), 0, _folder(document))


def _folder(document: Document) -> Path:
    return Path(document.source).parent


def _run(session: Any, facts: Preprocessing, output: str | None, images: np.ndarray) -> np.ndarray:
    names = [value.name for value in session.get_outputs()]
    if output is not None and output not in names:
        raise ExportError(f"the file has no output '{output}'; outputs: {', '.join(names)}")
    fixed = session.get_inputs()[0].shape[0]
    if isinstance(fixed, int) and len(images) != fixed:
        if len(images) > fixed:
            parts = np.split(images, range(fixed, len(images), fixed))
            return np.concatenate([_run(session, facts, output, part) for part in parts])
        padded = np.concatenate([images, np.zeros((fixed - len(images), *images.shape[1:]), np.float32)])
        return _run(session, facts, output, padded)[: len(images)]
    result: np.ndarray = session.run([output or names[0]], {facts.input_name: images})[0]
    return result
