"""A drawn net: its prototxt, and in comments above it the phase and the kinds of values that it is run on."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from caffe_compat.api import load_net
from caffe_compat.net import Net

Shape = tuple[int, ...]


@dataclass
class Case:
    """``values``: input -> kind of its values (see ``make``). ``blobs``: kind of the parameters' values.

    ``rough``: values are huge, infinite or NaN somewhere, so that a difference means nothing.
    """

    body: str
    phase: str = "TRAIN"
    values: dict[str, str] = field(default_factory=dict)
    blobs: str = "smooth"
    rough: bool = False

    def __str__(self) -> str:
        kinds = [f"# {name}: {kind}" for name, kind in self.values.items()]
        rough = ["# rough: yes"] if self.rough else []
        return "\n".join([f"# phase: {self.phase}", f"# blobs: {self.blobs}", *rough, *kinds, self.body])

    @classmethod
    def read(cls, text: str) -> Case:
        """The case of a text that ``str`` made; comments may be missing."""
        found = dict(re.findall(r"^# (\S+): (.+)$", text, re.M))
        known = {"phase": found.pop("phase", "TRAIN"), "blobs": found.pop("blobs", "smooth")}
        body = re.sub(r"^#.*\n", "", text, flags=re.M)
        return cls(body, **known, rough=found.pop("rough", "") == "yes", values=found)

    def net(self, seed: int = 1, phase: str | None = None, text: str | None = None) -> Net:
        """The net, its blobs filled with values of the kind ``blobs``."""
        net = load_net(self.body if text is None else text, phase=phase or self.phase, seed=seed)
        fill(net, self.blobs)
        return net

    def inputs(self, net: Net, batch: int | None = None, first: Iterable[str] = ()) -> dict[str, Tensor]:
        """Values of all inputs; ``batch``: in place of the size that the first axis of the first of ``first`` has."""
        shapes = input_shapes(net)
        now = next((shapes[name][0] for name in first if shapes[name]), None)
        if batch is not None:
            shapes = {name: (batch, *shape[1:]) if shape[:1] == (now,) else shape for name, shape in shapes.items()}
        return {name: make(self.values.get(name, "smooth"), shape, name) for name, shape in shapes.items()}


def input_shapes(net: Net) -> dict[str, Shape]:
    """The sizes of the inputs, not those of what is written over them in place."""
    nodes = [node for node in net.nodes if node.type == "Input"]
    return {top: shape for node in nodes for top, shape in zip(node.tops, node.top_shapes, strict=True)}


def fill(net: Net, kind: str) -> None:
    """Values for all blobs; statistics get positive ones."""
    with torch.no_grad():
        for node in net.nodes:
            for i, (name, blob) in enumerate(zip(node.layer.blob_names, node.layer.blobs, strict=True)):
                learned = name in node.layer._parameters or name in node.reshaped
                values = make(kind if learned else "positive", tuple(blob.shape), f"{node.name} {i}")
                blob.copy_(values)


def make(kind: str, shape: Shape, name: str) -> Tensor:
    """Values of a kind, always the same for a name and shape.

    smooth: all different, none near 0, within 1.5; ties: small whole numbers; positive: as smooth, from 0.2 on;
    simplex: positive, sums of 1 along axis 1; labels K: whole numbers below K; flags: 0 and 1; sequence: 0 at the
    first step, then 0 and 1.
    """
    random = torch.Generator().manual_seed(zlib.crc32(f"{name} {shape}".encode()))
    word, *rest = kind.split()
    return _MAKERS[word](shape, random, *map(int, rest))


def _smooth(shape: Shape, random: torch.Generator) -> Tensor:
    count = torch.Size(shape).numel()
    order = torch.randperm(count, generator=random).float()
    shift = 0.25 + 0.5 * float(torch.rand((), generator=random))  # other values in another blob of this shape
    return ((order - count // 2 + shift) * (3 / max(count, 2))).reshape(shape)


def _ties(shape: Shape, random: torch.Generator) -> Tensor:
    return torch.randint(-2, 3, shape, generator=random).float()


def _labels(shape: Shape, random: torch.Generator, classes: int = 2) -> Tensor:
    return torch.randint(0, classes, shape, generator=random).float()


def _sequence(shape: Shape, random: torch.Generator) -> Tensor:
    values = _labels(shape, random)
    values[:1] = 0
    return values


def _simplex(shape: Shape, random: torch.Generator) -> Tensor:
    values = _smooth(shape, random)
    return torch.softmax(values, 1 if values.dim() > 1 else 0)


_MAKERS: dict[str, Any] = {
    "smooth": _smooth,
    "ties": _ties,
    "positive": lambda shape, random: _smooth(shape, random).abs() + 0.2,
    "simplex": _simplex,
    "labels": _labels,
    "flags": _labels,
    "sequence": _sequence,
}
