"""Are two arrays the same but for rounding, where rounding may also tip a comparison?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from caffe_compat.net import Net
from tests.golden.compare import difference, to_numpy

EXACT = {
    "Input", "DummyData", "Parameter", "ReLU", "Concat", "Slice", "Split", "Reshape", "Flatten", "Crop", "Tile",
    "Filter", "BatchReindex", "AbsVal", "Clip", "Threshold", "ArgMax", "Embed", "Silence", "Im2col", "Dropout",
}  # fmt: skip
"""Layers that round nothing, or too little to matter."""
CANCELLING = {"MVN", "BatchNorm"}
"""Layers that subtract a mean: what is left of equal values is rounding, which they divide by a small number."""


def same(what: str, found: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float = 0.0) -> None:
    """Raise AssertionError that tells the first array that differs. ``tolerance``: of the largest value."""
    assert list(found) == list(expected), f"{what}: {list(found)} instead of {list(expected)}"
    for name, value in found.items():
        problem = difference(to_numpy(value), to_numpy(expected[name]), tolerance, 1e-6 if tolerance else 0.0)
        assert problem is None, f"{what}, {name}: {problem}".replace("Caffe has", "the other")


def shaken(net: Net, inputs: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The outputs where every layer rounds otherwise: its top is changed by about 1e-6 of each value."""
    random = torch.Generator().manual_seed(seed)

    def shake(module: Any, bottoms: Any, tops: Any) -> Any:
        return tuple(map(_shake, tops)) if isinstance(tops, tuple) else _shake(tops)

    def _shake(top: Tensor) -> Tensor:
        noise = torch.randn(top.shape, generator=random, dtype=top.dtype)
        return top + noise * (top.abs() * 5e-7 + top.abs().max() * 2e-7 if top.numel() else 0)

    def shake_bottoms(module: Any, bottoms: tuple[Tensor, ...]) -> Any:
        return tuple(map(_shake, bottoms))

    handles = [node.layer.register_forward_hook(shake) for node in net.nodes if node.type not in EXACT]
    handles += [n.layer.register_forward_pre_hook(shake_bottoms) for n in net.nodes if n.type in CANCELLING]
    keep, net.keep_blobs = net.keep_blobs, True
    try:
        with torch.no_grad():
            torch.manual_seed(0)
            return net(**inputs)
    finally:
        net.keep_blobs = keep
        for handle in handles:
            handle.remove()
