"""Lowering a net for a test, and running the model in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from torch import Tensor

from caffe_compat.errors import ExportError
from caffe_compat.export import NEWEST_OPSET
from caffe_compat.export.lower import Lowered, lower

if TYPE_CHECKING:
    from caffe_compat.net import Net

OPSETS = (13, NEWEST_OPSET)
"""Every form that an operator takes lies at one of the ends."""


def lowered(net: Net, opset: int) -> Lowered:
    """The net in ONNX; a net that does not lower is a skip that tells the reason."""
    try:
        return lower(net, opset)
    except ExportError as error:
        pytest.skip(f"not lowered: {error}")


def run_onnx(model: Lowered, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """The output blobs, computed on one CPU thread, with onnxruntime's usual optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    data = model.model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    blobs = list(model.outputs)
    feed = {name: inputs[name].detach().numpy() for name in model.inputs}
    return dict(zip(blobs, session.run([model.outputs[blob] for blob in blobs], feed), strict=True))
