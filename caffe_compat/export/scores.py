"""The scores behind an output of probabilities, as further outputs: where a Softmax saturates, only they can differ."""

from __future__ import annotations

import os

import onnx
from onnx import TensorProto

from caffe_compat.export.graph import tensor_info

_SQUASHING = ("Softmax", "Sigmoid")


def with_scores(model: bytes | str | os.PathLike[str], blobs: set[str]) -> tuple[bytes, dict[str, str]] | None:
    """The model with the inputs of its last Softmax and Sigmoid nodes as outputs: output of such a node -> its scores.

    Only values called like one of ``blobs`` are taken. None where there is nothing to add, or where the weights stand
    in a second file.
    """
    loaded = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(model, load_external_data=False)
    graph = loaded.graph
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in graph.initializer):
        return None
    outputs = {output.name for output in graph.output}
    squashing = [node for node in graph.node if node.op_type in _SQUASHING and outputs.intersection(node.output)]
    behind = {
        node.output[0]: node.input[0]
        for node in squashing
        if node.input[0] in blobs and node.input[0] not in outputs and _is_made(graph, node.input[0])
    }
    if not behind:
        return None
    graph.output.extend(tensor_info(name, None) for name in dict.fromkeys(behind.values()))
    return loaded.SerializeToString(), behind


def _is_made(graph: onnx.GraphProto, name: str) -> bool:
    return any(name in node.output for node in graph.node)
