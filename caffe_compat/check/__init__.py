"""What works with a file: does it parse, build, train a step, export, and match in onnxruntime; if not, why."""

from __future__ import annotations

from caffe_compat.check.files import find_files
from caffe_compat.check.isolate import check_all
from caffe_compat.check.report import as_text

__all__ = ["as_text", "check_all", "find_files"]
