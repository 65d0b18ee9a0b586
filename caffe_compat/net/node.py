"""One layer in its place in the net: what the passes hand to each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from caffe_compat.errors import CaffeCompatError
from caffe_compat.layers.base import Layer, Shape

HALVES = (torch.float16, torch.bfloat16)
AUTOMATIC = "(automatic)"
"""Name of the top of a loss layer that names none, as in Caffe; it is no blob that others can use."""


@dataclass
class Node:
    """A layer with its wiring. The passes of ``net.build`` fill the fields from top to bottom."""

    index: int
    param: Any
    where: str
    layer: Layer
    bottoms: list[str]
    tops: list[str]
    phase: str
    bottom_shapes: list[Shape] = field(default_factory=list)
    top_shapes: list[Shape] = field(default_factory=list)
    loss_weights: list[float] = field(default_factory=list)
    gradient_weights: list[float] = field(default_factory=list)
    """The part of each loss weight that has a gradient; what is left counts in the value of the loss alone."""
    cut_bottoms: tuple[int, ...] = ()
    """Bottoms through which no gradient flows."""
    needs_backward: bool = True
    free: tuple[str, ...] = ()
    """Blobs that no later layer reads: dropped after this one has run."""
    wide: bool = False
    """Under torch.autocast it sees and makes float32 (``solver.precision``)."""
    reshaped: dict[str, Tensor] = field(default_factory=dict)
    """Blobs shared with another shape (share_mode PERMISSIVE): name -> the owner's tensor."""

    @property
    def name(self) -> str:
        return str(self.param.name)

    @property
    def type(self) -> str:
        return str(self.param.type)

    @property
    def is_loss(self) -> bool:
        return any(weight != 0 for weight in self.loss_weights)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors raised inside name this layer."""
        with naming(self.name, self.type, self.where):
            yield

    def run(self, bottoms: list[Tensor]) -> tuple[Tensor, ...]:
        """One forward pass of the layer."""
        return self._run_wide(bottoms) if self.wide and bottoms else self._run(bottoms)

    def _run(self, bottoms: list[Tensor]) -> tuple[Tensor, ...]:
        for i in self.cut_bottoms:
            bottoms[i] = bottoms[i].detach()
        for name, owner in self.reshaped.items():
            setattr(self.layer, name, owner.view(getattr(self.layer, name).shape))
        if self.needs_backward:
            tops = self.layer(*bottoms)
        else:
            with torch.no_grad():
                tops = self.layer(*bottoms)
        for name in self.reshaped:
            setattr(self.layer, name, getattr(self.layer, name).detach())  # without the graph, as bind_shared left it
        return tops if isinstance(tops, tuple) else (tops,)

    def _run_wide(self, bottoms: list[Tensor]) -> tuple[Tensor, ...]:
        """``run`` in float32."""
        with torch.autocast(bottoms[0].device.type, enabled=False):
            wide = [bottom.float() if bottom.dtype in HALVES else bottom for bottom in bottoms]
            return self._run(wide)


@contextmanager
def naming(name: str, layer_type: str, where: str) -> Iterator[None]:
    """Put the layer's name, type and place before the text of an error raised inside."""
    try:
        yield
    except CaffeCompatError as error:
        raise located(error, name, layer_type, where) from error
    except Exception as error:
        if hasattr(error, "add_note"):  # Python 3.11
            error.add_note(f"in layer '{name}' ({layer_type}), {where}")
        raise


def located(error: CaffeCompatError, name: str, layer_type: str, where: str) -> CaffeCompatError:
    """The same error, its text led by ``layer 'conv1' (Convolution), net.prototxt:12:3:``."""
    text = str(error)
    if text.startswith("layer '"):
        return error
    return type(error)(f"layer '{name}' ({layer_type}), {where}: {text}")
