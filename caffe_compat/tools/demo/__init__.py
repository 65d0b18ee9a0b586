"""The whole line on real digits: train, fine-tune with SM-Softmax, export, verify, classify."""

from __future__ import annotations

from caffe_compat.tools.demo.run import run_demo

__all__ = ["run_demo"]
