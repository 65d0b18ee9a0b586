"""Which versions of the ONNX operator set are written."""

from __future__ import annotations

from typing import Any

import onnx

from caffe_compat.errors import ExportError

OLDEST_OPSET = 13
NEWEST_OPSET = min(26, onnx.defs.onnx_opset_version())
"""26 is the newest that onnxruntime 1.31 runs; an older onnx package may know fewer."""
SUPPORTED_OPSETS = range(OLDEST_OPSET, NEWEST_OPSET + 1)
DEFAULT_OPSET = 17
"""Runs in onnxruntime 1.12 and newer, TensorRT 8.6 and newer, OpenCV 4 and OpenVINO."""


def checked_opset(opset: Any) -> int:
    """``opset``, or the default for None. Raises ExportError for one that is not supported."""
    if opset is None:
        return DEFAULT_OPSET
    if isinstance(opset, bool) or not isinstance(opset, int) or opset not in SUPPORTED_OPSETS:
        raise ExportError(
            f"opset {opset!r} is not supported; accepted: {OLDEST_OPSET} to {NEWEST_OPSET} (default {DEFAULT_OPSET})"
        )
    return opset
