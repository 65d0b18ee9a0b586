"""Small nets for the tests of the net's passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caffe_compat import load_net
from caffe_compat.net import Net

FILL = 'weight_filler { type: "xavier" } bias_filler { type: "gaussian" std: 0.5 }'
SIZES = (2, 4, 3, 5)


def layer(name: str, type: str, bottoms: str = "", tops: str = "", more: str = "") -> str:
    """The text of a layer; bottoms and tops are names separated by spaces."""
    wiring = "".join(f'bottom: "{blob}" ' for blob in bottoms.split()) + "".join(f'top: "{b}" ' for b in tops.split())
    return f'layer {{ name: "{name}" type: "{type}" {wiring}{more} }}\n'


def source(name: str = "data", sizes: tuple[int, ...] = SIZES) -> str:
    dims = " ".join(f"dim: {size}" for size in sizes)
    return layer(name, "Input", "", name, f"input_param {{ shape {{ {dims} }} }}")


def fc(name: str, bottom: str, count: int, more: str = "") -> str:
    """An InnerProduct layer whose top has its name."""
    return layer(name, "InnerProduct", bottom, name, f"inner_product_param {{ num_output: {count} {FILL} }} {more}")


def build(*layers: str, seed: int = 1, **options: Any) -> Net:
    return load_net("\n".join(layers) + "\n", seed=seed, **options)


def names(net: Net) -> list[str]:
    return [node.name for node in net.nodes]


def random(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randn(sizes or SIZES, generator=torch.Generator().manual_seed(seed))


def passed(net: Net, data: Tensor) -> dict[str, Tensor]:
    """Outputs, gradients of the input and of every parameter, and statistics, after one pass from a fixed seed."""
    torch.manual_seed(5)
    x = data.clone().requires_grad_()
    outputs = net(x)
    total = sum((top * random(*top.shape, seed=3)).sum() for top in outputs.values())
    assert isinstance(total, Tensor)
    total.backward()
    found = dict(outputs)
    found.update({f"{name} (gradient)": blob.grad for name, blob in net.named_parameters() if blob.grad is not None})
    found.update({name: buffer.clone() for name, buffer in net.named_buffers()})
    assert x.grad is not None
    return {**found, "data (gradient)": x.grad}


def assert_same(left: dict[str, Tensor], right: dict[str, Tensor], tolerance: float = 0.0) -> None:
    assert left.keys() == right.keys()
    off = {name: float((left[name] - right[name]).detach().abs().max()) for name in left}
    allowed = {name: tolerance * (1 + float(right[name].detach().abs().max())) for name in right}
    assert not [name for name in off if not off[name] <= allowed[name]], off
