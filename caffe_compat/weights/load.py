"""Weights into a net, by layer name (as Caffe's Net::CopyTrainedLayersFrom)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from caffe_compat.errors import WeightsError
from caffe_compat.layers import Layer
from caffe_compat.net import Net, Node
from caffe_compat.weights.blob import StoredBlob
from caffe_compat.weights.caffemodel import StoredLayer, stored_layers

Weights = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_SHOWN = 12


@dataclass
class LoadReport:
    """What became of the layers, by name: ``loaded`` from a file; ``ignored``: in a file, but not in the net;
    ``untouched``: in the net with blobs (not all of them shared with a layer that was loaded), but in no file."""

    loaded: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    untouched: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} layer(s) loaded"]
        if self.ignored:
            parts.append(f"ignored (the net has no such layer): {_list(self.ignored)}")
        if self.untouched:
            parts.append(f"left as they are (no file has such a layer): {_list(self.untouched)}")
        return "; ".join(parts)


def load_weights(net: Net, weights: Weights) -> LoadReport:
    """Copy the blobs of weight files into the layers of the same names; later files overwrite earlier ones.

    weights: a .caffemodel file, several in a list, or several in one string ("a.caffemodel,b.caffemodel").
    The report is kept as ``net.load_report``. Raises WeightsError where a file is damaged or something else, where a
    blob's number or shape differs from the net's, and where no layer of a file has a name of the net. A file that is
    refused changes nothing.
    """
    report = LoadReport()
    for path in weight_paths(weights):
        _load_file(net, path, report)
    report.untouched = _untouched(net, report.loaded)
    net.load_report = report
    return report


def weight_paths(weights: Weights) -> list[Path]:
    """The files that a ``weights`` argument names."""
    if not isinstance(weights, str | os.PathLike):
        return [path for item in weights for path in weight_paths(item)]
    if isinstance(weights, str) and "," in weights and not Path(weights).exists():
        return [Path(part.strip()) for part in weights.split(",") if part.strip()]
    return [Path(weights)]


def _untouched(net: Net, loaded: list[str]) -> list[str]:
    filled = {id(blob) for node in net.nodes if node.name in loaded for blob in node.layer.blobs}
    return [node.name for node in net.nodes if any(id(blob) not in filled for blob in node.layer.blobs)]


def _load_file(net: Net, path: Path, report: LoadReport) -> None:
    copies: list[tuple[torch.Tensor, StoredBlob]] = []
    loaded = []
    stored = stored_layers(path)
    for layer, node in _pairs(stored, net):
        if node is not None:
            shared = {index for sharer, index, _ in net._shared if sharer is node}
            copies += _matched(path, layer, node.layer, shared)
            loaded += [layer.name] if layer.blobs else []
        elif layer.blobs and layer.name not in report.ignored:
            report.ignored.append(layer.name)
    if not loaded and any(node.layer.blobs for node in net.nodes):
        raise _nothing_matched(path, stored, net)
    for blob, source in copies:
        _copy(blob, source)
    report.loaded += [name for name in loaded if name not in report.loaded]


def _pairs(stored: list[StoredLayer], net: Net) -> Iterator[tuple[StoredLayer, Node | None]]:
    """Each layer of the file with the net's of the same name.

    Where several have one name, those with blobs belong together in their order; where their numbers differ, Caffe
    takes the net's first for all.
    """
    theirs: dict[str, list[StoredLayer]] = {}
    ours: dict[str, list[Node]] = {}
    for layer in stored:
        theirs.setdefault(layer.name, []).append(layer)
    for node in net.nodes:
        ours.setdefault(node.name, []).append(node)
    for name, layers in theirs.items():
        nodes: list[Node | None] = [*ours.get(name, [])]
        if len(layers) > 1 or len(nodes) > 1:
            layers = [layer for layer in layers if layer.blobs] or layers[:1]
            nodes = [node for node in nodes if node and node.layer.blobs] or nodes[:1]
        if len(layers) != len(nodes):
            nodes = nodes[:1] * len(layers)
        yield from zip(layers, nodes or [None] * len(layers), strict=True)


def _matched(path: Path, source: StoredLayer, layer: Layer, shared: set[int]) -> list[tuple[torch.Tensor, StoredBlob]]:
    """The layer's blobs and what is to be copied into them; ``shared``: those that may be missing in HDF5."""
    remedy = "to train this layer from its fillers (fine-tuning), give it another name in the net"
    optional = shared if source.owners_only else set()
    if set(range(len(layer.blobs))) - optional != set(source.blobs) - optional:
        raise WeightsError(
            f"{path}: layer '{source.name}' has {len(source.blobs)} blob(s) in the file, {len(layer.blobs)} in the net "
            f"({', '.join(layer.blob_names) or 'none'}); {remedy}"
        )
    for index, stored in source.blobs.items():
        name, blob = layer.blob_names[index], layer.blobs[index]
        if not stored.fits(tuple(blob.shape)):
            raise WeightsError(
                f"{path}: blob '{name}' of layer '{source.name}' has shape {list(stored.shape)} in the file, "
                f"{list(blob.shape)} in the net; {remedy}"
            )
        if stored.values.size != math.prod(blob.shape):
            raise WeightsError(
                f"{path}: blob '{name}' of layer '{source.name}' has shape {list(stored.shape)}, but the file holds "
                f"{stored.values.size} values for it; the file is damaged: copy or download it again"
            )
    return [(layer.blobs[index], stored) for index, stored in source.blobs.items()]


def _copy(blob: torch.Tensor, source: StoredBlob) -> None:
    host = np.empty(tuple(blob.shape), np.float32)
    np.copyto(host, source.values.reshape(host.shape), casting="same_kind")
    with torch.no_grad():
        blob.copy_(torch.from_numpy(host))


def _nothing_matched(path: Path, stored: list[StoredLayer], net: Net) -> WeightsError:
    theirs = [layer.name for layer in stored if layer.blobs]
    ours = [node.name for node in net.nodes if node.layer.blobs]
    return WeightsError(
        f"{path}: no layer of the file has the name of a layer of the net, so nothing would be loaded; the file has "
        f"{_list(theirs)}; the net has {_list(ours)}; give the layers the same names"
    )


def _list(names: list[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more
