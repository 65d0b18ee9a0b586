"""From a Net to ONNX, and what runs there: lowering, deploy form, preprocessing, verification, inference.

Names are imported at their first use: the classifier needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe_compat.export.lower import Lowered, lower, lower_net
    from caffe_compat.export.opsets import DEFAULT_OPSET, NEWEST_OPSET, OLDEST_OPSET, SUPPORTED_OPSETS

_HOMES = {
    "lower": ("Lowered", "lower_net"),
    "opsets": ("DEFAULT_OPSET", "NEWEST_OPSET", "OLDEST_OPSET", "SUPPORTED_OPSETS"),
}
_LAZY = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = ["DEFAULT_OPSET", "NEWEST_OPSET", "OLDEST_OPSET", "SUPPORTED_OPSETS", "Lowered", "lower_net"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
