"""From a Net to ONNX, and what runs there: lowering, deploy form, preprocessing, verification, inference.

Names are imported at their first use: the classifier needs no torch. ``verify`` and ``evaluate`` are in the modules of
their names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe_compat.export.classifier import Classifier
    from caffe_compat.export.deploy import Deployed, deploy_net
    from caffe_compat.export.lower import Lowered, lower_net
    from caffe_compat.export.onnx_file import export_onnx
    from caffe_compat.export.opsets import DEFAULT_OPSET, NEWEST_OPSET, OLDEST_OPSET, SUPPORTED_OPSETS
    from caffe_compat.export.preprocessing import Preprocessing
    from caffe_compat.export.report import ExportReport
    from caffe_compat.export.runtime import open_session

_HOMES = {
    "classifier": ("Classifier",),
    "deploy": ("Deployed", "deploy_net"),
    "lower": ("Lowered", "lower_net"),
    "onnx_file": ("export_onnx",),
    "opsets": ("DEFAULT_OPSET", "NEWEST_OPSET", "OLDEST_OPSET", "SUPPORTED_OPSETS"),
    "preprocessing": ("Preprocessing",),
    "report": ("ExportReport",),
    "runtime": ("open_session",),
}
_LAZY = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "DEFAULT_OPSET", "NEWEST_OPSET", "OLDEST_OPSET", "SUPPORTED_OPSETS", "Classifier", "Deployed", "ExportReport",
    "Lowered", "Preprocessing", "deploy_net", "export_onnx", "lower_net", "open_session",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
