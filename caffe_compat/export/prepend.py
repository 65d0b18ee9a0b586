"""Preprocessing as the first nodes of the graph: (x - mean) * scale."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from caffe_compat.export.preprocessing import Preprocessing

_NAME = "caffe_compat.preprocess"


def prepend_preprocessing(model: onnx.ModelProto, facts: Preprocessing) -> None:
    """Let the graph take pixels from 0 to 255 (float32, in ``facts.channel_order``) instead of preprocessed ones."""
    graph, name = model.graph, facts.input_name
    steps: list[tuple[str, str, np.ndarray]] = []
    if facts.mean_image is not None or facts.mean_values:
        steps.append(("Sub", "mean", facts.mean()[None]))
    if facts.scale != 1:
        steps.append(("Mul", "scale", np.array(facts.scale, np.float32)))
    nodes, value = [], name
    for op_type, what, constant in steps:
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(constant), f"{_NAME}.{what}"))
        output = f"{_NAME}/{op_type}"
        nodes.append(helper.make_node(op_type, [value, f"{_NAME}.{what}"], [output], name=output))
        value = output
    for node in graph.node:
        node.input[:] = [value if i == name else i for i in node.input]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + rest)
