"""The gradient of a net against central differences in float64, with respect to all inputs and blobs.

Where Caffe lets no gradient through on purpose, the differences are those of a net in which that value is held
fixed: bottoms with propagate_down false and labels (``node.cut_bottoms``), tops in ``HELD``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from caffe_compat.layers.recurrent import Recurrent
from caffe_compat.net import Net, Node
from tests.random_nets.case import Case, make

HELD: dict[str, tuple[int, ...]] = {
    "Accuracy": (0, 1), "ArgMax": (0,), "Threshold": (0,),  # scores, an index, a step: no gradient
    "Pooling": (1,),  # the position of the maximum
    "SMSoftmaxLoss": (1,), "InfogainLoss": (1,),  # the probabilities beside a loss
    "LSTM": (1, 2), "RNN": (1,),  # Caffe: the last states have no part in the backward pass
}  # fmt: skip
NOT_THE_DERIVATIVE = {
    "ContrastiveLoss": "Caffe divides by d + 1e-4 (not in the legacy version)",
    "MVN": "Caffe's gradient takes eps as small beside the standard deviation",
    "MultinomialLogisticLoss": "Caffe's gradient at a floored probability is that of the floor",
    "SigmoidCrossEntropyLoss": "1 + e^-|x| is rounded before its log as in float32",
    "InfogainLoss": "the floor 1e-20 of the probabilities has no part in the gradient",
    "SoftmaxWithLoss": "the floor FLT_MIN has no part in the gradient",
    "Eltwise": "stable_prod_grad: false divides by a factor, which may be 0",
    "Power": "a base of 0 with a fractional power",
}
"""Types, and where their gradient is not the derivative: see ``exempt``."""

KINKS = {"AbsVal", "Clip", "Eltwise", "HingeLoss", "PReLU", "Pooling", "Power", "ReLU", "Reduction", "SPP"}
"""Types that have no derivative at small whole numbers, or where two of them are equal."""


def exempt(case: Case, net: Net) -> bool:
    """Whether a layer's gradient is not the derivative, on purpose."""
    for node in net.nodes:
        text = str(node.param)
        if finds_the_top(node):
            return True
        if node.gradient_weights != node.loss_weights:
            return True  # a loss that a layer reads counts in the net's loss, and not in its gradient
        if node.type == "ContrastiveLoss" and "legacy_version: true" not in text:
            return True
        if node.type == "Clip" and node.param.clip_param.min == node.param.clip_param.max:
            return True  # the gradient passes at the one value that passes
        if case.blobs == "ties" and node.type in KINKS:
            return True
        if node.type == "MVN" and (not node.param.mvn_param.eps < 1e-6 or _flat(net, node)):
            return True
        if node.type == "Eltwise" and "stable_prod_grad: false" in text:
            return True
        if node.type == "MultinomialLogisticLoss" and float(net.blobs[node.bottoms[0]].detach().min()) < 1e-6:
            return True
        if node.type == "InfogainLoss" and _spread(net.blobs[node.bottoms[0]].detach()) > 40:
            return True
    return case.rough


def finds_the_top(node: Node) -> bool:
    """In place, with a gradient that is as of the values written over the bottom's."""
    negative = getattr(node.layer, {"ReLU": "negative_slope", "ELU": "alpha"}.get(node.type, ""), 0) < 0
    return node.layer.overwrites and (node.type in ("Clip", "BNLL") or negative)


def _spread(scores: Tensor) -> float:
    """Of scores: from 46 on a probability may lie below 1e-20."""
    return float(scores.max() - scores.min()) if scores.numel() else 0.0


def _flat(net: Net, node: Node) -> bool:
    """Groups of equal values, whose deviation is rounding beside eps; of two, whose slope is eps's part alone."""
    shape = node.bottom_shapes[0]
    across = "across_channels: true" in str(node.param)
    return bool(torch.Size(shape[1 if across else 2 :]).numel() <= 2) or _equal_values(net, node)


def _equal_values(net: Net, node: Node) -> bool:
    x = net.blobs[node.tops[0]].detach()
    if not x.numel():
        return False
    return any(bool((x.flatten(axis).std(axis, correction=0) < 1e-3).any()) for axis in (1, 2))


class Slopes:
    """Central differences of the objective: the loss, or where there is none a weighted sum of the outputs."""

    def __init__(self, case: Case, net: Net) -> None:
        self.net = net.double()
        self.inputs = {name: value.double() for name, value in case.inputs(net).items()}
        self.buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
        self.net.keep_blobs = True
        self.held: dict[tuple[int, str], tuple[Tensor, ...]] = {}

    def objective(self) -> Tensor:
        """One pass from the same state."""
        for node in self.net.nodes:
            if isinstance(node.layer, Recurrent):
                node.layer.reset()
        with torch.no_grad():
            for name, buffer in self.net.named_buffers():
                if name in self.buffers:
                    buffer.copy_(self.buffers[name])
        torch.manual_seed(0)
        outputs = self.net(**self.inputs)
        if any(node.is_loss for node in self.net.nodes):
            return self.net.loss
        weighted = [(top * make("smooth", tuple(top.shape), name).double()).sum() for name, top in outputs.items()]
        return sum(weighted, torch.zeros((), dtype=torch.float64))

    def check(self) -> int:
        """Raise AssertionError where a gradient is not the slope; how many directions were compared."""
        varied = {name: value.requires_grad_() for name, value in self.inputs.items()}
        varied |= {f"{p.layer}.{p.blob_name}": p.tensor for p in self.net.learnable if p.tensor.requires_grad}
        for tensor in varied.values():
            tensor.grad = None
        with self._recording():
            value = self.objective()
        if not value.requires_grad:
            return 0
        value.backward()
        gradients = {n: torch.zeros_like(t) if t.grad is None else t.grad for n, t in varied.items()}
        with self._holding(), torch.no_grad():
            return sum(
                self._direction(name, varied[name], gradients[name], seed)
                for name in varied if varied[name].numel() for seed in range(2)
            )  # fmt: skip

    def _direction(self, name: str, tensor: Tensor, gradient: Tensor, seed: int) -> int:
        random = torch.Generator().manual_seed(seed)
        direction = torch.randn(tensor.shape, generator=random, dtype=torch.float64)
        size, values = 1e-5, {}
        start = tensor.clone()
        for steps in (-2, -1, 0, 1, 2):
            tensor.copy_(start + direction * (size * steps / 2))
            values[steps] = float(self.objective())
        tensor.copy_(start)
        slope, half = (values[2] - values[-2]) / (2 * size), (values[1] - values[-1]) / size
        if slope != slope:
            return 0  # on one side the loss is no number (a power of a negative base), so there is no slope
        bend = [abs(values[n] - 2 * values[0] + values[-n]) * 2 / (n * size) for n in (1, 2)]
        scale = max(abs(slope), float((gradient * direction).abs().max()), 1e-3)
        rounding = 1e-14 * max(abs(value) for value in values.values()) / size + 1e-9
        if max(bend) > 1e-3 * scale + rounding or abs(slope - half) > 1e-3 * scale + rounding:
            return 0  # a kink
        ours = float((gradient * direction).sum())
        allowed = 1e-5 * scale + 8 * abs(slope - half) + 4 * rounding
        assert abs(slope - ours) <= allowed, f"gradient of {name}: {ours:.9g} along a direction, the slope {slope:.9g}"
        return 1

    # ---- values held fixed

    @contextmanager
    def _recording(self) -> Iterator[None]:
        def bottoms(node: Node) -> Any:
            return lambda module, args: self.held.update({(node.index, "bottoms"): _copies(args)})

        def tops(node: Node) -> Any:
            return lambda module, args, out: self.held.update({(node.index, "tops"): _copies(out)})

        yield from self._hooked(bottoms, tops)

    @contextmanager
    def _holding(self) -> Iterator[None]:
        def bottoms(node: Node) -> Any:
            saved = self.held[node.index, "bottoms"]
            return lambda module, args: tuple(saved[i] if i in node.cut_bottoms else a for i, a in enumerate(args))

        def tops(node: Node) -> Any:
            saved, held = self.held[node.index, "tops"], HELD.get(node.type, ())
            return lambda module, args, out: (
                tuple(saved[i] if i in held else top for i, top in enumerate(out))
                if isinstance(out, tuple) else saved[0] if 0 in held else out
            )  # fmt: skip

        yield from self._hooked(bottoms, tops)

    def _hooked(self, bottoms: Any, tops: Any) -> Iterator[None]:
        handles = []
        for node in self.net.nodes:
            if node.type != "Input":
                handles.append(node.layer.register_forward_pre_hook(bottoms(node)))
                handles.append(node.layer.register_forward_hook(tops(node)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _copies(values: Any) -> tuple[Tensor, ...]:
    return tuple(value.detach().clone() for value in (values if isinstance(values, tuple) else (values,)))
