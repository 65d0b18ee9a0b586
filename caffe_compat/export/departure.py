"""Where a graph leaves the net: the first blob that differs, found by making every blob an output."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx

from caffe_compat.export.difference import relative_difference
from caffe_compat.export.graph import tensor_info
from caffe_compat.export.probes import Probe
from caffe_compat.export.reference import run_layers
from caffe_compat.export.runtime import open_session
from caffe_compat.net import Net, Node

_SHOWN = 12


def first_departure(
    net: Net, model: bytes | str | os.PathLike[str], probe: Probe, tolerance: float, threads: int | None = None
) -> str:
    """A report of all blobs up to a few behind the first that differs by more than ``tolerance``, relative.

    Large files with external data are loaded whole.
    """
    loaded = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(os.fspath(model))
    blobs = _blob_values(net, loaded)
    found = _run(loaded, [name for _, _, name in blobs], probe.graph, threads)
    expected = run_layers(net, probe.net)
    lines: list[str] = []
    blamed = ""
    for node, top, name in blobs:
        if len(expected[node.index]) <= top:
            continue
        theirs, ours = found[name], expected[node.index][top]
        difference, relative = relative_difference(theirs, ours)
        differs = relative > tolerance
        if differs and not blamed:
            blamed = (
                f"blob '{node.tops[top]}' of layer '{node.name}' ({node.type}), {node.where}, is the first to differ"
            )
            lines = lines[-_SHOWN // 2 :]
        lines.append(f"  {'DIFFERS' if differs else 'equal  '} {_row(node, name, theirs, ours, difference, relative)}")
        if blamed and len(lines) >= _SHOWN:
            break
    return "\n".join([blamed or "no blob between the layers differs; the outputs' names are mixed up", *lines])


def _row(node: Node, name: str, theirs: np.ndarray, ours: np.ndarray, difference: float, relative: float) -> str:
    if theirs.shape != ours.shape:
        return f"{name} ({node.type}): shape {list(theirs.shape)} in onnxruntime, {list(ours.shape)} in torch"
    return f"{name} ({node.type}): off by {difference:.3g}, {relative:.3g} relative"


def _blob_values(net: Net, model: onnx.ModelProto) -> list[tuple[Node, int, str]]:
    """(node, number of its top, name of the value) for every blob that the graph has, in the net's order."""
    layers = {node.name for node in net.nodes}
    made: dict[tuple[str, str], str] = {}
    for graph_node in model.graph.node:
        for output in graph_node.output:
            made[_layer_of(graph_node.name, layers), output] = output
    result = []
    for node in net.nodes:
        for top, blob in enumerate(node.tops):
            names = (blob, f"{blob}:{node.name}")
            result += [(node, top, name) for name in names if (node.name, name) in made][:1]
    return result


def _layer_of(graph_node: str, layers: set[str]) -> str:
    """The layer that a graph node belongs to: "conv1" or "conv1/Conv" is of layer "conv1"."""
    name = graph_node
    while name and name not in layers:
        name = name.rpartition("/")[0]
    return name


def _run(model: onnx.ModelProto, names: list[str], feed: dict[str, np.ndarray], threads: int | None) -> dict[str, Any]:
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(tensor_info(name, None) for name in dict.fromkeys(names) if name not in known)
    session = open_session(model.SerializeToString(), "cpu", threads)
    return dict(zip(names, session.run(names, feed), strict=True))
