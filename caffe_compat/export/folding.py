"""Fold what scales and shifts the channels of a convolution into its weights.

Algebra: conv(x) = W * x + b, followed by y = s * conv(x) + t per output channel, is a convolution with the weights
s * W and the bias s * b + t. BatchNormalization is s = gamma / sqrt(variance + eps), t = beta - mean * s; Scale is a
Mul and an Add by constants. onnxruntime does the same when it loads a file; folding is for runtimes that do not. It
changes the last bits of the results, so it is off unless asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper


def fold_scales(model: onnx.ModelProto) -> int:
    """Fold in place all that can be; the number of nodes that disappeared."""
    graph = _Graph(model.graph)
    folded = 0
    for conv in [node for node in model.graph.node if node.op_type == "Conv"]:
        while (follower := graph.only_reader(conv.output[0])) is not None:
            change = graph.change(conv, follower)
            if change is None:
                break
            graph.apply(conv, follower, *change)
            folded += 1
    graph.drop_unread()
    return folded


class _Graph:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.outputs = {output.name for output in graph.output}

    def only_reader(self, value: str) -> onnx.NodeProto | None:
        readers = [node for node in self.graph.node if value in node.input]
        return readers[0] if len(readers) == 1 and value not in self.outputs else None

    def change(self, conv: onnx.NodeProto, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray] | None:
        """(s, t) of what ``node`` does to the channels of ``conv``; None where it is something else."""
        channels = self.constant(conv.input[1])
        if channels is None or len(channels) == 0:
            return None
        if node.op_type == "BatchNormalization" and node.input[0] == conv.output[0] and len(node.output) == 1:
            constants = [self.constant(name) for name in node.input[1:]]
            if any(constant is None for constant in constants):
                return None
            gamma, beta, mean, variance = (np.float64(constant) for constant in constants)
            eps = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
            with np.errstate(invalid="ignore", divide="ignore"):  # a variance below -eps gives NaN, as the layer does
                scale = gamma / np.sqrt(variance + eps)
            return scale, beta - mean * scale
        if node.op_type in ("Mul", "Add") and node.input[0] == conv.output[0]:
            values = self.per_channel(node.input[1], channels)
            zeros = np.zeros(len(channels))
            if values is not None:
                return (values, zeros) if node.op_type == "Mul" else (zeros + 1, values)
        return None

    def constant(self, name: str) -> np.ndarray | None:
        """The value of an initializer, also behind an Unsqueeze or Reshape."""
        for tensor in self.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        for node in self.graph.node:
            if name in node.output and node.op_type == "Unsqueeze":
                inner, axes = self.constant(node.input[0]), self.constant(node.input[1])
                return None if inner is None or axes is None else np.expand_dims(inner, tuple(axes.tolist()))
        return None

    def per_channel(self, name: str, weights: np.ndarray) -> np.ndarray | None:
        """A constant that broadcasts over (N, C, ...) with one value per channel, as float64 (C,)."""
        constant = self.constant(name)
        if constant is None:
            return None
        shape = (1,) * (weights.ndim - constant.ndim) + constant.shape
        channels = len(weights)
        if len(shape) != weights.ndim or shape not in ((1, channels, *[1] * (weights.ndim - 2)), (1,) * weights.ndim):
            return None
        return np.broadcast_to(constant.astype(np.float64).ravel(), (channels,))

    def apply(self, conv: onnx.NodeProto, node: onnx.NodeProto, scale: np.ndarray, shift: np.ndarray) -> None:
        weights = self.constant(conv.input[1])
        old = self.constant(conv.input[2]) if len(conv.input) > 2 and conv.input[2] else np.float64(0)
        assert weights is not None
        assert old is not None
        spread = scale.reshape(-1, *[1] * (weights.ndim - 1))
        stem = conv.output[0]
        conv.input[1] = self.add(f"{stem}.folded_weight", weights * spread)
        bias = self.add(f"{stem}.folded_bias", scale * old + shift)
        conv.input[2:] = [bias]
        conv.output[0] = node.output[0]
        self.graph.node.remove(node)

    def add(self, name: str, values: np.ndarray) -> str:
        taken = {tensor.name for tensor in self.graph.initializer}
        while name in taken:
            name += "_"
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def drop_unread(self) -> None:
        """Remove the nodes, constants and descriptions that nothing needs any more."""
        while True:
            read = self.outputs | {name for node in self.graph.node for name in node.input}
            idle = [node for node in self.graph.node if not read.intersection(node.output)]
            if not idle:
                break
            for node in idle:
                self.graph.node.remove(node)
        made = {name for node in self.graph.node for name in node.output}
        _keep(self.graph.initializer, read)
        _keep(self.graph.value_info, made)


def _keep(field: Any, names: set[str]) -> None:
    kept = [item for item in field if item.name in names]
    del field[:]
    field.extend(kept)
