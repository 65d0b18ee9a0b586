"""AbsVal, BNLL, Clip, Swish, Threshold: values, kinks, corners, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from caffe_compat.layers.base import Layer
from caffe_compat.layers.elementwise import BNLL, AbsVal, Clip, Swish, Threshold
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values
from tests.layers.single import refused

X = values(2, 3, 4, 5)
CASES: list[tuple[Layer, torch.Tensor]] = [
    (AbsVal(), X * X.sign()),
    (BNLL(), (1 + X.double().exp()).log().float()),
    (Clip(-0.6, 0.8), X.where(X < 0.8, 0.8).where(X > -0.6, -0.6)),
    (Clip(0.8, -0.6), torch.full_like(X, 0.8)),
    (Swish(), X / (1 + (-X).exp())),
    (Swish(1.8), X / (1 + (-1.8 * X).exp())),
    (Swish(0.0), X / 2),
    (Threshold(), (X > 0).float()),
    (Threshold(0.5), (X > 0.5).float()),
]


@pytest.mark.parametrize(("layer", "expected"), CASES)
def test_value_shape_and_onnx(layer: Layer, expected: torch.Tensor) -> None:
    made(layer, X)
    torch.testing.assert_close(layer(X), expected)
    assert layer(X.double()).dtype == torch.float64
    check_shapes(layer, X)
    check_channels_last(layer, X)
    check_onnx(layer, X)
    check_onnx(layer, X[:0])


@pytest.mark.parametrize("layer", [AbsVal(), BNLL(), Clip(-0.6, 0.8), Swish(), Swish(1.8)])
def test_gradient(layer: Layer) -> None:
    check_gradient(made(layer, X), X[:, :2, :2])


def gradient_of(layer: Layer, *at: float, dtype: torch.dtype = torch.float32) -> list[float]:
    x = torch.tensor(at, dtype=dtype, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    return x.grad.tolist()


def test_absval_has_gradient_0_at_0() -> None:
    assert gradient_of(AbsVal(), -2.0, 0.0, 3.0) == [-1, 0, 1]


def test_clip_passes_the_gradient_at_its_bounds() -> None:
    assert gradient_of(Clip(-1.0, 2.0), -1.5, -1.0, 0.0, 2.0, 2.5) == [0, 1, 1, 1, 0]
    assert gradient_of(Clip(1.0, 0.0), -0.5, 0.0, 0.5, 1.0, 1.5) == [0] * 5  # no value lies within


def test_bnll_saturates_without_overflow() -> None:
    ends = torch.tensor([-200.0, 200.0])
    assert BNLL()(ends).tolist() == [0, 200]
    assert gradient_of(BNLL(), -200.0, 60.0, 200.0) == [0, 1, 1]
    double = torch.tensor([25.0], dtype=torch.float64)
    assert BNLL()(double).item() == 25 + math.log1p(math.exp(-25))


def test_threshold_is_strict_and_gives_no_gradient() -> None:
    x = torch.tensor([0.25, 0.5, 0.75, math.nan], requires_grad=True)
    top = Threshold(0.5)(x)
    assert top.tolist() == [0, 0, 1, 0]
    assert not top.requires_grad


def test_refusals() -> None:
    refused("min and max missing; give both bounds", Clip)
    refused("max missing", lambda: Clip(min=1.0))
    refused("min missing", lambda: Clip(max=1.0))
