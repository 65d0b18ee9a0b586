"""Update rules: how gradients become the next parameters (as Caffe's SGDSolver and its children).

A rule sees groups of parameters with equal factors of rate and decay, and works on whole groups with torch's foreach
functions: few kernels on a GPU, no Python loop over elements, no value read back.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from caffe_compat.errors import SolverError

Tensors = list[Tensor]


class UpdateRule(ABC):
    """One solver type.

    ``slots``: how many blobs of history it keeps for each parameter; ``history``: what they are. ``least`` and
    ``below``: fields of the solver and the range that they must lie in. ``refused``: fields that must be 0. Numbers are
    rounded to float32 as in Caffe.
    """

    type: ClassVar[str] = ""
    slots: ClassVar[int] = 1
    history: ClassVar[str] = "steps"
    least: ClassVar[dict[str, float]] = {}
    below: ClassVar[dict[str, float]] = {}
    refused: ClassVar[tuple[str, ...]] = ()

    def __init__(self, param: Any) -> None:
        self.momentum = float(param.momentum)
        self.momentum2 = float(param.momentum2)
        self.rms_decay = float(param.rms_decay)
        self.delta = float(param.delta)

    @abstractmethod
    def update(self, params: Tensors, grads: Tensors, history: list[Tensors], rate: float, iteration: int) -> None:
        """Change ``params`` and ``history`` (one list of tensors per slot) in place; ``grads`` may be overwritten."""


RULES: dict[str, type[UpdateRule]] = {}


def update_rule(name: str) -> Callable[[type[UpdateRule]], type[UpdateRule]]:
    """Register a rule under Caffe's name of the solver type."""

    def register(cls: type[UpdateRule]) -> type[UpdateRule]:
        if name in RULES:
            raise SolverError(f"solver type '{name}' is registered twice")
        cls.type = name
        RULES[name] = cls
        return cls

    return register


def float32(value: float) -> float:
    """A number as a C float holds it."""
    return float(np.float32(value))


@update_rule("SGD")
class SGD(UpdateRule):
    """h = rate * g + momentum * h; w = w - h

    Differs from torch: the history contains the rate of its own time.
    """

    def update(self, params: Tensors, grads: Tensors, history: list[Tensors], rate: float, iteration: int) -> None:
        (h,) = history
        torch._foreach_mul_(h, self.momentum)
        torch._foreach_add_(h, grads, alpha=rate)
        torch._foreach_sub_(params, h)


@update_rule("Nesterov")
class Nesterov(UpdateRule):
    """h' = rate * g + momentum * h; w = w - ((1 + momentum) * h' - momentum * h)"""

    def update(self, params: Tensors, grads: Tensors, history: list[Tensors], rate: float, iteration: int) -> None:
        (h,) = history
        steps = torch._foreach_mul(h, -self.momentum)
        torch._foreach_mul_(h, self.momentum)
        torch._foreach_add_(h, grads, alpha=rate)
        torch._foreach_add_(steps, h, alpha=float32(1 + self.momentum))
        torch._foreach_sub_(params, steps)


@update_rule("AdaGrad")
class AdaGrad(UpdateRule):
    """h = h + g^2; w = w - rate * g / (sqrt(h) + delta)"""

    history = "sums of squares"
    refused = ("momentum",)

    def update(self, params: Tensors, grads: Tensors, history: list[Tensors], rate: float, iteration: int) -> None:
        (h,) = history
        torch._foreach_addcmul_(h, grads, grads)
        _scaled_step(params, grads, h, rate, self.delta)


@update_rule("RMSProp")
class RMSProp(UpdateRule):
    """h = rms_decay * h + (1 - rms_decay) * g^2; w = w - rate * g / (sqrt(h) + delta)"""

    history = "means of squares"
    refused = ("momentum",)
    least: ClassVar[dict[str, float]] = {"rms_decay": 0}
    below: ClassVar[dict[str, float]] = {"rms_decay": 1}

    def update(self, params: Tensors, grads: Tensors, history: list[Tensors], rate: float, iteration: int) -> None:
        (h,) = history
        torch._foreach_mul_(h, self.rms_decay)
        torch._foreach_addcmul_(h, grads, grads, value=float32(1 - self.rms_decay))
        _scaled_step(params, grads, h, rate, self.delta)


@update_rule("AdaDelta")
class AdaDelta(UpdateRule):
    """h = momentum * h + (1 - momentum) * g^2; u = g * sqrt((delta + k) / (delta + h));
    k = momentum * k + (1 - momentum) * u^2; w = w - rate * u
    """

    slots, history = 2, "means of squares, means of squared steps"

    def update(self, params: Tensors, grads: Tensors, history: list[Tensors], rate: float, iteration: int) -> None:
        h, k = history
        rest = float32(1 - self.momentum)
        torch._foreach_mul_(h, self.momentum)
        torch._foreach_addcmul_(h, grads, grads, value=rest)
        ratio = torch._foreach_add(k, self.delta)
        torch._foreach_div_(ratio, torch._foreach_add(h, self.delta))
        torch._foreach_sqrt_(ratio)
        torch._foreach_mul_(ratio, grads)
        torch._foreach_mul_(k, self.momentum)
        torch._foreach_addcmul_(k, ratio, ratio, value=rest)
        torch._foreach_sub_(params, ratio, alpha=rate)


@update_rule("Adam")
class Adam(UpdateRule):
    """m = b1 * m + (1 - b1) * g; v = b2 * v + (1 - b2) * g^2;
    w = w - rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + delta), with b1 momentum, b2 momentum2, t from 1

    Differs from torch: delta is added before the correction of v; b1 is 0 unless given; t is the iteration, so an
    update that fp16 made void counts (the next ones are a little smaller). Differs from Caffe: a momentum of 1 or
    more, or below 0, is refused; there the steps are no numbers.
    """

    slots, history = 2, "means, means of squares"
    least: ClassVar[dict[str, float]] = {"momentum": 0, "momentum2": 0}
    below: ClassVar[dict[str, float]] = {"momentum": 1, "momentum2": 1}

    def update(self, params: Tensors, grads: Tensors, history: list[Tensors], rate: float, iteration: int) -> None:
        m, v = history
        torch._foreach_mul_(m, self.momentum)
        torch._foreach_add_(m, grads, alpha=float32(1 - self.momentum))
        torch._foreach_mul_(v, self.momentum2)
        torch._foreach_addcmul_(v, grads, grads, value=float32(1 - self.momentum2))
        t = iteration + 1
        correction = float32(math.sqrt(1 - self.momentum2**t) / (1 - self.momentum**t))
        _scaled_step(params, m, v, float32(rate * correction), self.delta)


def _scaled_step(params: Tensors, steps: Tensors, squares: Tensors, rate: float, delta: float) -> None:
    """w = w - rate * steps / (sqrt(squares) + delta)"""
    divisors = torch._foreach_sqrt(squares)
    torch._foreach_add_(divisors, delta)
    torch._foreach_addcdiv_(params, steps, divisors, value=-rate)
