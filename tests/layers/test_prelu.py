"""PReLU: a slope per channel or one for all."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.prelu import PReLU
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 4), (3, 1), (0, 2)], ids=str)
@pytest.mark.parametrize("shared", [False, True])
def test_value_gradient_shape_and_onnx(shape: tuple[int, ...], shared: bool) -> None:
    x = values(*shape)
    layer = made(PReLU(channel_shared=shared), x)
    assert layer.weight.shape == (() if shared else (shape[1],))
    slope = layer.weight.reshape((-1,) + (1,) * (len(shape) - 2))
    torch.testing.assert_close(layer(x), x.clamp(min=0) + slope * x.clamp(max=0))
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_gradient(layer, x)


def test_the_slope_starts_at_a_quarter() -> None:
    assert torch.equal(made(PReLU(), values(2, 3), seed=None).weight, torch.full((3,), 0.25))
    assert torch.equal(made(PReLU(filler=Filler()), values(2, 3), seed=None).weight, torch.zeros(3))


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.25, 2.0])
def test_gradient_at_zero_is_the_slope(slope: float) -> None:
    x = torch.tensor([[0.0, -0.0, -1.0, 1.0]], requires_grad=True)
    layer = made(PReLU(channel_shared=True, filler=Filler(value=slope)), x, seed=None)
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[slope, slope, slope, 1.0]]
    assert layer.weight.grad.item() == -1


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shape", [(), (4,)])
def test_refuses_less_than_two_axes(shape: tuple[int, ...], shared: bool) -> None:
    with pytest.raises(NetError, match=r"accepted: two axes or more, also with channel_shared, so reshape"):
        PReLU(channel_shared=shared).setup(shape)


@pytest.mark.parametrize("shared", [False, True])
def test_refuses_more_than_four_axes_and_empty_items(shared: bool) -> None:
    with pytest.raises(NetError, match=r"shape \[2, 3, 4, 1, 1\] has 5 axes; accepted: 2 to 4"):
        PReLU(channel_shared=shared).setup((2, 3, 4, 1, 1))
    with pytest.raises(NetError, match=r"shape \[2, 3, 0\] has no elements along the axes \[1, 2\]"):
        PReLU(channel_shared=shared).setup((2, 3, 0))


def test_other_channels_are_refused_when_they_come() -> None:
    layer = made(PReLU(), values(2, 3))
    with pytest.raises(NetError, match=r"has slopes for 3 channels \(axis 1\), found a bottom of \[2, 1\]"):
        layer(values(2, 1))
