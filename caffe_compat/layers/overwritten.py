"""Layers in place whose backward pass, in Caffe, finds the top's values where the bottom's were.

Caffe's layer functions are not told that top and bottom are one blob. Where the formula of the gradient reads the
bottom, value by value, it then reads the top: a well-defined gradient, though not the derivative, and what every net
trained by Caffe was trained with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def overwritten(x: Tensor, function: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]) -> Tensor:
    """y = function(x) with the gradient ``slope(y)`` times the top's: ``slope`` is the derivative as of the bottom."""
    result: Tensor = _Overwritten.apply(x, function, slope)
    return result


class _Overwritten(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]
    ) -> Tensor:
        y = function(x)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(slope(y))
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * ctx.saved_tensors[0], None, None
