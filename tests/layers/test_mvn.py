"""MVN: values, Caffe's gradient, axes, corners, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffe_compat.layers.mvn import MVN
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values
from tests.layers.single import refused

Shape = tuple[int, ...]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4), (2, 3), (3,), (), (2, 1, 1, 1)])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(("normalize", "eps"), [(True, 1e-9), (True, 0.3), (False, 1e-9)])
def test_value_shape_and_onnx(shape: Shape, across: bool, normalize: bool, eps: float) -> None:
    x = values(*shape)
    layer = made(MVN(normalize, across, eps), x)
    image = x.double().numpy().reshape(shape + (1,) * (4 - len(shape)))
    axes = (1, 2, 3) if across else (2, 3)
    expected = image - image.mean(axes, keepdims=True)
    if normalize:
        expected = expected / (image.std(axes, keepdims=True) + eps)
    top = layer(x)
    assert top.dim() == 4
    np.testing.assert_allclose(top.numpy(), expected, atol=1e-5)
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
def test_gradient_is_the_derivative_where_eps_is_small(across: bool, normalize: bool) -> None:
    x = values(2, 3, 4)
    check_gradient(made(MVN(normalize, across), x), x)


def test_gradient_with_a_large_eps_is_caffes() -> None:
    """(dy - mean(dy) - y mean(y dy)) / (std + eps); the derivative has std (std + eps) under the last term."""
    x, dy = values(2, 3, 4, 5).requires_grad_(), values(2, 3, 4, 5, seed=5)
    y = MVN(eps=0.5)(x)
    y.backward(dy)
    y, divisor = y.detach(), x.detach().std((2, 3), correction=0, keepdim=True) + 0.5
    mean = lambda v: v.mean((2, 3), keepdim=True)  # noqa: E731
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (dy - mean(dy) - y * mean(y * dy)) / divisor)


def test_equal_values_give_0_and_a_finite_gradient() -> None:
    x = torch.full((1, 1, 2, 2), 2.0, requires_grad=True)
    y = MVN()(x)
    y[0, 0, 0, 0].backward()
    assert y.abs().max() == 0
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_refusal() -> None:
    refused("the bottom has 5 axes, shape [1, 2, 3, 4, 5]; accepted: at most 4", MVN, (1, 2, 3, 4, 5))
    refused("shape [2, 3, 0, 4] has no elements along the axes [2, 3]", MVN, (2, 3, 0, 4))
    refused("no elements along the axes [1, 2]", lambda: MVN(across_channels=True), (2, 3, 0))
    MVN().setup((0, 3, 2, 2))
