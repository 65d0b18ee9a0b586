"""Learning-rate policies: the rate of an iteration, in float32 as Caffe computes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe_compat.errors import SolverError


@dataclass
class Schedule:
    """The rate of every iteration, from the fields of a SolverParameter.

    ``current_step``: how often ``step`` or ``multistep`` has lowered the rate; it belongs to a solver's state.
    ``warmup_iter`` (ours): during so many first iterations the rate rises linearly from ``warmup_start_lr`` to the
    policy's.
    """

    policy: str
    base_lr: float
    gamma: float = 0.0
    power: float = 0.0
    stepsize: int = 0
    stepvalues: tuple[int, ...] = ()
    max_iter: int = 0
    warmup_iter: int = 0
    warmup_start_lr: float = 0.0
    current_step: int = 0

    def rate(self, iteration: int) -> float:
        """The rate of ``iteration`` (from 0); ask for every iteration, in order."""
        rate = np.float32(POLICIES[self.policy].rate(self, iteration))
        if iteration < self.warmup_iter:
            start = np.float32(self.warmup_start_lr)
            rate = start + (rate - start) * np.float32(iteration / self.warmup_iter)
        return float(rate)


@dataclass(frozen=True)
class Policy:
    """``rate(schedule, iteration)``, and the fields of the solver that must lie in a range: name -> least value."""

    rate: Callable[[Schedule, int], float]
    least: dict[str, float]


POLICIES: dict[str, Policy] = {}
PolicyFunction = Callable[[Schedule, int], float]


def lr_policy(name: str, **least: float) -> Callable[[PolicyFunction], PolicyFunction]:
    """Register a policy; ``least``: the smallest value accepted of a solver's field."""

    def register(function: PolicyFunction) -> PolicyFunction:
        if name in POLICIES:
            raise SolverError(f"learning-rate policy '{name}' is registered twice")
        POLICIES[name] = Policy(function, least)
        return function

    return register


def make_schedule(param: Any) -> Schedule:
    """The Schedule of a SolverParameter (message). Its policy must be known."""
    return Schedule(
        param.lr_policy, param.base_lr, param.gamma, param.power, param.stepsize, tuple(param.stepvalue),
        param.max_iter, param.warmup_iter, param.warmup_start_lr,
    )  # fmt: skip


@lr_policy("fixed")
def _fixed(s: Schedule, iteration: int) -> float:
    """base_lr"""
    return s.base_lr


@lr_policy("step", stepsize=1, gamma=0)
def _step(s: Schedule, iteration: int) -> float:
    """base_lr * gamma ^ floor(iteration / stepsize)"""
    s.current_step = iteration // s.stepsize
    return s.base_lr * _power(s.gamma, s.current_step)


@lr_policy("exp", gamma=0)
def _exp(s: Schedule, iteration: int) -> float:
    """base_lr * gamma ^ iteration"""
    return s.base_lr * _power(s.gamma, iteration)


@lr_policy("inv", gamma=0)
def _inv(s: Schedule, iteration: int) -> float:
    """base_lr * (1 + gamma * iteration) ^ -power"""
    return s.base_lr * _power(float(np.float32(1) + np.float32(s.gamma) * np.float32(iteration)), -s.power)


@lr_policy("multistep", gamma=0)
def _multistep(s: Schedule, iteration: int) -> float:
    """base_lr * gamma ^ k, k the number of stepvalues reached; k grows by one in an iteration at most"""
    if s.current_step < len(s.stepvalues) and iteration >= s.stepvalues[s.current_step]:
        s.current_step += 1
    return s.base_lr * _power(s.gamma, s.current_step)


@lr_policy("poly", max_iter=1)
def _poly(s: Schedule, iteration: int) -> float:
    """base_lr * (1 - iteration / max_iter) ^ power"""
    rest = np.float32(1) - np.float32(iteration) / np.float32(s.max_iter)
    return s.base_lr * _power(float(rest), s.power)


@lr_policy("sigmoid", stepsize=1, gamma=0)
def _sigmoid(s: Schedule, iteration: int) -> float:
    """base_lr / (1 + e ^ (-gamma * (iteration - stepsize)))"""
    exponent = -s.gamma * (iteration - s.stepsize)
    return s.base_lr * (1 / (1 + math.exp(exponent))) if exponent < 700 else 0.0


def _power(base: float, exponent: float) -> float:
    """base ^ exponent as C's pow: not a number, or infinite, where Python raises."""
    with np.errstate(all="ignore"):
        return float(np.power(np.float64(base), np.float64(exponent)))
