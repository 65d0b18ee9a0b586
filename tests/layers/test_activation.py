"""ReLU, ELU, Sigmoid, TanH: values, kinks, in place."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.layers.activation import ELU, ReLU, Sigmoid, TanH
from caffe_compat.layers.base import Layer
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values

X = values(2, 3, 4, 5)
NEGATIVE, POSITIVE = X.clamp(max=0), X.clamp(min=0)
CASES: list[tuple[Layer, torch.Tensor]] = [
    (ReLU(), POSITIVE),
    (ReLU(0.1), POSITIVE + 0.1 * NEGATIVE),
    (ReLU(-0.5), POSITIVE - 0.5 * NEGATIVE),
    (ReLU(2.0), POSITIVE + 2 * NEGATIVE),
    (ELU(), POSITIVE + NEGATIVE.exp() - 1),
    (ELU(0.3), POSITIVE + 0.3 * (NEGATIVE.exp() - 1)),
    (ELU(0.0), POSITIVE),
    (ELU(-0.7), POSITIVE - 0.7 * (NEGATIVE.exp() - 1)),
    (Sigmoid(), 1 / (1 + (-X).exp())),
    (TanH(), 1 - 2 / (1 + (2 * X).exp())),
]


@pytest.mark.parametrize(("layer", "expected"), CASES)
def test_value_gradient_shape_and_onnx(layer: Layer, expected: torch.Tensor) -> None:
    made(layer, X)
    torch.testing.assert_close(layer(X), expected)
    check_shapes(layer, X)
    check_channels_last(layer, X)
    assert len(check_onnx(layer, X)) == 1
    check_gradient(layer, X[:, :2, :2])


@pytest.mark.parametrize("shape", [(), (0, 3), (1,)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    for layer, _ in CASES:
        x = values(*shape)
        check_shapes(layer, x.to(next(layer.parameters(), x).dtype))


@pytest.mark.parametrize(
    ("layer", "slope"), [(ReLU(), 0.0), (ReLU(0.1), 0.1), (ReLU(-0.5), -0.5), (ReLU(3.0), 3.0), (ELU(0.3), 0.3)]
)
def test_gradient_at_zero_is_that_of_the_negative_half(layer: Layer, slope: float) -> None:
    x = torch.tensor([0.0, -0.0, 1.0], requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([slope, slope, 1.0]))


@pytest.mark.parametrize("slope", [0.0, 0.1, 1.5, -0.5])
def test_relu_in_place_has_the_same_values_and_gradient(slope: float) -> None:
    """A negative slope is not invertible from the top, so it takes new memory."""
    layer = ReLU(slope)
    x, y = (X.clone().requires_grad_() for _ in range(2))
    expected = layer(x * 2)
    expected.backward(X)
    layer.inplace = True
    bottom = y * 2
    top = layer(bottom)
    top.backward(X)
    assert (top.data_ptr() == bottom.data_ptr()) == (slope >= 0)
    assert torch.equal(top, expected)
    assert torch.equal(x.grad, y.grad)


@pytest.mark.parametrize(("cls", "low"), [(Sigmoid, 0.0), (TanH, -1.0)])
def test_saturation_is_exact(cls: type[Sigmoid] | type[TanH], low: float) -> None:
    assert cls()(torch.tensor([-200.0, 200.0])).tolist() == [low, 1.0]


def test_elu_near_zero_has_the_grain_of_float32() -> None:
    """exp(x) - 1 as Caffe computes it, not the exact value of torch's expm1."""
    x = torch.linspace(-1e-5, 0, 50)
    below = torch.exp(x) - 1
    assert not torch.equal(below, torch.expm1(x))
    assert torch.equal(ELU()(x), below)
