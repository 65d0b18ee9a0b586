"""Time per layer, forward and backward, as `caffe time` reports it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.net import Net
from caffe_compat.net.node import Node


def print_times(net: Net, iterations: int) -> None:
    """Print mean milliseconds of each layer and of the whole net.

    Layers are timed one by one with a synchronisation between, as Caffe does; the total of a pass is timed on its
    own, and can be less.
    """
    if iterations < 1:
        raise NetError(f"{iterations} iterations are asked for; accepted: 1 or more")
    device = net.learnable[0].tensor.device if net.learnable else torch.device("cpu")
    inputs = {name: torch.zeros(net.shapes[name], device=device) for name in net.inputs}
    forward, backward = layer_times(net, inputs, iterations)
    for node in net.nodes:
        print(f"{node.name:>20}\tforward: {forward[node.index]:.3f} ms.")
        print(f"{node.name:>20}\tbackward: {backward[node.index]:.3f} ms.")
    whole_forward = _mean(lambda: net(**inputs), iterations, device)
    print(f"Average Forward pass: {whole_forward:.3f} ms.")
    if net.loss.requires_grad:
        whole = _mean(lambda: _train(net, inputs), iterations, device)
        print(f"Average Forward-Backward: {whole:.3f} ms.")


def layer_times(net: Net, inputs: dict[str, Tensor], iterations: int) -> tuple[list[float], list[float]]:
    """Mean milliseconds per node, forward and backward (0 where no gradient flows)."""
    blobs: dict[str, Tensor] = dict(inputs)
    forward, backward = [0.0] * len(net.nodes), [0.0] * len(net.nodes)
    for node in net.nodes:
        if node.type == "Input":
            continue
        bottoms = [_leaf(blobs[name]) for name in node.bottoms]
        with node.named():
            tops = node.run([bottom.clone() for bottom in bottoms])
        device = tops[0].device if tops else torch.device("cpu")
        forward[node.index] = _mean(partial(_again, node, bottoms), iterations, device)
        wanted = [top for top in tops if top.requires_grad]
        leaves = [leaf for leaf in [*bottoms, *node.layer.parameters()] if leaf.requires_grad]
        if wanted and leaves:
            backward[node.index] = _mean(partial(_gradients, wanted, leaves), iterations, device)
        blobs.update((name, top.detach()) for name, top in zip(node.tops, tops, strict=True))
    return forward, backward


def _leaf(blob: Tensor) -> Tensor:
    return blob.detach().clone().requires_grad_(blob.is_floating_point())


def _again(node: Node, bottoms: list[Tensor]) -> None:
    node.run([bottom.clone() for bottom in bottoms] if node.layer.inplace else list(bottoms))


def _gradients(tops: list[Tensor], leaves: list[Tensor]) -> None:
    grads = [torch.ones_like(top) for top in tops]
    torch.autograd.grad(tops, leaves, grads, retain_graph=True, allow_unused=True)


def _train(net: Net, inputs: dict[str, Tensor]) -> None:
    net(**inputs)
    net.loss.backward()
    net.zero_grad(set_to_none=True)


def _mean(call: Callable[[], Any], iterations: int, device: torch.device) -> float:
    call()
    _wait(device)
    start = time.perf_counter()
    for _ in range(iterations):
        call()
    _wait(device)
    return (time.perf_counter() - start) * 1000 / iterations


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
