"""Softmax along any axis."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.softmax import Softmax
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((3, 5), 1), ((2, 4, 2, 3), 1), ((2, 3, 4), -1), ((2, 3, 4), 0), ((2, 3, 4), -2), ((4, 1), 1), ((6,), 0)],
)
def test_value_gradient_shape_and_onnx(shape: tuple[int, ...], axis: int) -> None:
    x = values(*shape)
    layer = made(Softmax(axis), x)
    torch.testing.assert_close(layer(x), x.exp() / x.exp().sum(axis, keepdim=True))
    check_shapes(layer, x)
    check_channels_last(layer, x)
    assert check_onnx(layer, x) == ["Softmax"]
    check_gradient(layer, x)


def test_an_axis_without_elements_is_refused() -> None:
    with pytest.raises(NetError, match=r"the bottom of shape \[2, 0\] has no elements along the axes \[1\]"):
        Softmax().setup((2, 0))
    Softmax().setup((0, 2))
    Softmax().setup((2, 3, 0))


def test_large_scores_do_not_overflow() -> None:
    x = torch.tensor([[1000.0, 1001.0, -1000.0]])
    layer = made(Softmax(), x)
    torch.testing.assert_close(layer(x), torch.tensor([[0.26894143, 0.73105854, 0.0]]))
    check_onnx(layer, x)


@pytest.mark.parametrize(("shape", "axis"), [((3,), 1), ((2, 3), 2), ((2, 3), -3)])
def test_refuses_an_axis_out_of_range(shape: tuple[int, ...], axis: int) -> None:
    with pytest.raises(NetError, match=f"axis {axis} is out of range for a bottom of shape .*; accepted: -"):
        Softmax(axis).setup(shape)
