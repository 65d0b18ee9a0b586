"""One small net each: forward and backward in torch, and the same forward pass in onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.golden.build import build_net, param, tensors
from tests.golden.cases import Case
from tests.golden.compare import Comparison, rounding_noise
from tests.golden.distribution import same_distribution
from tests.onnx_run import OPSETS, lowered, run_onnx


@pytest.mark.golden("layer", "fuzz")
@pytest.mark.parametrize("keep_blobs", [True, False], ids=["every_blob", "outputs"])
def test_torch(case: Case, keep_blobs: bool) -> None:
    """Blobs, loss, statistics and gradients; without ``keep_blobs`` the net may fuse layers and free blobs."""
    net = build_net(case)
    net.keep_blobs = keep_blobs
    inputs = run_passes(net, case)
    if "random mask" in case.meta["note"]:
        check_random_mask(net, case, inputs)
        return
    with Comparison(case) as compare:
        for name in case.part("out"):
            if keep_blobs or name in net.outputs:
                compare(f"out.{name}", net.blobs[name])
        compare("loss", net.loss)
        for key in case.part("param_after"):
            compare(f"param_after.{key}", param(net, key))
        if case.meta["backward"]:
            run_backward(net, case)
            compare_gradients(compare, net, inputs)


@pytest.mark.golden("layer", "fuzz")
@pytest.mark.parametrize("opset", OPSETS)
def test_onnx(case: Case, opset: int) -> None:
    """The net outputs of the lowered net. An exported graph has no memory of earlier passes."""
    net = build_net(case)
    model = lowered(net, opset)
    inputs = tensors(case.part("in"))
    fresh = net(**inputs) if case.meta["n_forward"] > 1 else None
    with Comparison(case) as compare:
        for name, values in run_onnx(model, inputs).items():
            compare(f"out.{name}", values, fresh and fresh[name].detach().numpy())


def run_passes(net: Any, case: Case) -> dict[str, torch.Tensor]:
    """All forward passes; the inputs of the last one, which hold the gradients after the backward pass."""
    for earlier in range(case.meta["n_forward"] - 1):
        net(**tensors({name: values[earlier] for name, values in case.part("inseq").items()}))
    inputs = tensors(case.part("in"))
    for name in case.part("grad"):
        inputs[name].requires_grad_()
    net(**inputs)
    return inputs


def run_backward(net: Any, case: Case) -> None:
    """From the net's own loss and, at the other outputs, the gradients that the case gives."""
    total = net.loss
    for name, gradient in tensors(case.part("topdiff")).items():
        if name not in case.meta["loss_weights"]:
            total = total + (net.blobs[name] * gradient).sum()
    if total.requires_grad:
        total.backward()


def compare_gradients(compare: Comparison, net: Any, inputs: dict[str, torch.Tensor]) -> None:
    """A gradient that autograd did not compute counts as zeros."""
    ours = {f"grad.{name}": inputs[name] for name in compare.case.part("grad")}
    ours |= {f"pgrad.{key}": param(net, key) for key in compare.case.part("pgrad")}
    noise = rounding_noise({key: compare.case.arrays[key] for key in ours})
    for key, tensor in ours.items():
        compare(key, gradient(tensor), noise=noise[key])


def gradient(tensor: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def check_random_mask(net: Any, case: Case, inputs: dict[str, torch.Tensor]) -> None:
    """out / in is a random factor: distributed as Caffe's, and the same factor in the gradient."""
    (source, x), (top, y) = *case.part("in").items(), *case.part("out").items()
    ours = net.blobs[top].detach().numpy() / x
    same_distribution(ours, y / x, f"{case}: {top} / {source}")
    run_backward(net, case)
    with Comparison(case) as compare:
        compare(f"grad.{source}", inputs[source].grad, (case.arrays[f"topdiff.{top}"] * ours).astype(np.float32))
