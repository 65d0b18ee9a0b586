"""In place, where Caffe's backward pass reads the top for the bottom: the gradient of a net, by Caffe's formulas."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from caffe_compat import load_net

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 } } }
layer { name: "twice" type: "Power" bottom: "data" top: "x" power_param { scale: 2 } }
layer { name: "it" type: "TYPE" bottom: "x" top: "TOP" PARAM }
layer { name: "sum" type: "Reduction" bottom: "TOP" top: "sum" loss_weight: 3 }
"""


@pytest.mark.parametrize(
    ("kind", "param", "slope"),
    [
        ("Clip", "clip_param { min: -1 max: 2 }", torch.ones_like),
        ("Clip", "clip_param { min: 2 max: -1 }", torch.zeros_like),
        ("BNLL", "", lambda y: y.exp() / (y.exp() + 1)),
        ("ReLU", "relu_param { negative_slope: -0.5 }", lambda y: torch.where(y > 0, 1.0, -0.5)),
        ("ELU", "elu_param { alpha: -0.7 }", lambda y: torch.where(y > 0, 1.0, -0.7 + y)),
    ],
)
def test_gradient(kind: str, param: str, slope: Callable[[torch.Tensor], torch.Tensor]) -> None:
    text = NET.replace("TYPE", kind).replace("PARAM", param)
    here, apart = (load_net(text.replace("TOP", top), phase="TRAIN") for top in ("x", "y"))
    data = (torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1)) * 2).requires_grad_()
    apart.keep_blobs = True
    outputs = [net(data)["sum"] for net in (here, apart)]
    assert torch.equal(*outputs)
    (gradient,) = torch.autograd.grad(here.loss, data)
    y = apart.blobs["y"].detach()
    torch.testing.assert_close(gradient, 3 * slope(y) * 2)
    (derivative,) = torch.autograd.grad(apart.loss, data)
    if param != "clip_param { min: 2 max: -1 }":
        assert not torch.allclose(gradient, derivative)


@pytest.mark.parametrize(("kind", "param"), [("ReLU", "relu_param { negative_slope: 0.1 }"), ("ELU", "")])
def test_others_have_the_derivative(kind: str, param: str) -> None:
    text = NET.replace("TYPE", kind).replace("PARAM", param)
    data = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    gradients = []
    for top in ("x", "y"):
        net = load_net(text.replace("TOP", top), phase="TRAIN")
        net(data)
        gradients.append(torch.autograd.grad(net.loss, data)[0])
    assert torch.equal(*gradients)
