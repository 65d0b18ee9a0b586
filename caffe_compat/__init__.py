"""Caffe's nets, solvers and files in PyTorch, with SM-Softmax and ONNX deployment.

>>> import caffe_compat
>>> net = caffe_compat.load_net("deploy.prototxt", weights="net.caffemodel")
>>> outputs = net(data=images)

Importing this package brings neither torch nor onnx; the first use of a name does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from caffe_compat.errors import (
    CaffeCompatError,
    CannotLower,
    DataError,
    ExportError,
    IgnoredFieldWarning,
    NetError,
    PrototxtError,
    SolverError,
    WeightsError,
)

if TYPE_CHECKING:
    from caffe_compat.api import export_onnx, load_net
    from caffe_compat.export.classifier import Classifier
    from caffe_compat.layers import Layer, register_layer
    from caffe_compat.net import Net
    from caffe_compat.proto import read_net, read_solver
    from caffe_compat.solver import Solver
    from caffe_compat.weights import load_weights, save_caffemodel

__version__ = "0.1.0"
_LAZY = {
    "load_net": "caffe_compat.api",
    "export_onnx": "caffe_compat.api",
    "Net": "caffe_compat.net",
    "Solver": "caffe_compat.solver",
    "Classifier": "caffe_compat.export.classifier",
    "Layer": "caffe_compat.layers",
    "register_layer": "caffe_compat.layers",
    "read_net": "caffe_compat.proto",
    "read_solver": "caffe_compat.proto",
    "load_weights": "caffe_compat.weights",
    "save_caffemodel": "caffe_compat.weights",
}

__all__ = [
    "CaffeCompatError", "CannotLower", "Classifier", "DataError", "ExportError", "IgnoredFieldWarning", "Layer", "Net",
    "NetError", "PrototxtError", "Solver", "SolverError", "WeightsError", "export_onnx", "load_net", "load_weights",
    "read_net", "read_solver", "register_layer", "save_caffemodel",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'caffe_compat' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
