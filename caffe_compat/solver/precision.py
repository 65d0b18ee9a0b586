"""The precision of the forward pass, and the scale of the loss that small gradients need in float16."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from caffe_compat.errors import SolverError
from caffe_compat.net import Net

TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FIRST_SCALE, GROWTH, BACKOFF, GROWTH_INTERVAL = 2.0**16, 2.0, 0.5, 2000


class Precision:
    """fp32, tf32, bf16 or fp16: the type in which layers that ``autocasts`` names compute; the rest is float32.

    tf32: in float32, but a GPU may round the factors of convolutions and matrix products (``allow_tf32``).

    Losses, statistics of BatchNorm and all other layers are float32, too. The loss is multiplied by ``scale`` before
    the backward pass, and ``unscale`` divides the gradients: by NVIDIA Caffe's ``global_grad_scale`` (default 1). In
    fp16 that is only where it starts (65536 where it is not given): a gradient that overflows halves it, and makes
    this update void; 2000 updates without one double it. Nothing here waits for the device.
    """

    def __init__(self, name: str, net: Net, device: torch.device) -> None:
        if name not in TYPES:
            raise SolverError(f"precision is {name!r}; accepted: {', '.join(TYPES)}")
        if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(False):
            raise SolverError("precision is bf16, which this GPU does not compute; accepted: fp32, tf32, fp16")
        param = net.document.message
        given = float(param.global_grad_scale)
        if not 0 < given < float("inf"):
            place = net.document.where("global_grad_scale")
            raise SolverError(f"{place}: global_grad_scale is {given:g}; accepted: a number above 0")
        self.type, self.device = TYPES[name], device
        if device.type == "cuda":
            allow_tf32(name == "tf32")
        self.scale: float | Tensor = given
        if name == "fp16":
            first = given if param.HasField("global_grad_scale") else FIRST_SCALE
            self.scale = torch.tensor(first, device=device)
            self._age = torch.zeros((), dtype=torch.int32, device=device)  # updates since the scale last changed
        if self.type != torch.float32:
            _widen(net)

    def autocast(self) -> AbstractContextManager[None]:
        """What the forward pass runs in."""
        if self.type == torch.float32:
            return nullcontext()
        # without its cache of weights: what a layer without a gradient puts there, one with a gradient must not find
        return torch.autocast(self.device.type, self.type, cache_enabled=False)

    def scaled(self, loss: Tensor) -> Tensor:
        """What the backward pass begins with."""
        return loss if isinstance(self.scale, float) and self.scale == 1 else loss * self.scale

    def unscale(self, gradients: list[Tensor]) -> Tensor | None:
        """Divide the gradients by the scale. In fp16 a scalar on the device: 1 where one overflowed, else 0."""
        if isinstance(self.scale, float):
            if self.scale != 1 and gradients:
                torch._foreach_div_(gradients, self.scale)
            return None
        overflow = torch.zeros((), device=self.device)
        if gradients:
            torch._amp_foreach_non_finite_check_and_unscale_(gradients, overflow, 1 / self.scale)
        torch._amp_update_scale_(self.scale, self._age, overflow, GROWTH, BACKOFF, GROWTH_INTERVAL)
        return overflow

    @property
    def state(self) -> tuple[float, int] | None:
        """For a snapshot; None where the scale never changes. Waits for the device."""
        return None if isinstance(self.scale, float) else (float(self.scale), int(self._age))

    def restore(self, scale: float, age: int) -> None:
        """Go on from what ``state`` gave; without effect where the scale never changes."""
        if not isinstance(self.scale, float):
            self.scale.fill_(scale)
            self._age.fill_(age)


def allow_tf32(allowed: bool) -> None:
    """Whether a GPU may round the factors of float32's convolutions and matrix products to 11 bits: for the process.

    Torch by itself allows it to convolutions, on GPUs from Ampere on, whose digits are then not Caffe's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.9 to 2.11 recommend another spelling, which torch 2.8 does not know
        torch.backends.cudnn.allow_tf32 = allowed
        torch.backends.cuda.matmul.allow_tf32 = allowed


@contextmanager
def void_where(skip: Tensor | None, tensors: list[Tensor]) -> Iterator[None]:
    """What is done to ``tensors`` inside is undone where the scalar ``skip`` is not 0; the host does not look at it."""
    if skip is None:
        yield
        return
    before = _flat(tensors)
    yield
    after = torch.where(skip != 0, before, _flat(tensors)).split([tensor.numel() for tensor in tensors])
    torch._foreach_copy_(tensors, [part.view(tensor.shape) for part, tensor in zip(after, tensors, strict=True)])


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _widen(net: Net) -> None:
    """Losses, and layers that are not known to do well in half precision, see float32."""
    for node in [*net.nodes, *itertools.chain(*net.halves())]:
        node.wide = node.is_loss or not node.layer.autocasts
