"""One update of all parameters: clip, average over iter_size, decay, apply the rule (in Caffe's order)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from caffe_compat.net import LearnableParam
from caffe_compat.solver.precision import void_where
from caffe_compat.solver.updates import RULES, Tensors, float32

CACHED = 1 << 20
"""Elements of a group on the CPU: parameter, gradient and history of so many stay in its cache from pass to pass."""


@dataclass
class Group:
    """Parameters, by index, that have one factor of rate and one of decay."""

    indices: list[int]
    lr_mult: float
    decay_mult: float


class Updater:
    """The parameters of a net with their history.

    ``history``: one tensor per parameter and slot of the rule, in the order of Caffe's files. ``clip_norm``: the norm
    of the last gradient, a tensor that nobody has waited for; None unless ``clip_gradients`` is set.
    """

    def __init__(self, learnable: list[LearnableParam], param: Any) -> None:
        self.rule = RULES[param.type](param)
        self.params = [entry.tensor for entry in learnable]
        self.history = [torch.zeros_like(p, requires_grad=False) for _ in range(self.rule.slots) for p in self.params]
        self.groups = _groups(learnable)
        self.clip = float32(param.clip_gradients)
        self.normalization = float32(1 / param.iter_size)
        self.decay = float(param.weight_decay)
        self.l1 = param.regularization_type == "L1"
        self.clip_norm: Tensor | None = None

    @property
    def gradients(self) -> Tensors:
        """Those that there are."""
        return [param.grad for param in self.params if param.grad is not None]

    def clear(self, keep: bool = False) -> None:
        """Forget the gradients of the last iteration; with ``keep`` they become zeros where they lie."""
        if keep and self.gradients:
            torch._foreach_zero_(self.gradients)
            return
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def apply(self, rate: float, iteration: int, skip: Tensor | None = None) -> None:
        """Update the parameters with their gradients; ``rate``: the iteration's learning rate.

        ``skip``: a scalar on the device; where it is not 0, parameters and history stay what they are.
        """
        trained = [self.params[i] for group in self.groups for i in group.indices]
        with void_where(skip, [*trained, *self.history]):
            self._apply(rate, iteration)

    def _apply(self, rate: float, iteration: int) -> None:
        gradients = self.gradients
        if self.clip >= 0 and gradients:
            self._clip(gradients)
        if self.normalization != 1 and gradients:
            torch._foreach_mul_(gradients, self.normalization)
        for group in self.groups:
            params = [self.params[i] for i in group.indices]
            grads = [_gradient(param) for param in params]
            self._decay(params, grads, float32(self.decay * group.decay_mult))
            self.rule.update(params, grads, self._history(group), float32(rate * group.lr_mult), iteration)

    def _clip(self, gradients: Tensors) -> None:
        """Scale all gradients down to the norm ``clip_gradients``; the factor stays on the device."""
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, torch.where(norm > self.clip, self.clip / norm, 1.0))
        self.clip_norm = norm

    def _decay(self, params: Tensors, grads: Tensors, decay: float) -> None:
        if decay:
            torch._foreach_add_(grads, torch._foreach_sign(params) if self.l1 else params, alpha=decay)

    def _history(self, group: Group) -> list[Tensors]:
        slots = range(0, len(self.history), len(self.params))
        return [[self.history[slot + i] for i in group.indices] for slot in slots]


def _groups(learnable: list[LearnableParam]) -> list[Group]:
    """Parameters with lr_mult 0 belong to none: they never change.

    On a GPU a group is one kernel a pass, and should be large; on the CPU it should fit into the cache.
    """
    groups: dict[tuple[float, float], list[Group]] = {}
    for index, entry in enumerate(learnable):
        key = (float(entry.lr_mult or 0.0), float(entry.decay_mult or 0.0))
        if not key[0]:
            continue
        like = groups.setdefault(key, [Group([], *key)])
        held = [learnable[i].tensor.numel() for i in like[-1].indices]
        if held and entry.tensor.device.type == "cpu" and sum(held) + entry.tensor.numel() > CACHED:
            like.append(Group([], *key))
        like[-1].indices.append(index)
    return [group for like in groups.values() for group in like]


def _gradient(param: Tensor) -> Tensor:
    """A parameter that no gradient reaches still decays, and follows its momentum."""
    if param.grad is None:
        param.grad = torch.zeros_like(param)
    return param.grad
