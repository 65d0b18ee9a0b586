"""Caffe's seven fillers, which give blobs their first values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from caffe_compat.errors import NetError

FillFunction = Callable[["Filler", Tensor, torch.Generator], None]
FILLERS: dict[str, FillFunction] = {}


@dataclass(frozen=True)
class Filler:
    """A FillerParameter: the name of the filler and its numbers, with the schema's defaults.

    ``fill(blob, generator)`` overwrites a CPU tensor; ``check(shape)`` raises NetError before that.
    """

    type: str = "constant"
    value: float = 0.0
    min: float = 0.0
    max: float = 1.0
    mean: float = 0.0
    std: float = 1.0
    sparse: int = -1
    variance_norm: str = "FAN_IN"

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse what Caffe refuses for a blob of this shape. Raises NetError."""
        if self.type not in FILLERS:
            raise NetError(f"unknown filler '{self.type}'; known fillers: {', '.join(sorted(FILLERS))}")
        if math.prod(shape) == 0:
            raise NetError(f"filler '{self.type}' has nothing to fill: the blob's shape {list(shape)} has no elements")
        self._check_numbers()
        self._check_shape(shape)

    def _check_numbers(self) -> None:
        if self.sparse < -1:
            raise NetError(f"filler sparse: {self.sparse} is out of range; accepted: -1 (dense) or a count from 0 on")
        if self.sparse >= 0 and self.type != "gaussian":
            raise NetError(f"filler '{self.type}' cannot be sparse; only gaussian can: remove 'sparse: {self.sparse}'")
        if self.type == "gaussian" and not self.std > 0:
            raise NetError(f'filler std: {self.std:g} must be above 0; for equal values use type: "constant"')
        if self.type == "uniform" and not self.min <= self.max:
            raise NetError(f"filler min: {self.min:g} is above max: {self.max:g}; exchange them")

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if self.type == "bilinear" and (len(shape) != 4 or shape[2] != shape[3]):
            raise NetError(f"filler 'bilinear' needs a blob of 4 axes with a square kernel, found shape {list(shape)}")
        if not shape and (self.type in ("xavier", "msra") or self.sparse >= 0):
            raise NetError(f"filler '{self.type}' needs a blob with an axis, found a scalar; use constant or uniform")
        if self.sparse >= 0 and self.sparse > shape[0]:
            raise NetError(
                f"filler sparse: {self.sparse} is more than the {shape[0]} items of the first axis of a blob of shape "
                f"{list(shape)}; each weight is kept with probability sparse / {shape[0]}, so at most {shape[0]}"
            )

    def fill(self, blob: Tensor, generator: torch.Generator) -> None:
        """Give every element of ``blob`` (float32, CPU) its first value."""
        self.check(tuple(blob.shape))
        FILLERS[self.type](self, blob, generator)


def filler(name: str) -> Callable[[FillFunction], FillFunction]:
    """Register a fill function under Caffe's name of it."""

    def register(function: FillFunction) -> FillFunction:
        if name in FILLERS:
            raise NetError(f"filler '{name}' is registered twice")
        FILLERS[name] = function
        return function

    return register


def fan(shape: tuple[int, ...], norm: str) -> float:
    """Caffe's fans: count / shape[0], count / shape[1] (the whole count for one axis), or their mean."""
    count = math.prod(shape)
    fan_in = count / (shape[0] if shape else 1)
    fan_out = count / (shape[1] if len(shape) > 1 else 1)
    return {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[norm]


@filler("constant")
def _constant(filler: Filler, blob: Tensor, generator: torch.Generator) -> None:
    blob.fill_(filler.value)


@filler("uniform")
def _uniform(filler: Filler, blob: Tensor, generator: torch.Generator) -> None:
    blob.uniform_(filler.min, filler.max, generator=generator)


@filler("gaussian")
def _gaussian(filler: Filler, blob: Tensor, generator: torch.Generator) -> None:
    blob.normal_(filler.mean, filler.std, generator=generator)
    if filler.sparse >= 0:
        blob.mul_(torch.bernoulli(torch.full_like(blob, filler.sparse / blob.shape[0]), generator=generator))


@filler("positive_unitball")
def _positive_unitball(filler: Filler, blob: Tensor, generator: torch.Generator) -> None:
    blob.uniform_(0, 1, generator=generator)
    rows = blob.view(blob.shape[0] if blob.dim() else 1, -1)
    rows.div_(rows.sum(1, keepdim=True))


@filler("xavier")
def _xavier(filler: Filler, blob: Tensor, generator: torch.Generator) -> None:
    limit = math.sqrt(3 / fan(tuple(blob.shape), filler.variance_norm))
    blob.uniform_(-limit, limit, generator=generator)


@filler("msra")
def _msra(filler: Filler, blob: Tensor, generator: torch.Generator) -> None:
    blob.normal_(0, math.sqrt(2 / fan(tuple(blob.shape), filler.variance_norm)), generator=generator)


@filler("bilinear")
def _bilinear(filler: Filler, blob: Tensor, generator: torch.Generator) -> None:
    size = blob.shape[3]
    factor = math.ceil(size / 2)
    center = (size - 1) / (2 * factor)
    line = 1 - (torch.arange(size, dtype=torch.float32) / factor - center).abs()
    blob.copy_(line[:, None] * line[None, :])
