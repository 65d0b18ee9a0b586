"""Power, Exp, Log: values, gradients where Caffe's own rule shows, in place, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from caffe_compat.layers.base import Layer
from caffe_compat.layers.power import Exp, Log, Power
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values
from tests.layers.single import refused

X = values(2, 3, 4, 5)
POSITIVE = X.abs() + 0.2
CASES: list[tuple[Layer, torch.Tensor, torch.Tensor]] = [
    (Power(), X, X),
    (Power(scale=-1.7, shift=0.25), X, 0.25 - 1.7 * X),
    (Power(2.0), X, X * X),
    (Power(2.0, 0.5, -1.0), X, (0.5 * X - 1) ** 2),
    (Power(3.0, 0.5, 0.25), X, (0.5 * X + 0.25) ** 3),
    (Power(0.5), POSITIVE, POSITIVE.sqrt()),
    (Power(-1.0, 1.0, 3.0), POSITIVE, 1 / (POSITIVE + 3)),
    (Power(0.0, 2.0, 1.0), X, torch.ones_like(X)),
    (Power(0.0, 0.0, 0.0), X, torch.ones_like(X)),
    (Power(2.0, 0.0, 1.5), X, torch.full_like(X, 2.25)),
    (Power(-1.0, 0.0, 0.0), X, torch.full_like(X, math.inf)),
    (Exp(), X, X.exp()),
    (Exp(2.0), X, 2**X),
    (Exp(1.5, 0.7, -0.4), X, 1.5 ** (0.7 * X - 0.4)),
    (Exp(scale=-0.5, shift=0.3), X, (0.3 - 0.5 * X).exp()),
    (Exp(1.0, 3.0, 2.0), X, torch.ones_like(X)),
    (Log(), POSITIVE, POSITIVE.log()),
    (Log(10.0), POSITIVE, POSITIVE.log10()),
    (Log(3.0, 2.0, 0.5), POSITIVE, (2 * POSITIVE + 0.5).log() / math.log(3)),
    (Log(0.5), POSITIVE, -POSITIVE.log2()),
]


@pytest.mark.parametrize(("layer", "x", "expected"), CASES)
def test_value_shape_and_onnx(layer: Layer, x: torch.Tensor, expected: torch.Tensor) -> None:
    made(layer, x)
    torch.testing.assert_close(layer(x), expected)
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_onnx(layer, x[:0])
    if not getattr(layer, "constant", False):
        check_gradient(layer, x[:, :2, :2])


@pytest.mark.parametrize("layer", [Power(0.0, 2.0, 1.0), Power(2.0, 0.0, 1.5)])
def test_constant_power_ignores_the_bottom(layer: Layer) -> None:
    x = torch.tensor([math.nan, math.inf, 0.0], requires_grad=True)
    top = layer(x)
    assert len(set(top.tolist())) == 1
    top.sum().backward()
    assert torch.equal(x.grad, torch.zeros(3))


@pytest.mark.parametrize(
    ("power", "expected"), [(1.0, 1), (2.0, 0), (3.0, math.nan), (0.5, math.nan), (-1.0, -math.inf)]
)
def test_gradient_of_power_at_base_0_is_that_of_caffes_rule(power: float, expected: float) -> None:
    """power * y / x, of which 1 and 2 are excepted."""
    x = torch.zeros(1, requires_grad=True)
    Power(power)(x).backward()
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(expected, nan_ok=True)


def test_linear_power_works_in_place() -> None:
    layer = Power(scale=3.0, shift=-1.0)
    layer.inplace = True
    x, y = (X.clone().requires_grad_() for _ in range(2))
    bottom = x + 0
    top = layer(bottom)
    assert top.data_ptr() == bottom.data_ptr()
    top.backward(X)
    (y * 3 - 1).backward(X)
    torch.testing.assert_close(top, 3 * X - 1)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.grad)


def test_exp_overflows_where_caffe_does() -> None:
    """base^shift is a factor of its own."""
    x = torch.tensor([100.0])
    assert Exp(shift=-100.0)(x).item() == math.inf
    assert Exp(shift=1e4)(x / 100).item() == math.inf
    assert math.isnan(Exp(shift=1e4)(-10 * x).item())


def test_log_at_and_below_0() -> None:
    assert Log()(torch.tensor([0.0])).item() == -math.inf
    assert Log()(torch.tensor([-1.0])).isnan().all()


@pytest.mark.parametrize("cls", [Exp, Log])
@pytest.mark.parametrize("base", [0.0, -2.0, math.inf, math.nan])
def test_refused_bases(cls: type[Layer], base: float) -> None:
    refused(f"base: {base:g} is no base; accepted: a number above 0, or -1", lambda: cls(base=base))  # type: ignore[call-arg]


def test_logarithms_to_base_1_are_refused() -> None:
    refused("base: 1 has no logarithms", lambda: Log(1.0))
